"""What banks and networks tell each minute."""

import asyncio
import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.builders.emf import EmfLine, read_emf, totals

from postrail.adapters.aws.observability import Telemetry
from switch.correlation import correlation_of
from switch.iso8583.message import Message
from switch.meter import SAMPLES_MAX, LatencySample, MinuteMeter, PartyFigures, sort_answers

BUSY = PartyFigures(approved=90, declined=7, reversed=2, timed_out=3, stand_in=1, links_up=2)


@dataclass
class Party:
    now: PartyFigures = BUSY
    latencies: LatencySample = field(default_factory=lambda: LatencySample(seed=1))

    def figures(self) -> PartyFigures:
        return self.now


def meter_of(party: Party) -> MinuteMeter:
    return MinuteMeter(party, Telemetry("acme-bank", namespace="Postrail/postrail-test"))


def told(capsys: pytest.CaptureFixture[str]) -> list[EmfLine]:
    return read_emf(capsys.readouterr().out)


def test_a_minute_tells_what_was_added_and_how_many_links_are_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Counts of a process go on; those of a minute begin anew."""
    party = Party()
    meter = meter_of(party)
    meter.tell()
    party.now = replace(BUSY, approved=100, links_up=1)
    told(capsys)
    meter.tell()
    assert totals(told(capsys), service="acme-bank") == {
        "SwitchApproved": 10,
        "SwitchDeclined": 0,
        "SwitchReversed": 0,
        "SwitchTimedOut": 0,
        "SwitchStandIn": 0,
        "LinksUp": 1,
    }


def test_response_times_are_told_in_milliseconds_a_hundred_to_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    party = Party()
    for number in range(250):
        party.latencies.add(number / 1_000)
    meter_of(party).tell()
    lines = [line.metrics["SwitchLatency"] for line in told(capsys) if "SwitchLatency" in line.metrics]
    assert sorted(value for values in lines for value in values) == [float(number) for number in range(250)]


def test_the_next_minute_begins_with_an_empty_sample(capsys: pytest.CaptureFixture[str]) -> None:
    party = Party()
    party.latencies.add(0.5)
    meter = meter_of(party)
    meter.tell()
    told(capsys)
    meter.tell()
    assert all("SwitchLatency" not in line.metrics for line in told(capsys))


def test_a_sample_is_bounded_and_stands_for_all_of_the_minute() -> None:
    """Of a hundred thousand payments five hundred are told; their median is near that of all."""
    sample, source = LatencySample(seed=7), random.Random(7)
    for _ in range(100_000):
        sample.add(source.random())
    kept = sorted(sample.take_ms())
    assert len(kept) == SAMPLES_MAX
    assert 430 < kept[SAMPLES_MAX // 2] < 570


def test_answers_are_sorted_by_action_code() -> None:
    """ISO 8583:1993: 0xx approves, 4xx accepts a reversal; 1xx, 2xx and 9xx do not do what was asked."""
    assert sort_answers({"000": 5, "002": 1, "116": 2, "208": 1, "909": 1, "400": 3}) == (6, 4, 3)


def test_a_meter_tells_each_minute_until_it_is_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    meter = replace(meter_of(Party()), seconds=0.0)

    async def run() -> None:
        task = asyncio.create_task(meter.run())
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert len(told(capsys)) > 1


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, "iso:12345678901:000042:261121120000:TERM0001:11", id="a request"),
        pytest.param(
            {56: "110000004126112111000011" + "12345678901"},
            "iso:12345678901:000041:261121110000:TERM0001:11",
            id="a message that speaks of another",
        ),
        pytest.param(
            {56: "?"}, "iso:12345678901:000042:261121120000:TERM0001:11", id="an original that cannot be read"
        ),
    ],
)
def test_a_messages_correlation_id_is_that_of_its_payment(fields: dict[int, str], expected: str) -> None:
    """The one that the pipeline's events carry: a line of the bank and a line of the ledger are found together."""
    own: dict[int, Any] = {11: "000042", 12: "261121120000", 32: "12345678901", 41: "TERM0001"}
    mti = "1420" if 56 in fields and len(fields[56]) > 1 else "1100"
    assert correlation_of(Message(mti, own | fields)) == expected
