"""Amounts on the command line."""

import pytest

from postrail.cli.amounts import parse_amount
from postrail.cli.failures import CommandError


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [("25.50", "GBP", 2_550), ("25.5", "GBP", 2_550), ("0", "GBP", 0), ("7", "JPY", 7), ("1.234", "KWD", 1_234)],
)
def test_an_amount_is_read_by_the_decimals_of_its_currency(text: str, currency: str, minor: int) -> None:
    assert parse_amount(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("1.001", "GBP"),
        ("1.5", "JPY"),
        ("-1", "GBP"),
        ("", "GBP"),
        ("NaN", "GBP"),
        ("Infinity", "GBP"),
        ("x", "GBP"),
        ("1" * 31, "GBP"),
        ("1e999999999", "GBP"),
        ("1e30", "GBP"),
    ],
)
def test_what_is_no_amount_is_told_as_one_sentence(text: str, currency: str) -> None:
    with pytest.raises(CommandError, match=f"no amount of {currency}"):
        parse_amount(text, currency)
