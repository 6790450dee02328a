"""post: the posting engine. Gathers the parts of each sequence, and posts a complete one whole, in one transaction.

Parts come in any order and more than once; the ledger keeps them until a sequence is complete. Everything that one
call does (parts kept, payments posted, events for the outbox) is one ledger transaction: all of it stays, or none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from postrail.contracts.base import trusted
from postrail.contracts.envelope import next_event
from postrail.contracts.events import (
    Event,
    EventData,
    Metadata,
    PaymentApproved,
    PaymentPosted,
    PaymentPostingFailed,
    PostingRequested,
)
from postrail.contracts.payment import Authorization, LegData
from postrail.domain.authorization import is_advice
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.posting import Leg, Posting, check_balanced, missing_indexes
from postrail.ports import (
    Clock,
    CompleteSequence,
    IdSource,
    Ledger,
    LedgerSession,
    PostingInputFormat,
    PostingOrder,
    PostResult,
    PostStatus,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# What a named tuple's own constructor calls in the end.
_new_tuple: Final = tuple.__new__
_REASON_CHARS_MAX: Final = 140


@dataclass(frozen=True, slots=True)
class PostReport:
    """What became of the sequences that a batch of parts belonged to.

    `waiting` are those which this batch neither completed nor broke: parts are missing, or the sequence was closed
    before and the part came again. `events` are in the outbox and leave because the transaction has committed.
    `authorized_at_us` aligns with `posted`: when each payment was authorized, microseconds since 1970.
    """

    posted: tuple[PostResult, ...]
    refused: tuple[PostResult, ...]
    waiting: tuple[str, ...]
    events: tuple[Event[Any], ...]
    authorized_at_us: tuple[int, ...] = ()


def post(
    parts: Sequence[Event[PostingRequested]],
    *,
    ledger: Ledger,
    input_format: PostingInputFormat,
    clock: Clock,
    ids: IdSource,
    producer: str = "post",
) -> PostReport:
    """Take the parts in and post every sequence that is now complete, in one ledger transaction.

    A sequence that contradicts itself or that the ledger refuses is closed with a reason and a PaymentPostingFailed;
    its neighbours are posted. Raises Retryable when the transaction as a whole failed: nothing was kept then, and
    the same parts can be given again.
    """
    engine = _Engine(parts, input_format, clock, ids, producer)
    with ledger.session() as session:
        engine.run(session)
    return engine.report()


class _Engine:
    """One batch of parts on its way through one ledger session."""

    def __init__(
        self,
        parts: Sequence[Event[PostingRequested]],
        input_format: PostingInputFormat,
        clock: Clock,
        ids: IdSource,
        producer: str,
    ) -> None:
        self._parts = parts
        self._input_format = input_format
        self._clock = clock
        self._ids = ids
        self._producer = producer
        # The last part to arrive is what completed, or broke, a sequence: the cause of what follows.
        self._cause = {part.data.sequence_id: part.metadata for part in parts}
        self._posted: list[PostResult] = []
        self._authorized_at_us: list[int] = []
        self._refused: list[PostResult] = []
        self._events: list[Event[Any]] = []

    def run(self, session: LedgerSession) -> None:
        """Receive, assemble, post, and put what happened into the outbox."""
        complete = session.receive_parts(self._parts)
        for part in session.inconsistent():
            self._fail(part.data, "", ReasonCode.SEQUENCE_INCONSISTENT, "a part contradicts its sequence")
        assembled = [(one.parts[0], order) for one in complete if (order := self._assemble(one, session)) is not None]
        results = session.post([order for _, order in assembled]) if assembled else []
        for (first, order), result in zip(assembled, results, strict=True):
            self._settle(first, order.posting, result)
        if self._events:
            session.enqueue(self._events)

    def report(self) -> PostReport:
        """What became of the batch's sequences."""
        closed = {result.sequence_id for result in (*self._posted, *self._refused)}
        waiting = tuple(sequence_id for sequence_id in self._cause if sequence_id not in closed)
        return PostReport(
            tuple(self._posted), tuple(self._refused), waiting, tuple(self._events), tuple(self._authorized_at_us)
        )

    def _assemble(self, sequence: CompleteSequence, session: LedgerSession) -> PostingOrder | None:
        """The order of a complete sequence; None when it was refused here."""
        transaction_id = self._ids.new_id("txn")
        try:
            return _order(sequence, transaction_id, self._input_format)
        except Permanent as refusal:
            session.refuse(sequence.sequence_id, refusal.reason, refusal.detail)
            self._fail(sequence.parts[0].data, transaction_id, refusal.reason, refusal.detail)
            return None

    def _settle(self, first: Event[PostingRequested], posting: Posting, result: PostResult) -> None:
        if result.status is not PostStatus.POSTED:
            reason = result.reason or ReasonCode.POSTING_CONFLICT
            self._fail(first.data, result.transaction_id, reason, result.detail or "the ledger refused the posting")
            return
        self._posted.append(result)
        self._authorized_at_us.append(posting.occurred_at_us)
        self._emit(
            trusted(
                PaymentPosted,
                {
                    "payment_id": posting.payment_id,
                    "sequence_id": posting.sequence_id,
                    "transaction_id": result.transaction_id,
                    "payment_key": posting.payment_key,
                    "legs": _leg_data(posting),
                    "posted_at": self._clock.now(),
                },
            ),
            self._cause.get(result.sequence_id, first.metadata),
        )

    def _fail(self, data: PostingRequested, transaction_id: str, reason: ReasonCode, detail: str) -> None:
        self._refused.append(PostResult(data.sequence_id, PostStatus.REFUSED, transaction_id, reason, detail))
        failed = PaymentPostingFailed(
            payment_id=data.payment_id,
            sequence_id=data.sequence_id,
            payment_key=data.payment_key,
            reason_code=reason,
            reason=detail[:_REASON_CHARS_MAX],
        )
        self._emit(failed, self._cause[data.sequence_id])

    def _emit(self, data: EventData, cause: Metadata) -> None:
        cause_type = PostingRequested.detail_type()
        self._events.append(
            next_event(cause, cause_type, data, producer=self._producer, clock=self._clock, ids=self._ids)
        )


