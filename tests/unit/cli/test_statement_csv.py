"""The statement as CSV: what a program reads back, and what a spreadsheet must not run."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders.statements import make_entry, make_statement, statements

from postrail.cli.statement_csv import COLUMNS, harmless, write_csv
from postrail.domain.statement import Statement


def rows_of(statement: Statement) -> list[dict[str, str]]:
    out = io.StringIO(newline="")
    assert write_csv(statement, out) == statement.turnover.count
    return list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))


def test_one_header_and_rows_that_end_in_cr_lf():
    """RFC 4180."""
    out = io.StringIO(newline="")
    write_csv(make_statement([make_entry()]), out)
    lines = out.getvalue().split("\r\n")
    assert lines[0] == ",".join(COLUMNS)
    assert lines[-1] == ""
    assert len(lines) == 5
    assert "\n" not in "".join(lines)


def test_amounts_stand_in_minor_units_and_as_decimals():
    opening, entry, closing = rows_of(make_statement([make_entry()]))
    assert (opening["balance_minor"], opening["balance"], opening["amount"]) == ("100000", "1000.00", "")
    assert (entry["amount_minor"], entry["amount"]) == ("-2193", "-21.93")
    assert (entry["balance_minor"], entry["balance"]) == ("97807", "978.07")
    assert (closing["row"], closing["balance"]) == ("closing", "978.07")


def test_commas_and_quotes_survive():
    (_, entry, _) = rows_of(make_statement([make_entry(description='Bob "the" Butcher, London')]))
    assert entry["description"] == 'Bob "the" Butcher, London'


@given(statements())
def test_any_statement_adds_up_when_read_back(statement: Statement):
    """Whatever the texts are: as many rows as entries, and the sum of the amounts leads to the closing balance."""
    opening, *entries, closing = rows_of(statement)
    total = int(opening["balance_minor"]) + sum(int(row["amount_minor"]) for row in entries)
    assert total == int(closing["balance_minor"]) == statement.closing_minor
    assert [int(row["balance_minor"]) for row in entries] == [line.balance_minor for line in statement.lines()]


@pytest.mark.parametrize(
    "text", ["=1+1", "+44", "-5", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\uff1d1", "|cmd", "\u200b=1"]
)
def test_a_formula_is_led_by_an_apostrophe(text: str):
    """Also behind spaces and control characters, and in wide characters."""
    assert harmless(text).startswith("'")


@given(st.text())
def test_no_cell_begins_as_a_formula(text: str):
    cell = harmless(text)
    assert cell.lstrip()[:1] not in set("=+-@|%")
    assert "\n" not in cell
    assert "\r" not in cell


@pytest.mark.parametrize("text", ["", "Cafe Central", "A-Z Books", "7-Eleven", "O'Neill"])
def test_an_ordinary_text_stays_as_it_is(text: str):
    assert harmless(text) == text
