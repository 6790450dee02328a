"""What a bank or a network tells each minute of its work, as metrics in lines of its log.

Services count since their start; a meter tells what was added since it last did. Response times are a sample: so many
of a minute, each as likely as any other to be in it.
"""

import asyncio
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from aws_lambda_powertools.metrics import MetricUnit

from postrail.adapters.aws.observability import Telemetry

MINUTE_SECONDS: Final = 60.0
SAMPLES_MAX: Final = 500
"""Five lines of a hundred values, which is what a line takes."""
_MS_PER_SECOND: Final = 1_000.0


class LatencySample:
    """A sample of response times of bounded size (reservoir sampling; Vitter, "Random sampling with a reservoir")."""

    __slots__ = ("_kept", "_random", "_seen", "_size")

    def __init__(self, size: int = SAMPLES_MAX, *, seed: int | None = None) -> None:
        """`seed` makes the choice repeatable, for tests."""
        self._size = size
        self._kept: list[float] = []
        self._seen = 0
        self._random = random.Random(seed)

    def add(self, seconds: float) -> None:
        """One response time."""
        self._seen += 1
        if len(self._kept) < self._size:
            self._kept.append(seconds)
            return
        place = int(self._random.random() * self._seen)
        if place < self._size:
            self._kept[place] = seconds

    def take_ms(self) -> list[float]:
        """The sample in milliseconds, to a tenth; the next one begins."""
        taken = [round(seconds * _MS_PER_SECOND, 1) for seconds in self._kept]
        self._kept.clear()
        self._seen = 0
        return taken


@dataclass(frozen=True, slots=True)
class PartyFigures:
    """Counts since the start, and how many links are up now.

    approved   answers that approve (DE 39: 0xx)
    reversed   answers that accept a reversal (4xx)
    declined   all other answers: declined, refused, not understood
    timed_out  of a network, requests that a bank did not answer in time; of a bank, messages that it left unanswered
    stand_in   payments that a network decided on in a bank's stead
    """

    approved: int
    declined: int
    reversed: int
    timed_out: int
    stand_in: int
    links_up: int


class Measured(Protocol):
    """What a meter reads."""

    @property
    def latencies(self) -> LatencySample:
        """From the arrival of a request to its answer."""
        ...

    def figures(self) -> PartyFigures:
        """How it stands; must not wait for anything."""
        ...


def sort_answers(answers: Mapping[str, int]) -> tuple[int, int, int]:
    """(approved, declined, reversed) of answers counted by action code."""
    total = approved = undone = 0
    for code, number in answers.items():
        total += number
        approved += number if code.startswith("0") else 0
        undone += number if code.startswith("4") else 0
    return approved, total - approved - undone, undone


_NOTHING: Final = PartyFigures(0, 0, 0, 0, 0, 0)


@dataclass(slots=True)
class MinuteMeter:
    """Tells of one party, under the dimension `service` of its telemetry."""

    party: Measured
    telemetry: Telemetry
    seconds: float = MINUTE_SECONDS
    _told: PartyFigures = field(default=_NOTHING, init=False)

    def tell(self) -> None:
        """Write what was added since the last time, and how many links are up."""
        now, told, telemetry = self.party.figures(), self._told, self.telemetry
        telemetry.count("SwitchApproved", now.approved - told.approved)
        telemetry.count("SwitchDeclined", now.declined - told.declined)
        telemetry.count("SwitchReversed", now.reversed - told.reversed)
        telemetry.count("SwitchTimedOut", now.timed_out - told.timed_out)
        telemetry.count("SwitchStandIn", now.stand_in - told.stand_in)
        telemetry.measure("LinksUp", now.links_up, MetricUnit.Count)
        for latency_ms in self.party.latencies.take_ms():
            telemetry.measure("SwitchLatency", latency_ms)
        telemetry.flush()
        # Standard output of a process is a pipe, and kept back until it is flushed.
        sys.stdout.flush()
        self._told = now

    async def run(self) -> None:
        """Tell each minute, until it is cancelled; whoever cancels calls `tell` for the last minute."""
        while True:
            await asyncio.sleep(self.seconds)
            self.tell()
