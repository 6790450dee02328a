"""Statements: balances, periods, and who stands on the other side."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders.statements import PERIOD, make_entry, make_statement, statements

from postrail.domain.posting import pair
from postrail.domain.statement import (
    JournalLeg,
    Period,
    Statement,
    StatementInconsistent,
    Turnover,
    counter_accounts,
    turnover_of,
)

amounts = st.integers(-(2**63), 2**63 - 1).filter(bool)


@given(statements())
def test_closing_is_opening_and_the_sum_of_the_lines(statement: Statement) -> None:
    """And the balance after each line is the sum so far."""
    lines = list(statement.lines())
    total = statement.opening_minor
    for line in lines:
        total += line.entry.amount_minor
        assert line.balance_minor == total
    assert statement.closing_minor == total


@given(st.lists(amounts))
def test_turnover_counts_both_sides(given_amounts: list[int]) -> None:
    turnover = turnover_of(given_amounts)
    assert turnover.count == len(given_amounts)
    assert turnover.net_minor == sum(given_amounts)
    assert turnover.credit_minor + turnover.debit_minor == sum(map(abs, given_amounts))


@pytest.mark.parametrize(
    "wrong", [Turnover(0, 0, 1, 2_192), Turnover(1, 1, 1, 2_194), Turnover(), Turnover(0, 0, 2, 2_193)]
)
def test_lines_that_do_not_lead_to_the_closing_balance_are_an_error(wrong: Turnover) -> None:
    """In amount or in number."""
    statement = make_statement([make_entry()], turnover=wrong)
    with pytest.raises(StatementInconsistent, match="customer:000123:gbp"):
        list(statement.lines())


def test_a_period_has_a_length_and_a_time_zone() -> None:
    with pytest.raises(ValueError, match="after"):
        Period(PERIOD.start, PERIOD.start)
    with pytest.raises(ValueError, match="time zone"):
        Period(datetime(2026, 10, 1), datetime(2026, 11, 1, tzinfo=UTC))  # noqa: DTZ001


def legs(*rows: tuple[str, int, str]) -> list[JournalLeg]:
    return [JournalLeg(number, *row) for number, row in enumerate(rows, start=1)]


def test_the_partner_in_a_pair_is_the_counter_account() -> None:
    """A purchase with a fee: each customer leg has its own other side."""
    made = legs(("customer", -2_193, "GBP"), ("settlement", 2_193, "GBP"), ("customer", -60, "GBP"), ("fee", 60, "GBP"))
    assert [counter_accounts(made, leg.leg_no) for leg in made] == [
        ("settlement",),
        ("customer",),
        ("fee",),
        ("customer",),
    ]


def test_unpaired_legs_have_all_accounts_on_the_other_side_of_their_currency() -> None:
    made = legs(
        ("a", -100, "GBP"), ("b", 60, "GBP"), ("c", 40, "GBP"), ("d", 5, "EUR"), ("e", -2, "EUR"), ("e", -3, "EUR")
    )
    assert counter_accounts(made, 1) == ("b", "c")
    assert counter_accounts(made, 3) == ("a",)
    assert counter_accounts(made, 4) == ("e",)


def test_legs_made_in_pairs_find_their_partner() -> None:
    """As `pair` makes them."""
    made = [
        JournalLeg(number, leg.account_id, leg.direction.signed(leg.amount_minor), leg.currency)
        for number, leg in enumerate(pair("x:1:gbp", "y:1:gbp", 5, "GBP"), start=1)
    ]
    assert counter_accounts(made, 1) == ("y:1:gbp",)
    assert counter_accounts(made, 2) == ("x:1:gbp",)
