"""`postrail bench fuzz`: short against real processes; and that it would tell of what it looks for."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from postrail.bench.fuzz_lines import Counts, Target, corpus_of, spoil
from postrail.bench.fuzz_switch import GROWTH_MAX, _Memory
from postrail.cli.bench import app
from switch.cardholder.card import HeldCard
from switch.iso8583.dialect import load_dialect
from switch.iso8583.framing import FramingKind
from switch.iso8583.wire import Wire

CARD = HeldCard("4761340000000019", "2912")


def test_networks_and_banks_survive_spoiled_messages_and_answer_their_neighbours() -> None:
    """A few thousand at two networks and a bank: all up, all valid messages answered, all payments approved."""
    result = CliRunner().invoke(app, ["fuzz", "--count", "4000", "--seed", "7", "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["up"] is True
    assert report["messages"] == 4000
    assert report["rejected"] > 2000
    assert report["answered"] > 1000
    assert report["closed"] > 10
    assert report["neighbours_answered"] == report["neighbours_sent"] > 100
    assert set(report["rss_growth"]) == {"meridian", "solstice", "harbour"}


@pytest.mark.parametrize("answers", [b"", b"\x00\x00"])
def test_a_line_that_is_closed_or_silent_under_a_neighbour_is_told(
    monkeypatch: pytest.MonkeyPatch, answers: bytes
) -> None:
    """A server that hangs up, and one that says nothing but keep-alives."""
    monkeypatch.setattr("postrail.bench.fuzz_lines.ANSWER_SECONDS_MAX", 0.2)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answers)
        if answers:
            await reader.read()
        writer.close()

    async def test() -> Counts:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        wire = Wire(load_dialect("iso8583-1993-ascii"), FramingKind.BINARY_2)
        target = Target("somebody", "127.0.0.1", port, wire, FramingKind.BINARY_2)
        counts = Counts()
        await spoil(target, corpus_of(target, [CARD], "GBP"), counts, seed=1, count=100)
        server.close()
        return counts

    counts = asyncio.run(test())
    assert counts.neighbours_answered == 0
    assert len(counts.lost) == 1


def test_memory_that_grows_after_the_warm_up_is_told() -> None:
    """A leak of a percent at each look is seen; what grows in the first tenth alone is warming up."""
    leaking, warming = _Memory(), _Memory()
    leaking.samples["bank"] = [1_000_000 + 10_000 * look for look in range(100)]
    warming.samples["bank"] = [100_000 * min(look, 9) + 1_000_000 for look in range(100)]
    assert leaking.growth("bank") > GROWTH_MAX
    assert warming.growth("bank") == 0
