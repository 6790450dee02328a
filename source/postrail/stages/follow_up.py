"""Events that follow from an event: their making, their identity and their JSON.

Delivery is at least once, so a stage may answer one event several times. The id of an answer is therefore derived
from the id of its cause: the same cause gives the same answer the same id, and whoever keeps events by id (the audit
trail, a consumer's own memory) keeps one.
"""

import hashlib
from datetime import datetime
from typing import Any, Final, TypeVar

from postrail.contracts.envelope import next_event, start_event
from postrail.contracts.events import Event, EventData, Metadata
from postrail.domain.ids import format_uuid7
from postrail.ports import Clock

DataT = TypeVar("DataT", bound=EventData)

_UUID7_TIME_DIGITS: Final = 12
"""Hex digits of a UUIDv7 that hold its milliseconds (RFC 9562, section 5.7)."""


class EffectIds:
    """An id source whose ids depend on the cause's id alone, on the effect's type and on its index."""

    def __init__(self, cause_id: str, unix_ms: int, effect_type: str, index: int = 0) -> None:
        """`unix_ms` becomes the ids' timestamp. It must depend on the cause's id alone as well."""
        self._seed = f"{cause_id}/{effect_type}/{index}"
        self._unix_ms = unix_ms

    def new_id(self, prefix: str) -> str:
        """A prefixed UUIDv7 whose 80 random bits are a hash of the cause; the same for the same cause."""
        digest = hashlib.blake2b(f"{prefix}/{self._seed}".encode(), digest_size=10).digest()
        return format_uuid7(prefix, self._unix_ms, int.from_bytes(digest, "big"))


def follow_up(
    cause: Metadata, cause_type: str, data: DataT, *, producer: str, clock: Clock, index: int = 0
) -> Event[DataT]:
    """The event that says `data` because of `cause`. `index` tells several effects of one type apart."""
    # The timestamp inside the cause's id, and not when the cause occurred: a cause that was made again has its id
    # again, but a later time.
    unix_ms = int(cause.event_id.rpartition("_")[2][:_UUID7_TIME_DIGITS], 16)
    ids = EffectIds(cause.event_id, unix_ms, data.detail_type(), index)
    return next_event(cause, cause_type, data, producer=producer, clock=clock, ids=ids)


def first_event(
    data: DataT, *, owner: str, caused_at: datetime, correlation_id: str, producer: str, clock: Clock
) -> Event[DataT]:
    """The first event of a payment that came in without one (a row of the authorizations table).

    `owner` is the id of the record that brought it and takes the cause's place in the event's identity; `caused_at`
    is a time that stands in the record.
    """
    ids = EffectIds(owner, int(caused_at.timestamp() * 1000), data.detail_type())
    return start_event(data, correlation_id=correlation_id, producer=producer, clock=clock, ids=ids)


def encode_event(event: Event[Any]) -> str:
    """The event's JSON, as it stands in `detail`. Fields without a value are left out: their default is None."""
    return event.model_dump_json(by_alias=True, exclude_none=True)
