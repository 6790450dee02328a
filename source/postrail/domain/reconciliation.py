"""What reconciliation finds: differences between what was authorized, what was posted, and what is settled."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class BreakKind(StrEnum):
    """How two sides differ."""

    MISSING = "missing"
    EXTRA = "extra"
    AMOUNT = "amount"
    CURRENCY = "currency"
    CONTENT = "content"
    STATUS = "status"
    DUPLICATE = "duplicate"
    HOLD_UNRESOLVED = "hold_unresolved"
    SEQUENCE_INCOMPLETE = "sequence_incomplete"
    UNSETTLED = "unsettled"
    SETTLED_UNPOSTED = "settled_unposted"
    SETTLED_AMOUNT = "settled_amount"
    SETTLED_CURRENCY = "settled_currency"
    SETTLED_TWICE = "settled_twice"


MEANINGS: Final = MappingProxyType(
    {
        BreakKind.MISSING: "authorized, and neither posted nor ended otherwise",
        BreakKind.EXTRA: "posted, and nobody authorized it",
        BreakKind.AMOUNT: "posted with another amount than was authorized",
        BreakKind.CURRENCY: "posted in another currency than was authorized",
        BreakKind.CONTENT: "posted for another card, merchant or kind of payment than was authorized",
        BreakKind.STATUS: "two ends: posted, and yet declined, rejected, referred or reversed",
        BreakKind.DUPLICATE: "two payments with the same acquirer's key are both in the ledger's books or on their way",
        BreakKind.HOLD_UNRESOLVED: "money held for a payment that has ended, or longer than the hold was to last",
        BreakKind.SEQUENCE_INCOMPLETE: "parts of a posting sequence never came",
        BreakKind.UNSETTLED: "posted, and in no settlement line",
        BreakKind.SETTLED_UNPOSTED: "settled, and never posted",
        BreakKind.SETTLED_AMOUNT: "settled with another amount than was posted",
        BreakKind.SETTLED_CURRENCY: "settled in another currency than was posted",
        BreakKind.SETTLED_TWICE: "settled more than once, the whole amount each time",
    }
)


@dataclass(frozen=True, slots=True)
class AuthorizedPayment:
    """One authorization as the issuer keeps it. Amounts in minor units; `posts` when it is an approval that posts now.

    `fingerprint` and `payment_key` are those of the duplicate check (`domain.authorization`).
    """

    payment_id: str
    payment_key: str
    fingerprint: str
    amount_minor: int
    currency: str
    acceptor_id: str
    correlation_id: str
    authorized_at: datetime
    posts: bool


@dataclass(frozen=True, slots=True)
class SettlementLine:
    """One line of what a scheme settles. A purchase is positive: money that the issuer owes.

    `reference` is a payment id, a payment key or a retrieval reference number; empty for a total, which then names the
    merchant (`acceptor_id`).
    """

    line_no: int
    reference: str
    acceptor_id: str
    amount_minor: int
    currency: str
    value_date: str


@dataclass(frozen=True, slots=True)
class Break:
    """One difference, as it is kept: found again, it is the same break.

    `subject` is what it is about: a payment, a hold, or a settlement line. `amount_minor` is what is at stake.
    """

    break_key: str
    kind: BreakKind
    subject: str
    expected: str
    found: str
    amount_minor: int
    currency: str
    at: datetime | None
    status: str
    first_run: str
    last_run: str


class Action(StrEnum):
    """What a patch does."""

    REPLAY = "replay"
    RELEASE_HOLD = "release_hold"
    REVERSE = "reverse"


@dataclass(frozen=True, slots=True)
class Remedy:
    """What can be done about a break: an action, or the sentence for a person who has to decide."""

    action: Action | None
    advice: str


_REPLAY: Final = Remedy(Action.REPLAY, "it goes through the duplicate check again")
_REVERSE: Final = Remedy(Action.REVERSE, "the posting is taken back by a reversal")
_LOOK: Final = Remedy(
    None, "find out which side is right; a wrong posting is taken back with `postrail ledger reverse`"
)
_CLAIM: Final = Remedy(None, "claim it from the scheme, or accept it with `postrail reconcile accept`")
_LETTER: Final = Remedy(
    None, "it is a dead letter: look at it with `postrail dlq show`, and send it on with `postrail dlq redrive`"
)
_REMEDIES: Final = MappingProxyType(
    {
        BreakKind.MISSING: _REPLAY,
        BreakKind.DUPLICATE: _REPLAY,
        BreakKind.HOLD_UNRESOLVED: Remedy(Action.RELEASE_HOLD, "the hold is released"),
        BreakKind.STATUS: _REVERSE,
        BreakKind.EXTRA: _REVERSE,
        BreakKind.AMOUNT: _LOOK,
        BreakKind.CURRENCY: _LOOK,
        BreakKind.CONTENT: _LOOK,
        BreakKind.SEQUENCE_INCOMPLETE: Remedy(None, "replay its PaymentApproved, so that the parts are made again"),
    }
)


def remedy_for(found: Break) -> Remedy:
    """What can be done about a break without asking anybody for facts."""
    if found.kind is BreakKind.MISSING and found.found.startswith("dead letter"):
        return _LETTER
    return _REMEDIES.get(found.kind, _CLAIM)
