"""The posting input as fixed-width records: for core banking systems that take card images.

One header (01), one record for each leg (02), one trailer (09); each 240 ASCII characters and a line feed. The
layout is data, below; docs/posting-inputs.md shows it as a table.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from postrail.contracts.events import PaymentApproved
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.iso4217 import currency_by_code
from postrail.domain.posting import Direction, Posting

RECORD_CHARS: Final = 240
"""Length of a record without its line feed."""


class Kind(StrEnum):
    """How a field is filled."""

    TEXT = "text"
    """Left-aligned, padded with spaces; text that is too long is cut on the right."""
    CODE = "code"
    """As text, but never cut: half an identifier would name something else."""
    NUMBER = "number"
    """Digits, right-aligned, padded with zeros; never cut."""


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of a record; `width` in characters."""

    name: str
    width: int
    kind: Kind
    meaning: str


HEADER: Final = (
    FieldSpec("record_type", 2, Kind.CODE, "01"),
    FieldSpec("layout", 4, Kind.CODE, "PRF1"),
    FieldSpec("transaction_id", 36, Kind.CODE, "ledger transaction"),
    FieldSpec("payment_id", 36, Kind.CODE, "payment"),
    FieldSpec("occurred_at", 20, Kind.CODE, "authorization time, UTC: YYYYMMDDHHMMSSffffff"),
    FieldSpec("transaction_type", 2, Kind.CODE, "DE 3 positions 1-2"),
    FieldSpec("card_token", 19, Kind.CODE, "token of the card, never its number"),
    FieldSpec("amount_minor", 12, Kind.NUMBER, "amount, minor units (DE 4)"),
    FieldSpec("currency", 3, Kind.CODE, "numeric currency of the amount (DE 49)"),
    FieldSpec("billed_minor", 12, Kind.NUMBER, "amount billed, minor units (DE 6)"),
    FieldSpec("billed_currency", 3, Kind.CODE, "numeric currency billed (DE 51)"),
    FieldSpec("stan", 6, Kind.CODE, "systems trace audit number (DE 11)"),
    FieldSpec("rrn", 12, Kind.CODE, "retrieval reference number (DE 37)"),
    FieldSpec("approval_code", 6, Kind.CODE, "approval code (DE 38)"),
    FieldSpec("mcc", 4, Kind.CODE, "merchant category (DE 26)"),
    FieldSpec("merchant_country", 2, Kind.CODE, "country of the merchant, alpha-2"),
    FieldSpec("merchant_name", 25, Kind.TEXT, "cleaned name of the merchant"),
    FieldSpec("holder_name", 35, Kind.TEXT, "account holder"),
    FieldSpec("filler", 1, Kind.TEXT, "space"),
)
"""Layout of the header record."""

LEG: Final = (
    FieldSpec("record_type", 2, Kind.CODE, "02"),
    FieldSpec("leg_number", 4, Kind.NUMBER, "from 0001"),
    FieldSpec("transaction_id", 36, Kind.CODE, "ledger transaction"),
    FieldSpec("account_id", 64, Kind.CODE, "ledger account"),
    FieldSpec("direction", 1, Kind.CODE, "D debit, C credit"),
    FieldSpec("amount_minor", 19, Kind.NUMBER, "amount, minor units"),
    FieldSpec("currency", 3, Kind.CODE, "numeric currency"),
    FieldSpec("decimals", 1, Kind.NUMBER, "decimals of the currency (0, 2 or 3)"),
    FieldSpec("description", 105, Kind.TEXT, "line on the customer's statement"),
    FieldSpec("filler", 5, Kind.TEXT, "spaces"),
)
"""Layout of the record of one leg."""

TRAILER: Final = (
    FieldSpec("record_type", 2, Kind.CODE, "09"),
    FieldSpec("transaction_id", 36, Kind.CODE, "ledger transaction"),
    FieldSpec("leg_count", 4, Kind.NUMBER, "number of leg records"),
    FieldSpec("debit_total", 20, Kind.NUMBER, "hash total: sum of all debit amounts, whatever their currency"),
    FieldSpec("credit_total", 20, Kind.NUMBER, "hash total: sum of all credit amounts, whatever their currency"),
    FieldSpec("filler", 158, Kind.TEXT, "spaces"),
)
"""Layout of the trailer record."""

