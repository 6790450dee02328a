"""Writes `camt.054.001.14`, BankToCustomerDebitCreditNotificationV14: what one transaction did to accounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import IO, Final

from lxml import etree

from postrail.contracts.payment import Authorization, EntryMode
from postrail.domain.iso3166 import country_by_alpha2
from postrail.domain.iso4217 import currency_by_numeric
from postrail.domain.statement import AccountNotice, StatementAccount, StatementEntry, turnover_of
from postrail.iso20022.advice import Message, format_instant, format_rate
from postrail.iso20022.cain_layout import ROOT as ADVICE
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

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:camt.054.001.14"
ROOT: Final = "BkToCstmrDbtCdtNtfctn"

_NOTICE_DIGITS: Final = 3
_MESSAGE_ID_CHARS_MAX: Final = 35 - _NOTICE_DIGITS

# BaseOneRate takes 11 digits, 10 of them after the point.
_RATE: Final = Context(prec=11, rounding=ROUND_HALF_EVEN)
_RATE_STEP: Final = Decimal("0.0000000001")
_RATE_MAX: Final = Decimal(10) ** 11

# CardDataReading1Code has no value for e-commerce: digits that were typed, and TxChanl says where.
_READING: Final = {
    EntryMode.CHIP: "CICC",
    EntryMode.CONTACTLESS: "CTLS",
    EntryMode.MAGNETIC_STRIPE: "MGST",
    EntryMode.MANUAL: "PHYS",
    EntryMode.ECOMMERCE: "PHYS",
    EntryMode.CREDENTIAL_ON_FILE: "DFLE",
}
_PRESENT: Final = frozenset({EntryMode.CHIP, EntryMode.CONTACTLESS, EntryMode.MAGNETIC_STRIPE})
_ABSENT: Final = frozenset({EntryMode.ECOMMERCE, EntryMode.CREDENTIAL_ON_FILE})


@dataclass(frozen=True, slots=True)
class CardPayment:
    """What is known of a payment beside its legs: the authorization, and the amount it was billed at.

    `billed_minor` are minor units of `billed_currency`; `rate` is billed currency for one unit of the transaction's,
    None when nothing was converted. `iban` is that of the customer's account.
    """

    authorization: Authorization
    billed_minor: int
    billed_currency: str
    rate: str | None = None
    rate_date: str | None = None
    iban: str | None = None

    @classmethod
    def of(cls, authorization: Authorization, advice: Message) -> "CardPayment":
        """From the authorization and its completed cain.001 advice. Raises KeyError when that is not complete."""
        body = advice[ADVICE]
        amounts = body["TxAmts"]
        currency = currency_by_numeric(amounts["CrdhldrBllgCcy"])
        quotes = body.get("XchgRate") or [{}]
        account = body.get("AcctFr") or body.get("AcctTo") or {}
        return cls(
            authorization=authorization,
            billed_minor=int(Decimal(amounts["CrdhldrBllgAmt"]).scaleb(currency.exponent)),
            billed_currency=currency.code,
            rate=amounts.get("CrdhldrBllgFctvXchgRate"),
            rate_date=quotes[0].get("Dt"),
            iban=account.get("Id"),
        )


def write_notification(
    notices: Sequence[AccountNotice], head: MessageHead, out: IO[bytes], *, payment: CardPayment | None = None
) -> int:
    """Write one notification an account to `out` as XML in UTF-8; returns the number of entries.

    With `payment` the entries tell of card, merchant and conversion. The same arguments give the same bytes. Raises
    ValueError when there is nothing to notify of or the message id is longer than 32 characters, and
    Permanent(AMOUNT_OVERFLOW) for an amount of more than 18 digits.
    """
    if not notices or len(head.message_id) > _MESSAGE_ID_CHARS_MAX:
        msg = f"a notification needs an account and a message id of at most {_MESSAGE_ID_CHARS_MAX} characters"
        raise ValueError(msg)
    with open_message(out, NAMESPACE, ROOT, head) as xml:
        for number, notice in enumerate(notices, start=1):
            xml.write("\n")
            xml.write(_notification(notice, f"{head.message_id}{number:0{_NOTICE_DIGITS}d}", head, payment))
    return sum(len(notice.entries) for notice in notices)


def _notification(
    notice: AccountNotice, identifier: str, head: MessageHead, payment: CardPayment | None
) -> etree._Element:
    part = etree.Element("Ntfctn")
    add(part, "Id", identifier)
    add(part, "CreDtTm", format_instant(head.created_at))
    add_account(part, notice.account)
    turnover = turnover_of(entry.amount_minor for entry in notice.entries)
    add_turnover(part, turnover, notice.account.currency)
    part.extend(_entry(entry, notice.account, payment) for entry in notice.entries)
    return part


def _entry(entry: StatementEntry, account: StatementAccount, payment: CardPayment | None) -> etree._Element:
    part = entry_head(entry, account)
    authorization = payment.authorization if payment else None
    if payment and _is_principal(entry, account, payment):
        _add_conversion(part, payment)
    if authorization:
        _add_card(add(part, "CardTx"), authorization)
    details = add(add(part, "NtryDtls"), "TxDtls")
    references = add_references(details, entry)
    if authorization:
        _add_reference(references, "STAN", authorization.stan)
        _add_reference(references, "APPRVLCD", authorization.approval_code)
    add_amount(details, "Amt", entry.amount_minor, account.currency)
    add(details, "CdtDbtInd", side_of(entry.amount_minor))
    add_counter_account(details, entry)
    if authorization:
        dates = add(details, "RltdDts")
        add(dates, "AccptncDtTm", format_instant(authorization.authorized_at))
        add(dates, "TxDtTm", format_instant(authorization.transmission_at))
        _add_individual(details, authorization)
    add_text(part, "AddtlNtryInf", entry.description, 500)
    return part


def _is_principal(entry: StatementEntry, account: StatementAccount, payment: CardPayment) -> bool:
    """Whether the entry is the billed amount itself and no fee beside it: parts are numbered, the principal first."""
    billed = (payment.billed_minor, payment.billed_currency)
    return entry.leg_no <= 2 and (abs(entry.amount_minor), account.currency) == billed


def _add_conversion(part: etree._Element, payment: CardPayment) -> None:
    authorization = payment.authorization
    amounts = add(part, "AmtDtls")
    add_amount(add(amounts, "InstdAmt"), "Amt", authorization.amount_minor, authorization.currency)
    billed = add(amounts, "TxAmt")
    add_amount(billed, "Amt", payment.billed_minor, payment.billed_currency)
    rate = _rate(payment.rate) if payment.rate is not None else None
    if rate is None:
        return
    exchange = add(billed, "CcyXchg")
    add(exchange, "SrcCcy", authorization.currency)
    add(exchange, "TrgtCcy", payment.billed_currency)
    add(exchange, "XchgRate", rate)
    if payment.rate_date is not None:
        add(exchange, "QtnDt", f"{payment.rate_date}T00:00:00Z")


def _rate(text: str) -> str | None:
    """The rate in the 11 digits of BaseOneRate, rounded half to even; None when it is out of their range."""
    rate = _RATE.plus(Decimal(text))
    if rate < _RATE_MAX and rate.as_tuple().exponent < -10:  # type: ignore[operator]
        rate = rate.quantize(_RATE_STEP, rounding=ROUND_HALF_EVEN)
    return format_rate(str(rate)) if 0 < rate < _RATE_MAX else None


def _add_card(part: etree._Element, authorization: Authorization) -> None:
    card = add(part, "Card")
    if authorization.card.issuer_country is not None:
        add(card, "CardCtryCd", country_by_alpha2(authorization.card.issuer_country).numeric)
    # The token. PlainCardData wants a whole card number and is never written.
    add(card, "AddtlCardData", authorization.card.token)
    point = add(part, "POI")
    identity = add(point, "Id")
    add(identity, "Id", authorization.terminal_id)
    add(identity, "Tp", "OPOI")
    merchant = authorization.merchant
    place = " ".join(filter(None, (merchant.name, merchant.city, merchant.country)))
    add_text(point, "SysNm", place, 70)


def _add_reference(references: etree._Element, kind: str, reference: str) -> None:
    if reference.strip():
        part = add(references, "Prtry")
        add(part, "Tp", kind)
        add(part, "Ref", reference.strip())


def _add_individual(details: etree._Element, authorization: Authorization) -> None:
    individual = add(add(add(details, "CardTx"), "Tx"), "Indv")
    context = add(individual, "PmtCntxt")
    mode = authorization.entry_mode
    if mode in _PRESENT or mode in _ABSENT:
        add(context, "CardPres", "true" if mode in _PRESENT else "false")
    if mode is EntryMode.ECOMMERCE:
        add(context, "TxChanl", "ECOM")
    add(context, "CardDataNtryMd", _READING[mode])
    add_path(individual, "TxId/TxDtTm", format_instant(authorization.transmission_at))
    add(individual[-1], "TxRef", authorization.rrn.strip() or authorization.stan)
    if authorization.approval_code.strip():
        add(individual, "VldtnSeqNb", authorization.approval_code.strip())
