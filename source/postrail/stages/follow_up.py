"""Events that follow from an event: their making, their identity and their JSON.

Delivery is at least once, so a stage may answer one event several times. The id of an answer is therefore derived
from the id of its cause: the same cause gives the same answer the same id, and whoever keeps events by id (the audit
trail, a consumer's own memory) keeps one.
"""

import hashlib
from datetime import datetime
from typing import Any, TypeVar

from postrail.contracts.envelope import next_event, start_event
from postrail.contracts.events import Event, EventData, Metadata
from postrail.domain.ids import format_uuid7
from postrail.ports import Clock

DataT = TypeVar("DataT", bound=EventData)


class EffectIds:
    """An id source whose ids depend on the cause alone: its id, its time, the effect's type and its index."""

    def __init__(self, cause_id: str, caused_at: datetime, effect_type: str, index: int = 0) -> None:
        self._seed = f"{cause_id}/{effect_type}/{index}"
        self._unix_ms = int(caused_at.timestamp() * 1000)

    def new_id(self, prefix: str) -> str:
        """A prefixed UUIDv7 whose 80 random bits are a hash of the cause; the same for the same cause."""
        digest = hashlib.blake2b(f"{prefix}/{self._seed}".encode(), digest_size=10).digest()
        return format_uuid7(prefix, self._unix_ms, int.from_bytes(digest, "big"))


def follow_up(
    cause: Metadata, cause_type: str, data: DataT, *, producer: str, clock: Clock, index: int = 0
) -> Event[DataT]:
    """The event that says `data` because of `cause`. `index` tells several effects of one type apart."""
    ids = EffectIds(cause.event_id, cause.occurred_at, data.detail_type(), index)
    return next_event(cause, cause_type, data, producer=producer, clock=clock, ids=ids)


def first_event(
    data: DataT, *, owner: str, caused_at: datetime, correlation_id: str, producer: str, clock: Clock
) -> Event[DataT]:
    """The first event of a payment that came in without one (a row of the authorizations table).

    `owner` is the id of the record that brought it and takes the cause's place in the event's identity.
    """
    ids = EffectIds(owner, caused_at, data.detail_type())
    return start_event(data, correlation_id=correlation_id, producer=producer, clock=clock, ids=ids)


def encode_event(event: Event[Any]) -> str:
    """The event's JSON, as it stands in `detail`. Fields without a value are left out: their default is None."""
    return event.model_dump_json(by_alias=True, exclude_none=True)
