"""A statement for the terminal: aligned columns of fixed widths, one line at a time, however many there are."""

from typing import IO, Final

from postrail.cli.console import format_minor
from postrail.domain.card import scrub_pans
from postrail.domain.statement import Statement, StatementLine, TimeBasis
from postrail.iso20022.advice import clean_text

_DESCRIPTION: Final = 36
_COUNTER: Final = 26
_AMOUNT: Final = 18


def write_text(statement: Statement, out: IO[str]) -> int:
    """Write the statement to `out`; returns the number of entries.

    The time is that of the statement's basis, in UTC. Raises StatementInconsistent after the last entry when the
    entries do not lead to the closing balance.
    """
    account, period = statement.account, statement.period
    out.write(f"{account.account_id}  {clean_text(account.name, 70)}\n")
    out.write(f"{period.start.isoformat()} to {period.end.isoformat()}, by the time it {_VERB[statement.by]}\n\n")
    out.write(_row("time (UTC)", "description", "counter account", "amount", "balance"))
    out.write(_row("", "opening balance", "", "", _amount(statement, statement.opening_minor)))
    count = 0
    for line in statement.lines():
        out.write(_line(statement, line))
        count += 1
    out.write(_row("", "closing balance", "", "", _amount(statement, statement.closing_minor)))
    out.write(f"\n{count:,} entries, amounts in {account.currency}.\n")
    return count


_VERB: Final = {TimeBasis.RECORDED: "was recorded", TimeBasis.OCCURRED: "happened"}


def _line(statement: Statement, line: StatementLine) -> str:
    entry = line.entry
    at = entry.recorded_at if statement.by is TimeBasis.RECORDED else entry.occurred_at
    return _row(
        f"{at:%Y-%m-%d %H:%M:%S}",
        clean_text(scrub_pans(entry.description), 500),
        " ".join(entry.counter_accounts),
        _amount(statement, entry.amount_minor),
        _amount(statement, line.balance_minor),
    )


def _amount(statement: Statement, amount_minor: int) -> str:
    return format_minor(amount_minor, statement.account.currency).rpartition(" ")[0]


def _row(at: str, description: str, counter: str, amount: str, balance: str) -> str:
    return (
        f"{at:<19}  {_cut(description, _DESCRIPTION)}  {_cut(counter, _COUNTER)}  "
        f"{amount:>{_AMOUNT}}  {balance:>{_AMOUNT}}\n"
    )


def _cut(text: str, width: int) -> str:
    """`text` in exactly `width` characters; a cut is marked."""
    return text.ljust(width) if len(text) <= width else f"{text[: width - 1]}…"
