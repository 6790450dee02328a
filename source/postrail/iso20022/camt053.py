"""Writes `camt.053.001.14`, BankToCustomerStatementV14: the statement of one account over one period."""

from datetime import datetime, timedelta
from typing import IO, Final

from lxml import etree

from postrail.domain.statement import Statement, StatementEntry
from postrail.iso20022.advice import format_instant
from postrail.iso20022.camt_common import (
    MessageHead,
    add,
    add_account,
    add_amount,
    add_counter_account,
    add_path,
    add_references,
    add_text,
    add_turnover,
    entry_head,
    open_message,
    side_of,
)

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.14"
ROOT: Final = "BkToCstmrStmt"

_INSTANT: Final = timedelta(microseconds=1)


def write_statement(statement: Statement, head: MessageHead, out: IO[bytes]) -> int:
    """Write the statement to `out` as XML in UTF-8, one entry a line; returns the number of entries.

    The same statement and head give the same bytes. Raises Permanent(AMOUNT_OVERFLOW) for an amount of more than 18
    digits, and StatementInconsistent after the last entry when the entries do not lead to the closing balance.
    """
    count = 0
    with open_message(out, NAMESPACE, ROOT, head) as xml, xml.element("Stmt"):
        for part in _head_parts(statement, head):
            xml.write(part)
        for line in statement.lines():
            xml.write("\n")
            xml.write(_entry(line.entry, statement))
            count += 1
    return count


def _head_parts(statement: Statement, head: MessageHead) -> list[etree._Element]:
    """Everything in front of the entries, in the order of the schema."""
    # Made under a parent that is not written: its children are, one after the other.
    part = etree.Element("Stmt")
    period, currency = statement.period, statement.account.currency
    add(part, "Id", head.message_id)
    add(part, "CreDtTm", format_instant(head.created_at))
    span = add(part, "FrToDt")
    add(span, "FrDtTm", format_instant(period.start))
    add(span, "ToDtTm", format_instant(period.end))
    add_account(part, statement.account)
    _add_balance(part, "OPBD", statement.opening_minor, currency, period.start)
    # The end is excluded: a closing balance of midnight belongs to the day before.
    _add_balance(part, "CLBD", statement.closing_minor, currency, period.end - _INSTANT)
    add_turnover(part, statement.turnover, currency)
    return list(part)


def _add_balance(parent: etree._Element, code: str, amount_minor: int, currency: str, at: datetime) -> None:
    part = add(parent, "Bal")
    add_path(part, "Tp/CdOrPrtry/Cd", code)
    add_amount(part, "Amt", amount_minor, currency)
    add(part, "CdtDbtInd", side_of(amount_minor))
    add_path(part, "Dt/Dt", format_instant(at)[:10])


def _entry(entry: StatementEntry, statement: Statement) -> etree._Element:
    part = entry_head(entry, statement.account)
    details = add(add(part, "NtryDtls"), "TxDtls")
    add_references(details, entry)
    add_counter_account(details, entry)
    add_text(part, "AddtlNtryInf", entry.description, 500)
    return part
