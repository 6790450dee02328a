"""A stage that takes one event type from the bus and answers with events: what most stages are."""

from collections.abc import Callable, Sequence
from typing import Any

from postrail.adapters.aws.messages import Message
from postrail.contracts.events import Delivered, Event, EventData
from postrail.ports import Clock
from postrail.stages.decode import EventDecoder, Refusal
from postrail.stages.follow_up import follow_up

Run = Callable[[list[Any]], Sequence[EventData | Sequence[EventData]]]
"""A stage function with its ports bound: data in, one outcome or a list of them for each, aligned."""


class EventReader:
    """Reads events of the expected types from messages of any form."""

    def __init__(self, *expected: type[EventData]) -> None:
        self._decoder = EventDecoder(*expected)

    def read(self, message: Message) -> Delivered[Any] | Refusal:
        """The event in a message, or why it is refused."""
        return self._decoder.decode(message.body)


def delivered_ids(delivered: Delivered[Any]) -> tuple[str, str]:
    """Payment and correlation id of an event."""
    return delivered.detail.metadata.payment_id, delivered.detail.metadata.correlation_id


class BusStage:
    """Runs a stage function on the data of events and wraps its outcomes as events that follow from them."""

    def __init__(self, run: Run, *, producer: str, clock: Clock) -> None:
        self._run = run
        self._producer = producer
        self._clock = clock

    def answer(self, events: Sequence[Delivered[Any]]) -> list[list[Event[Any]]]:
        """The events that follow from each event; results align."""
        outcomes = self._run([delivered.detail.data for delivered in events])
        return [self._wrap(delivered, outcome) for delivered, outcome in zip(events, outcomes, strict=True)]

    def _wrap(self, cause: Delivered[Any], outcome: EventData | Sequence[EventData]) -> list[Event[Any]]:
        effects = [outcome] if isinstance(outcome, EventData) else outcome
        return [
            follow_up(
                cause.detail.metadata,
                cause.detail_type,
                data,
                producer=self._producer,
                clock=self._clock,
                index=index,
            )
            for index, data in enumerate(effects)
        ]
