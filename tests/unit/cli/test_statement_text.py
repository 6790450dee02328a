"""The statement on a terminal."""

import io

from tests.builders.statements import make_entry, make_statement

from postrail.cli.statement_text import write_text
from postrail.domain.statement import Statement, TimeBasis


def lines_of(statement: Statement) -> list[str]:
    out = io.StringIO()
    assert write_text(statement, out) == statement.turnover.count
    return out.getvalue().splitlines()


def test_columns_are_aligned_whatever_stands_in_them():
    """A long description is cut, and the cut is marked."""
    entries = [make_entry(), make_entry(description="D" * 90, amount_minor=123_456_789)]
    table = lines_of(make_statement(entries))[3:8]
    assert len({len(line) for line in table}) == 1
    assert "D…" in table[3]
    assert table[4].endswith("1,235,545.96")


def test_the_time_is_that_of_the_basis():
    recorded, occurred = "2026-10-02 09:15:33", "2026-10-02 09:15:31"
    assert recorded in lines_of(make_statement([make_entry()]))[5]
    assert occurred in lines_of(make_statement([make_entry()], by=TimeBasis.OCCURRED))[5]


def test_a_description_cannot_command_the_terminal_nor_show_a_card_number():
    """Escape sequences are what a merchant's name must not bring."""
    text = "\n".join(lines_of(make_statement([make_entry(description="\x1b[2J4111111111111111\r")])))
    assert "\x1b" not in text
    assert "\r" not in text
    assert "4111111111111111" not in text
