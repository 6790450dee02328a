"""Money: whole minor units, exact decimals, one rounding."""

from decimal import Context, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders.strategies import currencies

from postrail.domain.iso4217 import UnknownCurrency, currency_by_code
from postrail.domain.money import (
    AMOUNT_MINOR_MAX,
    CurrencyMismatch,
    Money,
    Rounding,
    conversion,
    convert,
    format_amount,
    round_ratio,
)

minors = st.integers(-(2**63), 2**63)
rates = st.decimals("0.000000000001", "999999999999", allow_nan=False, allow_infinity=False, places=12)


def round_half_even(value: Fraction) -> int:
    """Python's own rounding of a fraction: to the nearest, ties to even."""
    return round(value)


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(2550, "EUR", "25.50 EUR"), (2550, "JPY", "2550 JPY"), (2550, "KWD", "2.550 KWD"), (-5, "GBP", "-0.05 GBP")],
)
def test_the_exponent_decides_what_an_amount_means(minor: int, currency: str, text: str) -> None:
    """The same integer is another amount in another currency."""
    assert str(Money(minor, currency)) == text


@given(minor=minors, currency=currencies)
def test_to_decimal_is_exact(minor: int, currency: str) -> None:
    """Whatever the size, no digit is lost, and an exponent's number of decimals is kept."""
    value = Money(minor, currency).to_decimal()
    exponent = currency_by_code(currency).exponent
    assert Fraction(value) == Fraction(minor, 10**exponent)
    assert value.as_tuple().exponent == -exponent


@given(a=minors, b=minors, currency=currencies)
def test_sums_and_differences_are_those_of_integers(a: int, b: int, currency: str) -> None:
    """Adding and taking away again gives what was there."""
    total = Money(a, currency) + Money(b, currency)
    assert total == Money(a + b, currency)
    assert total - Money(b, currency) == Money(a, currency)
    assert -Money(a, currency) + Money(a, currency) == Money(0, currency)


def test_two_currencies_do_not_add() -> None:
    """Nor does one subtract from the other."""
    with pytest.raises(CurrencyMismatch):
        Money(1, "EUR") + Money(1, "GBP")
    with pytest.raises(CurrencyMismatch):
        Money(1, "EUR") - Money(1, "GBP")


@pytest.mark.parametrize("amount", [1.0, "1", Decimal(1), True, None])
def test_only_integers_are_amounts(amount: object) -> None:
    """A float, a text, a decimal and a boolean are refused, whatever their value."""
    with pytest.raises(TypeError):
        Money(amount, "EUR")  # type: ignore[arg-type]


def test_only_known_currencies_are_money() -> None:
    """Lower case and precious metals are no currencies."""
    for code in ("eur", "XAU", "XXX", ""):
        with pytest.raises(UnknownCurrency):
            Money(1, code)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.5", {"HALF_EVEN": 0, "HALF_UP": 1, "HALF_DOWN": 0, "DOWN": 0, "CEILING": 1, "FLOOR": 0}),
        ("1.5", {"HALF_EVEN": 2, "HALF_UP": 2, "HALF_DOWN": 1, "DOWN": 1, "CEILING": 2, "FLOOR": 1}),
        ("-0.5", {"HALF_EVEN": 0, "HALF_UP": -1, "HALF_DOWN": 0, "DOWN": 0, "CEILING": 0, "FLOOR": -1}),
        ("2.51", {"HALF_EVEN": 3, "HALF_UP": 3, "HALF_DOWN": 3, "DOWN": 2, "CEILING": 3, "FLOOR": 2}),
    ],
)
def test_every_named_rounding(value: str, expected: dict[str, int]) -> None:
    """Ties and signs, by the name of the rounding."""
    assert {
        rounding.name: round_ratio(*Decimal(value).as_integer_ratio(), rounding) for rounding in Rounding
    } == expected


@given(value=st.decimals(-(10**20), 10**20, places=6), rounding=st.sampled_from(Rounding))
def test_rounding_is_that_of_decimal(value: Decimal, rounding: Rounding) -> None:
    """Integer arithmetic for every mode and sign; the names promise what the standard library does."""
    expected = int(value.quantize(Decimal(1), rounding=rounding.value, context=Context(prec=60)))
    assert round_ratio(*value.as_integer_ratio(), rounding) == expected


@given(minor=minors, currency=currencies)
def test_an_amounts_text_is_its_decimal(minor: int, currency: str) -> None:
    assert format_amount(minor, currency_by_code(currency).exponent) == f"{Money(minor, currency).to_decimal():f}"


@given(minor=st.integers(1, AMOUNT_MINOR_MAX), rate=rates, source=currencies, target=currencies)
def test_conversion_rounds_the_exact_product_once(minor: int, rate: Decimal, source: str, target: str) -> None:
    """Against fractions, for any length of rate and any pair of exponents."""
    shift = currency_by_code(target).exponent - currency_by_code(source).exponent
    exact = Fraction(minor) * Fraction(rate) * Fraction(10) ** shift
    assert convert(Money(minor, source), target, rate, Rounding.HALF_EVEN) == Money(round_half_even(exact), target)
    assert conversion(source, target, rate).of(minor, Rounding.HALF_EVEN) == round_half_even(exact)


def test_conversion_does_not_round_twice() -> None:
    """A product of more than 28 digits, just above the tie, which the default context would bring down to it."""
    rate = Decimal("0.50000000000000000000000000001")
    assert convert(Money(1, "EUR"), "GBP", rate, Rounding.HALF_EVEN) == Money(1, "GBP")


def test_the_callers_decimal_context_changes_nothing() -> None:
    """A short context somewhere in the process does not reach the money."""
    with localcontext() as context:
        context.prec = 3
        assert convert(Money(123_456_789, "EUR"), "GBP", Decimal(1), Rounding.DOWN) == Money(123_456_789, "GBP")
        assert str(Money(123_456_789, "EUR")) == "1234567.89 EUR"
