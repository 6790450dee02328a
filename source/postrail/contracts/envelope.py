"""Making events: metadata that says who, when and because of what."""

from functools import cache
from typing import Any, TypeVar

from postrail.contracts.base import trusted
from postrail.contracts.events import Event, EventData, Hop, Metadata
from postrail.domain.card import find_clear_pans
from postrail.domain.errors import Permanent, ReasonCode
from postrail.ports import Clock, IdSource

D = TypeVar("D", bound=EventData)


@cache
def event_class(data_class: type[D]) -> type[Event[D]]:
    """`Event` for one kind of data; pydantic builds each such class once."""
    parametrized: Any = Event
    return parametrized[data_class]  # type: ignore[no-any-return]


def start_event(data: D, *, correlation_id: str, producer: str, clock: Clock, ids: IdSource) -> Event[D]:
    """The first event of a payment, made by a producer."""
    metadata = Metadata(
        event_id=ids.new_id("evt"),
        payment_id=data.subject_payment_id(),
        correlation_id=correlation_id,
        occurred_at=clock.now(),
        producer=producer,
    )
    return event_class(type(data))(metadata=metadata, data=data)


def next_event(cause: Metadata, cause_type: str, data: D, *, producer: str, clock: Clock, ids: IdSource) -> Event[D]:
    """The event that follows `cause`; its trail is the cause's trail with the cause itself added."""
    hop = trusted(Hop, {"type": cause_type, "event_id": cause.event_id, "at": cause.occurred_at})
    metadata = trusted(
        Metadata,
        {
            "event_id": ids.new_id("evt"),
            "payment_id": data.subject_payment_id(),
            "correlation_id": cause.correlation_id,
            "causation_id": cause.event_id,
            "occurred_at": clock.now(),
            "schema_version": data.schema_version,
            "producer": producer,
            "trail": (*cause.trail, hop),
        },
    )
    return trusted(event_class(type(data)), {"metadata": metadata, "data": data})


def refuse_clear_pans(text: str) -> None:
    """Raise Permanent(CLEAR_PAN) when a clear card number stands anywhere in `text`. The error does not show it."""
    if next(find_clear_pans(text), None) is not None:
        raise Permanent(ReasonCode.CLEAR_PAN, "a clear card number stands where only tokens may; send a token")
