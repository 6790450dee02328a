"""What the account statement (camt.053) and the notification (camt.054) have in common.

Both are written as a stream: one element at a time goes out and is forgotten, so that a statement of millions of
entries needs no more memory than one of ten. Elements are made without a namespace and written inside a document
that has a default one, which is how they get it; declaring it on every entry would cost a tenth of the file.

Amounts are decimal texts by the currency's ISO 4217 exponent, never negative: the side stands in CdtDbtInd. Cards
appear as tokens, in AddtlCardData; PlainCardData is never written.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, Final

from lxml import etree

from postrail.domain.card import scrub_pans
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.iso4217 import currency_by_code
from postrail.domain.ledger import AccountType
from postrail.domain.statement import StatementAccount, StatementEntry, Turnover
from postrail.iso20022.advice import clean_text, format_amount, format_instant

TEXT_35: Final = 35
"""Max35Text: every reference of a camt message."""

_AMOUNT_DIGITS_MAX: Final = 18
_LEG_NO_MAX: Final = 999
_ACCOUNT_CHARS_MAX: Final = 34
_OWN_SCHEME: Final = "POSTRAIL"
_NOT_PROVIDED: Final = "NOTPROVIDED"

# ExternalCashAccountType1Code: current account, settlement account. Others have no code that fits.
_ACCOUNT_TYPE_CODE: Final = {
    AccountType.CUSTOMER: "CACC",
    AccountType.MERCHANT: "CACC",
    AccountType.SETTLEMENT: "SACC",
}

# Accounts of what the bank earns: an entry against one of them is a fee, whatever the payment was.
_EARNING: Final = ("income", "fee")

# ISO 8583 processing code, positions 1-2: 01 is cash, 20 to 29 are credits to the cardholder.
_CASH_TYPE: Final = "01"
_CREDIT_TYPES: Final = "2"


@dataclass(frozen=True, slots=True)
class MessageHead:
    """The group header: the message's own id, 1 to 35 characters, and when it was made. Raises ValueError."""

    message_id: str
    created_at: datetime

    def __post_init__(self) -> None:
        if not 1 <= len(self.message_id) <= TEXT_35:
            raise ValueError("a message id has 1 to 35 characters")
        if self.created_at.tzinfo is None:
            raise ValueError("the time of creation needs a time zone")


@dataclass(frozen=True, slots=True)
class BankTransactionCode:
    """Domain, family and sub-family of the ISO 20022 external code set of bank transaction codes."""

    domain: str
    family: str
    sub_family: str


@contextmanager
def open_message(out: IO[bytes], namespace: str, root: str, head: MessageHead) -> Iterator[Any]:
    """The writer of a message whose declaration, root and group header are written; closes what it opened.

    `out` takes UTF-8. The writer is lxml's: `write(element)`, and `element(name)` around more of them.
    """
    with etree.xmlfile(out, encoding="UTF-8") as xml:
        xml.write_declaration()
        with xml.element(f"{{{namespace}}}Document", nsmap={None: namespace}), xml.element(f"{{{namespace}}}{root}"):
            header = etree.Element("GrpHdr")
            add(header, "MsgId", head.message_id)
            add(header, "CreDtTm", format_instant(head.created_at))
            xml.write(header)
            yield xml


