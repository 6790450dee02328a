"""What stages and services ask of the world, as Protocols. Adapters fill them; fakes stand in for them in tests.

All calls take and return batches: one call per batch, not one per payment.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from postrail.domain.anchor import Anchor
from postrail.domain.errors import ReasonCode
from postrail.domain.hold import ExtendHold, Hold, HoldChange, HoldStatus, PlaceHold, ReleaseHold
from postrail.domain.posting import Posting

if TYPE_CHECKING:
    from postrail.contracts.events import Event, PaymentApproved, PostingRequested
    from postrail.contracts.payment import AccountDetails


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """The current instant, aware, UTC."""
        ...


class IdSource(Protocol):
    """Where identifiers come from."""

    def new_id(self, prefix: str) -> str:
        """A new `prefix_` + UUIDv7 in hex."""
        ...


# --- deduplicate ---------------------------------------------------------------------------------------------------


class ClaimStatus(StrEnum):
    """What the dedup store says of a claim; earlier values win."""

    NEW = "new"
    RETRY = "retry"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


class Claim(NamedTuple):
    """A payment key wanted by one owner (the stream record's or the event's id)."""

    payment_key: str
    owner: str
    fingerprint: str
    payment_id: str


class Marker(NamedTuple):
    """Who holds a payment key, and since when."""

    payment_key: str
    owner: str
    fingerprint: str
    payment_id: str
    seen_at: datetime


class ClaimResult(NamedTuple):
    """The verdict on one claim and the marker that stands after it."""

    status: ClaimStatus
    marker: Marker


class DedupStore(Protocol):
    """Remembers payment keys for a window of time."""

    def claim(self, claims: Sequence[Claim]) -> list[ClaimResult]:
        """Claim every key, in order; results align with claims.

        NEW: the key was free or its marker had expired, and is now the claimant's. RETRY: the same owner with the
        same fingerprint holds it. DUPLICATE: another owner, same fingerprint. CONFLICT: another fingerprint,
        whoever the owner is. Two claims on one key in one batch are judged one after the other.
        """
        ...


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that the duplicate check stopped. `body` is the JSON as received, scrubbed of card numbers."""

    payment_id: str
    owner: str
    reason: ReasonCode
    body: bytes
    first: Marker
    parked_at: datetime


class ParkingLot(Protocol):
    """Keeps stopped events where people can look at them (S3 `parked-events`)."""

    def park(self, events: Sequence[ParkedEvent]) -> list[str]:
        """Store each event under a key made of its owner, so that parking twice stores once. Returns the URIs."""
        ...


# --- enrich --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """`rate` units of `target` for one unit of `source`, as published on `day` by `publisher`."""

    source: str
    target: str
    rate: Decimal
    day: date
    publisher: str


class ReferenceBook(Protocol):
    """The issuer's own data about cards, accounts and exchange rates. Cached behind this port."""

    def accounts_by_token(self, tokens: Sequence[str]) -> "Mapping[str, AccountDetails]":
        """The accounts of these card tokens; unknown tokens are absent from the answer."""
        ...

    def rates(self, pairs: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], ExchangeRate]:
        """The current rate of each (source, target) currency pair; unknown pairs are absent."""
        ...


# --- apply_rules ---------------------------------------------------------------------------------------------------


class CardUse(NamedTuple):
    """One payment with a card at a time: what velocity counts."""

    card_token: str
    payment_id: str
    at: datetime


class VelocityBook(Protocol):
    """Counts uses of a card in the clock hour of each use."""

    def observe(self, uses: Sequence[CardUse]) -> list[int]:
        """Record the uses and return, for each, the number of different payments of its card in its clock hour.

        Idempotent: observing a payment again does not count it again.
        """
        ...


# --- post ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CompleteSequence:
    """A posting sequence whose parts are all here and which was not posted yet; parts sorted by index."""

    sequence_id: str
    parts: "tuple[Event[PostingRequested], ...]"


