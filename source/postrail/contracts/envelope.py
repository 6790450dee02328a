"""Making events: metadata that says who, when and because of what."""

from typing import TypeVar

from postrail.contracts.events import Event, EventData, Hop, Metadata
from postrail.domain.card import find_clear_pans
from postrail.domain.errors import Permanent, ReasonCode
from postrail.ports import Clock, IdSource

D = TypeVar("D", bound=EventData)


def start_event(data: D, *, correlation_id: str, producer: str, clock: Clock, ids: IdSource) -> Event[D]:
    """The first event of a payment, made by a producer."""
    metadata = Metadata(
        event_id=ids.new_id("evt"),
        payment_id=data.subject_payment_id(),
        correlation_id=correlation_id,
        occurred_at=clock.now(),
        producer=producer,
    )
    return Event[type(data)](metadata=metadata, data=data)  # type: ignore[misc]


def next_event(
    cause: Metadata, cause_type: str, data: D, *, producer: str, clock: Clock, ids: IdSource
) -> Event[D]:
    """The event that follows `cause`; its trail is the cause's trail with the cause itself added."""
    metadata = Metadata.model_construct(
        event_id=ids.new_id("evt"),
        payment_id=data.subject_payment_id(),
        correlation_id=cause.correlation_id,
        causation_id=cause.event_id,
        occurred_at=clock.now(),
        schema_version=data.schema_version,
        producer=producer,
        trail=(*cause.trail, Hop.model_construct(type=cause_type, event_id=cause.event_id, at=cause.occurred_at)),
    )
    return Event[type(data)].model_construct(metadata=metadata, data=data)  # type: ignore[misc]


def refuse_clear_pans(text: str) -> None:
    """Raise Permanent(CLEAR_PAN) when a clear card number stands anywhere in `text`. The error does not show it."""
    if next(find_clear_pans(text), None) is not None:
        raise Permanent(ReasonCode.CLEAR_PAN, "a clear card number stands where only tokens may; send a token")
