"""The duplicate check: the first sight of a payment goes on, every other is parked.

The dedup store remembers a window of time and is an early filter. That a payment is posted once, for ever, is the
ledger's guarantee and not this one's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from postrail.contracts.base import trusted
from postrail.contracts.events import DuplicateParked, PaymentAccepted
from postrail.contracts.payment import Authorization
from postrail.domain.authorization import acquirer_key, caller_key, content_fingerprint, message_class
from postrail.domain.errors import ReasonCode
from postrail.ports import Claim, ClaimResult, ClaimStatus, Clock, DedupStore, Marker, ParkedEvent, ParkingLot
from postrail.stages.decode import scrub_body


class Candidate(NamedTuple):
    """An authorization that asks to be taken in.

    `owner` is the id of what brought it (the stream record's, or the event's): the same owner may ask again.
    `body` is the text as received, for the parked copy.
    """

    owner: str
    authorization: Authorization
    body: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A candidate that another owner, or another content, came before. `reason` is DUPLICATE or CONFLICT."""

    candidate: Candidate
    payment_key: str
    reason: ReasonCode
    first: Marker


def payment_key_of(authorization: Authorization) -> str:
    """What names this payment: the caller's own key if there is one, else the acquirer's fields."""
    if authorization.idempotency_key is not None:
        return caller_key(authorization.idempotency_key)
    return acquirer_key(
        acquirer_id=authorization.acquirer_id,
        stan=authorization.stan,
        transmission_at=authorization.transmission_at,
        terminal_id=authorization.terminal_id,
        message_class=message_class(authorization.message_type),
    )


def fingerprint_of(authorization: Authorization) -> str:
    """What two messages of one payment must agree in: who pays whom how much, and as what.

    The payment id and the approval code are left out: a repeat may carry new ones.
    """
    return content_fingerprint(
        message_class(authorization.message_type),
        authorization.transaction_type,
        authorization.amount_minor,
        authorization.currency,
        authorization.card.token,
        authorization.merchant.acceptor_id,
    )


def deduplicate(candidates: Sequence[Candidate], *, store: DedupStore) -> list[PaymentAccepted | Duplicate]:
    """Judge every candidate, in order; results align. Raises Retryable when the store cannot answer.

    A retry by the same owner passes again: what followed its first pass may never have happened.
    """
    claims = [
        Claim(
            payment_key=payment_key_of(candidate.authorization),
            owner=candidate.owner,
            fingerprint=fingerprint_of(candidate.authorization),
            payment_id=candidate.authorization.payment_id,
        )
        for candidate in candidates
    ]
    results = store.claim(claims)
    return [
        _verdict(candidate, claim, result) for candidate, claim, result in zip(candidates, claims, results, strict=True)
    ]


def _verdict(candidate: Candidate, claim: Claim, result: ClaimResult) -> PaymentAccepted | Duplicate:
    if result.status is ClaimStatus.NEW or result.status is ClaimStatus.RETRY:
        # The authorization was validated on its way in, key and fingerprint are made above: no second check.
        return trusted(
            PaymentAccepted,
            {
                "authorization": candidate.authorization,
                "payment_key": claim.payment_key,
                "fingerprint": claim.fingerprint,
            },
        )
    reason = ReasonCode.CONFLICT if result.status is ClaimStatus.CONFLICT else ReasonCode.DUPLICATE
    return Duplicate(candidate, claim.payment_key, reason, result.marker)


def park(duplicates: Sequence[Duplicate], *, parking_lot: ParkingLot, clock: Clock) -> list[DuplicateParked]:
    """Keep the duplicates where people can look at them and say so; results align.

    Parking comes before saying so, and both may happen again: the parked copy is keyed by its owner.
    """
    if not duplicates:
        return []
    parked_at = clock.now()
    uris = parking_lot.park(
        [
            ParkedEvent(
                payment_id=duplicate.candidate.authorization.payment_id,
                owner=duplicate.candidate.owner,
                reason=duplicate.reason,
                body=scrub_body(duplicate.candidate.body).encode(errors="replace"),
                first=duplicate.first,
                parked_at=parked_at,
            )
            for duplicate in duplicates
        ]
    )
    return [
        DuplicateParked(
            payment_id=duplicate.candidate.authorization.payment_id,
            payment_key=duplicate.payment_key,
            reason_code=duplicate.reason,
            parked_uri=uri,
            first_payment_id=duplicate.first.payment_id,
            first_seen_at=duplicate.first.seen_at,
        )
        for duplicate, uri in zip(duplicates, uris, strict=True)
    ]