LAYOUTS: Final[Mapping[str, tuple[FieldSpec, ...]]] = {"header": HEADER, "leg": LEG, "trailer": TRAILER}
"""All record layouts by name, in the order in which they follow each other."""


class FixedWidthPostingInput:
    """Builds the fixed-width posting input: ASCII, records of 240 characters, each ended by a line feed."""

    name = "fixed_width"

    def build(self, posting: Posting, booking: PaymentApproved) -> bytes:
        """The posting input of one payment.

        Raises Permanent: AMOUNT_OVERFLOW for a number and INVALID_VALUE for a code that its field cannot hold.
        """
        records = [
            render(HEADER, _header(posting, booking)),
            *(render(LEG, _leg(posting, number)) for number in range(1, len(posting.legs) + 1)),
            render(TRAILER, _trailer(posting)),
        ]
        return "".join(record + "\n" for record in records).encode("ascii")


def render(layout: tuple[FieldSpec, ...], values: Mapping[str, str | int]) -> str:
    """One record without its line feed. A field without a value is blank. Raises Permanent as `build` does."""
    return "".join(_render_field(spec, values.get(spec.name, "")) for spec in layout)


def _render_field(spec: FieldSpec, value: str | int) -> str:
    text = _ascii(str(value))
    if spec.kind is Kind.TEXT:
        return text[: spec.width].ljust(spec.width)
    if len(text) > spec.width:
        reason = ReasonCode.AMOUNT_OVERFLOW if spec.kind is Kind.NUMBER else ReasonCode.INVALID_VALUE
        raise Permanent(reason, f"the posting input's field {spec.name} holds {spec.width} characters, not {len(text)}")
    return text.rjust(spec.width, "0") if spec.kind is Kind.NUMBER else text.ljust(spec.width)


def _ascii(text: str) -> str:
    """ASCII of the same length or so: accents dropped, what has no ASCII form a question mark, controls a space."""
    decomposed = unicodedata.normalize("NFKD", text)
    kept = "".join(char for char in decomposed if not unicodedata.combining(char))
    printable = "".join(" " if unicodedata.category(char).startswith(("C", "Z")) else char for char in kept)
    return printable.encode("ascii", "replace").decode("ascii")


def _header(posting: Posting, booking: PaymentApproved) -> dict[str, str | int]:
    authorization, enrichment = booking.authorization, booking.enrichment
    return {
        "record_type": "01",
        "layout": "PRF1",
        "transaction_id": posting.transaction_id,
        "payment_id": posting.payment_id,
        "occurred_at": authorization.authorized_at.strftime("%Y%m%d%H%M%S%f"),
        "transaction_type": authorization.transaction_type,
        "card_token": authorization.card.token,
        "amount_minor": authorization.amount_minor,
        "currency": currency_by_code(authorization.currency).numeric,
        "billed_minor": enrichment.billing.amount_minor,
        "billed_currency": currency_by_code(enrichment.billing.currency).numeric,
        "stan": authorization.stan,
        "rrn": authorization.rrn,
        "approval_code": authorization.approval_code,
        "mcc": authorization.merchant.mcc,
        "merchant_country": authorization.merchant.country,
        "merchant_name": enrichment.merchant.name,
        "holder_name": enrichment.account.holder_name,
    }


def _leg(posting: Posting, number: int) -> dict[str, str | int]:
    leg = posting.legs[number - 1]
    currency = currency_by_code(leg.currency)
    return {
        "record_type": "02",
        "leg_number": number,
        "transaction_id": posting.transaction_id,
        "account_id": leg.account_id,
        "direction": "D" if leg.direction is Direction.DEBIT else "C",
        "amount_minor": leg.amount_minor,
        "currency": currency.numeric,
        "decimals": currency.exponent,
        "description": posting.description,
    }


def _trailer(posting: Posting) -> dict[str, str | int]:
    totals = dict.fromkeys(Direction, 0)
    for leg in posting.legs:
        totals[leg.direction] += leg.amount_minor
    return {
        "record_type": "09",
        "transaction_id": posting.transaction_id,
        "leg_count": len(posting.legs),
        "debit_total": totals[Direction.DEBIT],
        "credit_total": totals[Direction.CREDIT],
    }