class PostStatus(StrEnum):
    """What the ledger says of one posting; earlier values win."""

    POSTED = "posted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class PostResult:
    """The ledger's answer to one posting. `reason` and `detail` are set when it refused."""

    sequence_id: str
    status: PostStatus
    transaction_id: str
    reason: ReasonCode | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PostingOrder:
    """A posting, and what goes with it.

    On the event road: the issuing bank's posting input, and the approved payment it came from (`booking`). The batch
    road keeps both with its chunk and leaves them out here. `hold_id` names the hold that the posting captures, from
    the account that it debits; `final_capture` ends the hold, whatever is left of it. `owed` says that the issuer has
    to pay, whatever is available or held; a hold that was released undoes that, and the order is refused with
    HOLD_RELEASED (docs/holds.md).
    """

    posting: Posting
    posting_input: bytes = b""
    posting_input_format: str = ""
    booking: "Event[PostingRequested] | None" = None
    hold_id: str | None = None
    final_capture: bool = False
    owed: bool = False


@dataclass(frozen=True, slots=True)
class Announcement:
    """Asks for PaymentPosted events of a whole batch: they are made from the journal when the outbox sends them."""

    correlation_id: str


class LedgerSession(Protocol):
    """One database transaction of the ledger. Leaving it without an exception commits."""

    def receive_parts(self, parts: "Sequence[Event[PostingRequested]]") -> list[CompleteSequence]:
        """Keep the parts (a part seen before is not kept twice) and return the sequences they complete.

        Locks the sequences in sorted order, so that of two sessions that bring the last two parts one sees both.
        A sequence that was posted or refused before is not returned again. A part that contradicts its sequence
        (other total, key or fingerprint, or other content at the same index) marks the sequence as refused with
        SEQUENCE_INCONSISTENT when it has not been posted, and is returned by `inconsistent` of this session.
        """
        ...

    def inconsistent(self) -> "list[Event[PostingRequested]]":
        """The parts that `receive_parts` found in contradiction with their sequence, one per sequence at most."""
        ...

    def post(self, orders: Sequence[PostingOrder], *, announce: Announcement | None = None) -> list[PostResult]:
        """Post each order whole or not at all; a refused order does not touch its neighbours. Results align.

        `announce` puts one row into the outbox that stands for PaymentPosted of all orders posted by this call.
        """
        ...

    def refuse(self, sequence_id: str, reason: ReasonCode, detail: str) -> None:
        """Close a sequence without posting it."""
        ...

    def enqueue(self, events: "Sequence[Event[Any]]") -> None:
        """Put events into the outbox: they leave if, and only if, this transaction commits."""
        ...


class Ledger(Protocol):
    """The double-entry ledger."""

    def session(self) -> AbstractContextManager[LedgerSession]:
        """Open one transaction. Serialization failures, deadlocks and cut connections raise Retryable."""
        ...


class HoldOutcome(StrEnum):
    """What the ledger says of one request about a hold."""

    DONE = "done"
    REPEATED = "repeated"
    REFUSED = "refused"


class HoldResult(NamedTuple):
    """The ledger's answer to one request about a hold.

    REPEATED: the same request was done before, and this one changed nothing; `hold_id` is the hold it was done to.
    `status` and `remaining_minor` tell how the hold stands now, None when there is none; `available_minor` what its
    account has available after this request, None when the account is not known. `reason` and `detail` are set when
    it was refused.
    """

    outcome: HoldOutcome
    hold_id: str
    status: HoldStatus | None
    remaining_minor: int | None
    available_minor: int | None
    reason: ReasonCode | None = None
    detail: str = ""


