"""Where things leave the system, in memory: bus, parking lot, dead letters, outcomes."""

from collections.abc import Sequence
from typing import Any

from postrail.contracts.events import Event
from postrail.domain.card import scrub_pans
from postrail.ports import DeadLetter, ParkedEvent, RecordedOutcome
from postrail.stages.decode import scrub_body
from postrail.stages.follow_up import encode_event


class MemoryEventBus:
    """`ports.EventBus` that keeps what it takes, in order, as (detail type, detail JSON)."""

    def __init__(self, *, refuses: frozenset[str] = frozenset()) -> None:
        """`refuses`: detail types that this bus does not take."""
        self.taken: list[tuple[str, str]] = []
        self.refuses = refuses

    def publish(self, events: "Sequence[Event[Any]]") -> list[int]:
        """Take the events; returns the indexes of those refused."""
        return self.publish_raw([(event.data.detail_type(), encode_event(event)) for event in events])

    def publish_raw(self, entries: Sequence[tuple[str, str]]) -> list[int]:
        """Take (detail type, detail JSON) pairs; returns the indexes of those refused."""
        self.taken.extend(entry for entry in entries if entry[0] not in self.refuses)
        return [index for index, (detail_type, _) in enumerate(entries) if detail_type in self.refuses]


class MemoryParkingLot:
    """`ports.ParkingLot` over a dictionary of URIs."""

    def __init__(self) -> None:
        self.parked: dict[str, ParkedEvent] = {}

    def park(self, events: Sequence[ParkedEvent]) -> list[str]:
        """Keep each event under its owner and payment: parking twice keeps one."""
        uris = [f"memory://parked-events/{event.reason}/{event.payment_id}-{event.owner}" for event in events]
        for uri, event in zip(uris, events, strict=True):
            self.parked.setdefault(uri, event)
        return uris


class MemoryDeadLetters:
    """`ports.DeadLetters` over a list."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def send(self, letters: Sequence[DeadLetter]) -> None:
        """Keep the letters, scrubbed of card numbers."""
        self.letters.extend(
            DeadLetter(
                stage=letter.stage,
                reason=letter.reason,
                detail=scrub_pans(letter.detail),
                body=scrub_body(letter.body),
                payment_id=letter.payment_id,
                correlation_id=letter.correlation_id,
            )
            for letter in letters
        )


class MemoryOutcomeLog:
    """`ports.OutcomeLog` over a dictionary by event id."""

    def __init__(self) -> None:
        self.outcomes: dict[str, RecordedOutcome] = {}

    def record(self, outcomes: Sequence[RecordedOutcome]) -> None:
        """Keep each outcome once, by event id."""
        for outcome in outcomes:
            self.outcomes.setdefault(outcome.event_id, outcome)
