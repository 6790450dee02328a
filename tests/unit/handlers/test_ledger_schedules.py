"""The functions that keep the ledger in order by the clock: the sweep over holds, and the anchors."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from tests.fakes.system import NOON, FakeClock

from postrail.adapters.aws.ledger_functions import HoldSweep, LedgerAnchoring
from postrail.adapters.aws.observability import Telemetry
from postrail.domain.anchor import Anchor, AnchorUnusable, LaneHead
from postrail.domain.errors import Retryable


@dataclass
class Holds:
    """So many holds are due; each call is noted."""

    due: int
    calls: list[tuple[datetime, int]] = field(default_factory=list)

    def expire(self, now: datetime, *, limit: int) -> list[str]:
        self.calls.append((now, limit))
        ended = min(self.due, limit)
        self.due -= ended
        return ["hld_" + "0" * 32] * ended


@dataclass
class Shelf:
    """Keeps anchors, or refuses to."""

    refuses: bool = False
    kept: list[Anchor] = field(default_factory=list)

    def keep(self, anchor: Anchor) -> str:
        if self.refuses:
            msg = "s3://anchors/x cannot be written (AccessDenied)."
            raise AnchorUnusable(msg)
        self.kept.append(anchor)
        return "s3://anchors/x"

    def read(self) -> Iterator[Anchor]:
        return iter(self.kept)


def _sweep(holds: Holds, seconds: Callable[[], float] = lambda: 0.0) -> HoldSweep:
    return HoldSweep(holds=holds, clock=FakeClock(), telemetry=Telemetry("expire_holds"), seconds=seconds)


def _metrics(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The metrics of the one EMF line, by name."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert len(lines) == 1
    names = [each["Name"] for each in lines[0]["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    return {name: lines[0][name] for name in names}


def test_all_holds_that_are_due_are_ended_set_by_set(capsys: pytest.CaptureFixture[str]) -> None:
    """At most a thousand at once, all due by the moment at which the sweep began; their number is a metric."""
    holds = Holds(due=2_500)
    assert _sweep(holds).handle({"scheduled": True}) == {"expired": 2_500, "cut_short": 0}
    assert set(holds.calls) == {(NOON, 1_000)}
    assert _metrics(capsys) == {"HoldsExpired": [2_500.0], "HoldSweepsCutShort": [0.0]}


def test_a_set_that_is_smaller_does_not_end_the_sweep() -> None:
    """Holds of busy accounts make a set small, and there may be more behind them."""

    class BusyHolds(Holds):
        def expire(self, now: datetime, *, limit: int) -> list[str]:
            return super().expire(now, limit=limit - 7)

    assert _sweep(BusyHolds(due=3_000)).handle({})["expired"] == 3_000


def test_without_due_holds_it_asks_once() -> None:
    holds = Holds(due=0)
    assert _sweep(holds).handle({}) == {"expired": 0, "cut_short": 0}
    assert len(holds.calls) == 1


def test_a_sweep_ends_before_the_next_tick_and_says_that_more_is_left() -> None:
    """One set in 15 seconds: after the third it is time."""
    ticks = iter(range(0, 10_000, 15))
    holds = Holds(due=50_000)
    assert _sweep(holds, lambda: float(next(ticks))).handle({}) == {"expired": 3_000, "cut_short": 1}
    assert holds.due == 47_000


def _anchor() -> Anchor:
    return Anchor(NOON, (LaneHead(1, 3, 9, bytes(32), NOON), LaneHead(2, 4, 8, bytes(32), NOON)))


def test_an_anchor_is_kept_and_its_place_and_root_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    shelf = Shelf()
    function = LedgerAnchoring(take=_anchor, store=shelf, telemetry=Telemetry("anchor_ledger"))
    assert function.handle({}) == {"place": "s3://anchors/x", "root": _anchor().root, "batches": 7}
    assert shelf.kept == [_anchor()]
    assert _metrics(capsys) == {"AnchorsKept": [1.0], "BatchesAnchored": [7.0]}


def test_an_anchor_that_cannot_be_kept_fails_the_invocation() -> None:
    """Lambda counts an error, tries again, and the alarm on missing anchors is not fooled."""
    function = LedgerAnchoring(take=_anchor, store=Shelf(refuses=True), telemetry=Telemetry("anchor_ledger"))
    with pytest.raises(AnchorUnusable, match="AccessDenied"):
        function.handle({})


def test_a_ledger_that_is_away_fails_the_invocation() -> None:
    def away() -> Anchor:
        msg = "the ledger does not answer"
        raise Retryable(msg)

    shelf = Shelf()
    with pytest.raises(Retryable):
        LedgerAnchoring(take=away, store=shelf, telemetry=Telemetry("anchor_ledger")).handle({})
    assert shelf.kept == []