def build_posting(parts: Sequence[PostingRequested], *, transaction_id: str) -> Posting:
    """All parts of one sequence, sorted by index, as the one posting that they make up.

    Raises Permanent: SEQUENCE_INCONSISTENT when the parts are not one whole sequence, UNBALANCED or INVALID_AMOUNT
    when their legs are no posting.
    """
    return _posting_of(parts, _check_sequence(parts), transaction_id)


def _posting_of(parts: Sequence[PostingRequested], booking: PaymentApproved, transaction_id: str) -> Posting:
    first = parts[0]
    legs = tuple(
        [
            _new_tuple(Leg, (leg.account_id, leg.direction, leg.amount_minor, leg.currency))
            for part in parts
            for leg in part.part.legs
        ]
    )
    check_balanced(legs)
    return Posting(
        transaction_id=transaction_id,
        sequence_id=first.sequence_id,
        payment_id=first.payment_id,
        payment_key=first.payment_key,
        fingerprint=first.fingerprint,
        legs=legs,
        occurred_at_us=_microseconds(booking.authorization.authorized_at - _EPOCH),
        description=booking.enrichment.description,
    )


def _microseconds(span: timedelta) -> int:
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def _order(sequence: CompleteSequence, transaction_id: str, input_format: PostingInputFormat) -> PostingOrder:
    """What the ledger is to post. Raises Permanent when the parts do not make up one balanced posting."""
    parts = [part.data for part in sequence.parts]
    booking = _check_sequence(parts)
    posting = _posting_of(parts, booking, transaction_id)
    return order_of(
        posting, booking.authorization, input_format.build(posting, booking), input_format.name, sequence.parts[0]
    )


def order_of(
    posting: Posting,
    authorization: Authorization,
    posting_input: bytes = b"",
    posting_input_format: str = "",
    booking: Event[PostingRequested] | None = None,
) -> PostingOrder:
    """The order of a payment: it captures and ends the hold that the issuer placed for it, if there is one.

    What the issuer approved with a hold, or was told of by an advice (ISO 8583 MTI x12x: after the fact), it owes.
    """
    hold_id = authorization.hold_id
    return PostingOrder(
        posting,
        posting_input,
        posting_input_format,
        booking,
        hold_id=hold_id,
        final_capture=hold_id is not None,
        owed=hold_id is not None or is_advice(authorization.message_type),
    )


def _check_sequence(parts: Sequence[PostingRequested]) -> PaymentApproved:
    """The booking that part 1 carries. Raises Permanent(SEQUENCE_INCONSISTENT) unless all parts are of one sequence."""
    first = parts[0]
    identity = _identity(first)
    for part in parts[1:]:
        if _identity(part) != identity:
            reason = ReasonCode.SEQUENCE_INCONSISTENT
            raise Permanent(reason, "the parts disagree on payment, key, fingerprint or total")
    indexes = [part.index for part in parts]
    if indexes != list(range(1, first.total + 1)):
        missing = missing_indexes(indexes, first.total)
        raise Permanent(ReasonCode.SEQUENCE_INCONSISTENT, f"parts {indexes} of {first.total}: missing {missing}")
    if first.booking is None or first.booking.authorization.payment_id != first.payment_id:
        raise Permanent(ReasonCode.SEQUENCE_INCONSISTENT, "part 1 does not carry the approved payment")
    return first.booking


def _identity(part: PostingRequested) -> tuple[str, str, str, str, int]:
    """What all parts of one sequence share."""
    return part.sequence_id, part.payment_id, part.payment_key, part.fingerprint, part.total


def _leg_data(posting: Posting) -> tuple[LegData, ...]:
    return tuple([trusted(LegData, leg._asdict()) for leg in posting.legs])
