"""A bench for stage handlers: real handlers on ports in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.fakes.system import FakeClock

from postrail.adapters.aws.arrivals import ArrivalReader, DuplicateCheck, arrival_ids, return_accepted
from postrail.adapters.aws.bus_stage import BusStage, EventReader, Run, delivered_ids
from postrail.adapters.aws.observability import Telemetry
from postrail.adapters.aws.stage_handler import PipeAnswer, StageHandler, publish_everything
from postrail.adapters.memory import MemoryDeadLetters, MemoryDedupStore, MemoryEventBus, MemoryParkingLot
from postrail.contracts.events import EventData
from postrail.ports import DedupStore


@dataclass
class Bench:
    """What the handlers of one test share."""

    bus: MemoryEventBus = field(default_factory=MemoryEventBus)
    dead_letters: MemoryDeadLetters = field(default_factory=MemoryDeadLetters)
    parking_lot: MemoryParkingLot = field(default_factory=MemoryParkingLot)
    clock: FakeClock = field(default_factory=FakeClock)

    def stage(
        self, run: Run, takes: type[EventData], *, pipe_answer: PipeAnswer = publish_everything
    ) -> StageHandler[Any]:
        """A stage `run` that takes one event type."""
        return self.handler(
            read=EventReader(takes).read,
            ids_of=delivered_ids,
            work=BusStage(run, producer="test", clock=self.clock).answer,
            pipe_answer=pipe_answer,
        )

    def deduplicate(self, store: DedupStore | None = None) -> StageHandler[Any]:
        """The stage behind both doors."""
        check = DuplicateCheck(
            store=store or MemoryDedupStore(clock=self.clock),
            parking_lot=self.parking_lot,
            clock=self.clock,
            producer="deduplicate",
        )
        return self.handler(
            read=ArrivalReader().read, ids_of=arrival_ids, work=check.judge, pipe_answer=return_accepted
        )

    def handler(self, *, work: Callable[[Sequence[Any]], Any], **parts: Any) -> StageHandler[Any]:
        return StageHandler(
            "test",
            work=work,
            bus=self.bus,
            dead_letters=self.dead_letters,
            telemetry=Telemetry("test"),
            **parts,
        )

    def published(self) -> list[str]:
        """Detail types on the bus, in order."""
        return [detail_type for detail_type, _ in self.bus.taken]


@pytest.fixture
def bench() -> Bench:
    return Bench()
