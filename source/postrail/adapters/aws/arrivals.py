"""The two doors of the system, behind one duplicate check: rows of the authorizations table and bus events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from postrail.adapters.aws.messages import Message
from postrail.adapters.aws.stream_records import read_stream_record
from postrail.contracts.events import DuplicateParked, Event, Metadata, PaymentAccepted, PaymentAuthorized
from postrail.ports import Clock, DedupStore, ParkingLot
from postrail.stages.decode import EventDecoder, Refusal
from postrail.stages.deduplicate import Candidate, Duplicate, deduplicate, park
from postrail.stages.follow_up import encode_event, first_event, follow_up


@dataclass(frozen=True, slots=True)
class Arrival:
    """A candidate and where it came from. `cause` is the event that brought it; a stream record is none."""

    candidate: Candidate
    correlation_id: str
    cause: Metadata | None = None


class ArrivalReader:
    """Reads what comes through either door."""

    def __init__(self) -> None:
        self._decoder = EventDecoder(PaymentAuthorized, refuses_clear_pans=True)

    def read(self, message: Message) -> Arrival | Refusal:
        """The arrival in a message, or why it is refused. An event's own id is its owner: a redelivery keeps it."""
        if message.record is not None:
            row = read_stream_record(message)
            return row if isinstance(row, Refusal) else Arrival(*row)
        delivered = self._decoder.decode(message.body)
        if isinstance(delivered, Refusal):
            return delivered
        metadata, data = delivered.detail.metadata, delivered.detail.data
        candidate = Candidate(metadata.event_id, data.authorization, message.body)
        return Arrival(candidate, metadata.correlation_id, metadata)


def arrival_ids(arrival: Arrival) -> tuple[str, str]:
    """Payment and correlation id of an arrival."""
    return arrival.candidate.authorization.payment_id, arrival.correlation_id


class DuplicateCheck:
    """The duplicate check with its effects as events."""

    def __init__(self, *, store: DedupStore, parking_lot: ParkingLot, clock: Clock, producer: str) -> None:
        self._store = store
        self._parking_lot = parking_lot
        self._clock = clock
        self._producer = producer

    def judge(self, arrivals: Sequence[Arrival]) -> list[list[Event[Any]]]:
        """PaymentAccepted or, once the duplicate is parked, DuplicateParked for each arrival; results align."""
        verdicts = deduplicate([arrival.candidate for arrival in arrivals], store=self._store)
        duplicates = [verdict for verdict in verdicts if isinstance(verdict, Duplicate)]
        parked = iter(park(duplicates, parking_lot=self._parking_lot, clock=self._clock))
        return [
            [self._event(arrival, next(parked) if isinstance(verdict, Duplicate) else verdict)]
            for arrival, verdict in zip(arrivals, verdicts, strict=True)
        ]

    def _event(self, arrival: Arrival, data: PaymentAccepted | DuplicateParked) -> Event[Any]:
        if arrival.cause is not None:
            cause_type = PaymentAuthorized.detail_type()
            return follow_up(arrival.cause, cause_type, data, producer=self._producer, clock=self._clock)
        return first_event(
            data,
            owner=arrival.candidate.owner,
            caused_at=arrival.candidate.authorization.authorized_at,
            correlation_id=arrival.correlation_id,
            producer=self._producer,
            clock=self._clock,
        )


def return_accepted(events: Sequence[Event[Any]]) -> tuple[list[Event[Any]], list[Any]]:
    """For the Pipe: it puts the returned details on the bus as PaymentAccepted; what else happened is published."""
    accepted = [event for event in events if isinstance(event.data, PaymentAccepted)]
    others = [event for event in events if not isinstance(event.data, PaymentAccepted)]
    return others, [orjson.loads(encode_event(event)) for event in accepted]