class HoldBook(Protocol):
    """Money promised and not posted yet. Captures are postings: `PostingOrder.hold_id`.

    Every request has a key of its own: the same key with the same content is done once, with other content it is
    refused with HOLD_CONFLICT. A refusal leaves no trace, so that a request asked again is judged anew.
    """

    def place(self, requests: Sequence[PlaceHold]) -> list[HoldResult]:
        """Place each hold or refuse it alone, one after the other; results align."""
        ...

    def change(self, requests: Sequence[ExtendHold | ReleaseHold]) -> list[HoldResult]:
        """Extend or release each hold, or refuse it alone, one after the other; results align."""
        ...

    def expire(self, now: datetime, *, limit: int) -> list[str]:
        """End at most `limit` holds that are due, those due longest first, and return their ids.

        Holds of accounts that are busy are left for the next call.
        """
        ...

    def find(self, hold_ids: Sequence[str]) -> list[Hold]:
        """The holds of these ids, in their order; unknown ones are absent."""
        ...

    def history(self, hold_id: str) -> list[HoldChange]:
        """What happened to a hold, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class ReversalResult:
    """The ledger's answer to one reversal: `transaction_id` is the reversal that stands, None when none does."""

    original_id: str
    status: PostStatus
    transaction_id: str | None
    reason: ReasonCode | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One event waiting to be published: its detail type and its JSON."""

    outbox_id: int
    detail_type: str
    detail: str


class Outbox(Protocol):
    """Events that were committed with the state they speak of, until the bus has taken them."""

    def claim_unsent(self, limit: int) -> list[OutboxRow]:
        """Up to `limit` unsent rows, oldest first, leased to this caller for a short time."""
        ...

    def mark_sent(self, outbox_ids: Sequence[int]) -> None:
        """The bus has taken these."""
        ...

    def backlog(self) -> tuple[int, float]:
        """How many events are unsent, counted up to a bound, and the age of the oldest in seconds; 0.0: none."""
        ...


class AnchorStore(Protocol):
    """Keeps anchors of the ledger's hash chains, out of reach of whoever may write to the database."""

    def keep(self, anchor: Anchor) -> str:
        """Keep one more, for good; where it lies now. Raises AnchorUnusable."""
        ...

    def read(self) -> Iterator[Anchor]:
        """What is kept, oldest first. Raises AnchorUnusable, also when there is nothing."""
        ...


class PostingInputFormat(Protocol):
    """The issuing bank's own format of a posting input."""

    name: str

    def build(self, posting: Posting, booking: "PaymentApproved") -> bytes:
        """The posting input of one payment."""
        ...


# --- the bus, dead letters, outcomes -------------------------------------------------------------------------------


class EventBus(Protocol):
    """The published boundary of the system."""

    def publish(self, events: "Sequence[Event[Any]]") -> list[int]:
        """Publish the events, in tens; failed entries alone are sent again, a bounded number of times.

        Returns the indexes of events that the bus did not take in the end.
        """
        ...

    def publish_raw(self, entries: Sequence[tuple[str, str]]) -> list[int]:
        """The same for (detail type, detail JSON) pairs, for the outbox."""
        ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An input that can never be processed. `body` is scrubbed of card numbers before it is kept."""

    stage: str
    reason: ReasonCode
    detail: str
    body: str
    payment_id: str | None
    correlation_id: str | None


class DeadLetters(Protocol):
    """The stage's dead-letter queue."""

    def send(self, letters: Sequence[DeadLetter]) -> None:
        """Keep the letters, reason and payment id as message attributes. Raises Retryable when it cannot."""
        ...


@dataclass(frozen=True, slots=True)
class RecordedOutcome:
    """Where a payment's road ended, for the audit trail."""

    payment_id: str
    correlation_id: str
    detail_type: str
    event_id: str
    occurred_at: datetime
    reason_code: str | None
    event: str


class OutcomeLog(Protocol):
    """The audit trail of payments that ended outside the ledger."""

    def record(self, outcomes: Sequence[RecordedOutcome]) -> None:
        """Keep each outcome once, by event id."""
        ...