def add(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    """A new last child of `parent`, with this text."""
    child = etree.SubElement(parent, name)
    child.text = text
    return child


def add_path(parent: etree._Element, path: str, text: str) -> None:
    """`text` in an element at a path of new ones: `add_path(bal, "Tp/CdOrPrtry/Cd", "OPBD")`."""
    *outer, name = path.split("/")
    for each in outer:
        parent = add(parent, each)
    add(parent, name, text)


def add_text(parent: etree._Element, name: str, text: str, length_max: int) -> None:
    """A free text: cleaned, without card numbers, cut; no element when nothing is left of it."""
    cleaned = clean_text(scrub_pans(text), length_max).strip()
    if cleaned:
        add(parent, name, cleaned)


def add_amount(parent: etree._Element, name: str, amount_minor: int, currency: str) -> None:
    """An amount of money, without its sign."""
    add(parent, name, decimal_text(abs(amount_minor), currency)).set("Ccy", currency)


def decimal_text(amount_minor: int, currency: str) -> str:
    """Minor units, not negative, as decimal text. Raises Permanent(AMOUNT_OVERFLOW) beyond the 18 digits of camt."""
    if len(str(amount_minor)) > _AMOUNT_DIGITS_MAX:
        raise Permanent(
            ReasonCode.AMOUNT_OVERFLOW, f"{amount_minor} minor units of {currency} have more digits than camt takes"
        )
    return format_amount(amount_minor, currency_by_code(currency).exponent)


def side_of(amount_minor: int) -> str:
    """CreditDebitCode of a signed amount. Zero counts as a credit, as the standard asks of balances."""
    return "DBIT" if amount_minor < 0 else "CRDT"


def reference_of(identifier: str) -> str:
    """One of our ids as Max35Text: `txn_` and 32 hex digits are one character too long, so without the prefix."""
    reference = identifier.rpartition("_")[2]
    if not 1 <= len(reference) <= TEXT_35:
        raise Permanent(ReasonCode.INVALID_VALUE, f"{identifier!r} is no reference that camt can carry")
    return reference


def entry_reference(entry: StatementEntry) -> str:
    """NtryRef: the 32 hex digits of the transaction and three digits of the leg, unique in the whole ledger."""
    if entry.leg_no > _LEG_NO_MAX:
        raise Permanent(ReasonCode.INVALID_VALUE, f"leg {entry.leg_no} of {entry.transaction_id} has no reference")
    return f"{reference_of(entry.transaction_id)}{entry.leg_no:03d}"


def add_account(parent: etree._Element, account: StatementAccount) -> None:
    """Acct: by IBAN where there is one, else by the ledger's own id."""
    part = add(parent, "Acct")
    _add_account_id(part, account.account_id, account.iban)
    code = _ACCOUNT_TYPE_CODE.get(account.type)
    if code is None:
        add_path(part, "Tp/Prtry", account.type.value)
    else:
        add_path(part, "Tp/Cd", code)
    add(part, "Ccy", account.currency)
    add_text(part, "Nm", account.name, 70)
    if account.iban is not None or len(account.account_id) > _ACCOUNT_CHARS_MAX:
        _add_proxy(part, account.account_id)


def _add_account_id(part: etree._Element, account_id: str, iban: str | None) -> None:
    if iban is not None:
        add_path(part, "Id/IBAN", iban)
    elif len(account_id) <= _ACCOUNT_CHARS_MAX:
        other = add(add(part, "Id"), "Othr")
        add(other, "Id", account_id)
        add_path(other, "SchmeNm/Prtry", _OWN_SCHEME)


def _add_proxy(part: etree._Element, account_id: str) -> None:
    # An id of the ledger may be longer than Othr/Id takes; a proxy takes 2,048 characters.
    proxy = add(part, "Prxy")
    add_path(proxy, "Tp/Prtry", _OWN_SCHEME)
    add(proxy, "Id", account_id)


def add_counter_account(parent: etree._Element, entry: StatementEntry) -> None:
    """RltdPties with the account on the other side, when it is one."""
    if len(entry.counter_accounts) != 1:
        return
    (account_id,) = entry.counter_accounts
    part = add(add(parent, "RltdPties"), "CdtrAcct" if entry.amount_minor < 0 else "DbtrAcct")
    _add_account_id(part, account_id, None)
    if len(account_id) > _ACCOUNT_CHARS_MAX:
        _add_proxy(part, account_id)


def add_turnover(parent: etree._Element, turnover: Turnover, currency: str) -> None:
    """TxsSummry: how many entries, and their sums, in all and on each side."""
    part = add(parent, "TxsSummry")
    total = add(part, "TtlNtries")
    add(total, "NbOfNtries", str(turnover.count))
    add(total, "Sum", decimal_text(turnover.credit_minor + turnover.debit_minor, currency))
    net = add(total, "TtlNetNtry")
    add(net, "Amt", decimal_text(abs(turnover.net_minor), currency))
    add(net, "CdtDbtInd", side_of(turnover.net_minor))
    sides = (
        ("TtlCdtNtries", turnover.credit_count, turnover.credit_minor),
        ("TtlDbtNtries", turnover.debit_count, turnover.debit_minor),
    )
    for name, count, amount_minor in sides:
        side = add(part, name)
        add(side, "NbOfNtries", str(count))
        add(side, "Sum", decimal_text(amount_minor, currency))


def entry_head(entry: StatementEntry, account: StatementAccount) -> etree._Element:
    """Ntry with all that the ledger knows, from NtryRef to BkTxCd. The caller goes on behind it."""
    part = etree.Element("Ntry")
    add(part, "NtryRef", entry_reference(entry))
    add_amount(part, "Amt", entry.amount_minor, account.currency)
    add(part, "CdtDbtInd", side_of(entry.amount_minor))
    add(part, "RvslInd", "true" if entry.reverses else "false")
    add_path(part, "Sts/Cd", "BOOK")
    add_path(part, "BookgDt/DtTm", format_instant(entry.recorded_at))
    add_path(part, "ValDt/DtTm", format_instant(entry.occurred_at))
    add(part, "AcctSvcrRef", reference_of(entry.transaction_id))
    code = bank_transaction_code(entry, account)
    structure = add(part, "BkTxCd")
    domain = add(structure, "Domn")
    add(domain, "Cd", code.domain)
    family = add(domain, "Fmly")
    add(family, "Cd", code.family)
    add(family, "SubFmlyCd", code.sub_family)
    if entry.transaction_type is not None:
        own = add(structure, "Prtry")
        add(own, "Cd", entry.transaction_type)
        add(own, "Issr", "ISO8583")
    return part


def add_references(parent: etree._Element, entry: StatementEntry) -> etree._Element:
    """Refs with the transaction and the payment; returns it. The caller goes on behind EndToEndId."""
    part = add(parent, "Refs")
    add(part, "AcctSvcrRef", reference_of(entry.transaction_id))
    add(part, "EndToEndId", reference_of(entry.payment_id) if entry.payment_id else _NOT_PROVIDED)
    if entry.reverses:
        own = add(part, "Prtry")
        add(own, "Tp", "REVERSES")
        add(own, "Ref", reference_of(entry.reverses))
    return part


def bank_transaction_code(entry: StatementEntry, account: StatementAccount) -> BankTransactionCode:
    """What kind of entry it is, in the codes of ISO 20022.

    A reversal has the code of what it reverses; RvslInd tells the two apart. Where the ledger does not keep the
    payment's transaction type, the direction of the money tells a purchase from a refund.
    """
    if entry.kind == "opening":
        return BankTransactionCode("ACMT", "OPCL", "ACCO")
    if entry.payment_id is None:
        return BankTransactionCode("PMNT", "NTAV", "NTAV")
    family = "MCRD" if account.type is AccountType.MERCHANT else "CCRD"
    return BankTransactionCode("PMNT", family, _sub_family(entry, account))


def _sub_family(entry: StatementEntry, account: StatementAccount) -> str:
    types = {account.type.value, *(each.partition(":")[0] for each in entry.counter_accounts)}
    if types.intersection(_EARNING):
        return "FEES"
    if _is_refund(entry, account):
        return "RIMB"
    if account.type is AccountType.MERCHANT:
        return "POSP"
    return "CWDL" if entry.transaction_type == _CASH_TYPE else "POSD"


def _is_refund(entry: StatementEntry, account: StatementAccount) -> bool:
    if entry.transaction_type is not None:
        return entry.transaction_type.startswith(_CREDIT_TYPES)
    towards_cardholder = (entry.amount_minor > 0) == (account.type is AccountType.CUSTOMER)
    return towards_cardholder != bool(entry.reverses)
