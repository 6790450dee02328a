"""A statement as CSV (RFC 4180): one header, one row an entry, the opening and the closing balance around them.

Amounts stand twice: as minor units for programs and as decimal text for people. A text that a spreadsheet would run
as a formula is led by an apostrophe; merchants choose their names themselves.
"""

import csv
import unicodedata
from typing import IO, Final

from postrail.domain.card import scrub_pans
from postrail.domain.money import Money
from postrail.domain.statement import Statement, StatementLine

COLUMNS: Final = (
    "row",
    "account",
    "currency",
    "recorded_at",
    "occurred_at",
    "transaction_id",
    "leg",
    "kind",
    "payment_id",
    "reverses",
    "counter_account",
    "description",
    "amount_minor",
    "amount",
    "balance_minor",
    "balance",
)

# What makes a cell a formula in one spreadsheet or another, their wide forms (U+FF0B and the like) included.
_FORMULA_STARTS: Final = frozenset("=+-@\t\r\n|%")


def write_csv(statement: Statement, out: IO[str]) -> int:
    r"""Write the statement to `out`, whose newlines must be left alone: rows end in CR LF. Returns the entries.

    Raises StatementInconsistent after the last entry when the entries do not lead to the closing balance.
    """
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerow(_balance_row(statement, "opening", statement.opening_minor))
    count = 0
    for line in statement.lines():
        writer.writerow(_entry_row(statement, line))
        count += 1
    writer.writerow(_balance_row(statement, "closing", statement.closing_minor))
    return count


def harmless(text: str) -> str:
    """`text` as a cell that every spreadsheet takes for text: without control characters, no formula.

    Spaces in front do not hide a formula from all of them, so the first other character counts.
    """
    plain = "".join(" " if unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"} else char for char in text)
    first = unicodedata.normalize("NFKC", plain.lstrip())[:1]
    return f"'{plain}" if first in _FORMULA_STARTS and first else plain


def _balance_row(statement: Statement, row: str, balance_minor: int) -> dict[str, object]:
    account = statement.account
    return {
        "row": row,
        "account": harmless(account.account_id),
        "currency": account.currency,
        "balance_minor": balance_minor,
        "balance": Money(balance_minor, account.currency).to_decimal(),
    }


def _entry_row(statement: Statement, line: StatementLine) -> dict[str, object]:
    entry, currency = line.entry, statement.account.currency
    return _balance_row(statement, "entry", line.balance_minor) | {
        "recorded_at": entry.recorded_at.isoformat(),
        "occurred_at": entry.occurred_at.isoformat(),
        "transaction_id": entry.transaction_id,
        "leg": entry.leg_no,
        "kind": entry.kind,
        "payment_id": entry.payment_id or "",
        "reverses": entry.reverses or "",
        "counter_account": harmless(" ".join(entry.counter_accounts)),
        "description": harmless(scrub_pans(entry.description)),
        "amount_minor": entry.amount_minor,
        "amount": Money(entry.amount_minor, currency).to_decimal(),
    }
