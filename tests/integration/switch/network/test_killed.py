"""A network that is killed with kill -9: what it has promised is kept by the next."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
from tests.integration.switch.links.peers import Peer, connected, eventually, run
from tests.integration.switch.network.fake_bank import FakeBank, approve, silent_on
from tests.integration.switch.network.stage import add_cards, purchase, reversal

ROOT = Path(__file__).parents[4]


@asynccontextmanager
async def network_process(dsn: str, bank: FakeBank, response_seconds: float = 0.3) -> AsyncIterator[Peer]:
    """A terminal at a network in a process of its own, which is killed at the end if it has not been before."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).parent / "network_process.py"),
        dsn,
        str(bank.port),
        str(response_seconds),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in (".", "source", "localstack"))},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            while not (line := (await process.stdout.readline()).strip()).isdigit():
                assert line, "the process ended"
        async with connected(int(line)) as terminal:
            yield terminal
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def advices(dsn: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    rows: list[asyncpg.Record] = await connection.fetch("SELECT * FROM network.advices ORDER BY advice_id")
    await connection.close()
    return rows


def test_reversals_outlive_the_process_and_are_delivered_as_repetitions(postgres_dsn: str) -> None:
    """Timeouts and reversals of the cardholder, answered and not delivered: after kill -9 each arrives, as x421."""

    async def test() -> None:
        bank = FakeBank()
        await bank.start()
        await add_cards(postgres_dsn)
        bank.react = silent_on("110", "142")
        async with network_process(postgres_dsn, bank) as terminal:
            await terminal.send(*(purchase(number) for number in range(1, 21)))
            assert {(await terminal.receive())[39] for _ in range(20)} == {"911"}
            await terminal.send(*(reversal(purchase(number), 900 + number) for number in range(50, 60)))
            assert {(await terminal.receive())[39] for _ in range(10)} == {"400"}
            assert await eventually(lambda: bool(bank.of("1420")))
        stored = await advices(postgres_dsn)
        assert [row["status"] for row in stored] == ["pending"] * 30
        assert len({row["original_key"] for row in stored}) == 30
        before = len(bank.received)
        bank.react = approve
        async with network_process(postgres_dsn, bank):
            assert await eventually(lambda: len({message[56] for message in bank.received[before:]}) == 30)
        after = bank.received[before:]
        assert after[0].mti == "1421"
        assert {message.mti[:3] for message in after} == {"142"}
        order = [row["original_key"].split(":")[1] for row in stored]
        assert list(dict.fromkeys(message[56][4:10] for message in after)) == order
        await bank.stop()

    run(test())


def test_what_was_under_way_is_undone_by_the_terminals_own_reversal(postgres_dsn: str) -> None:
    """The bank approved, the network died before it could say so: the terminal reverses at the next process."""

    async def test() -> None:
        bank = FakeBank()
        await bank.start()
        await add_cards(postgres_dsn)
        bank.late_seconds = 10.0
        paid = purchase(1)
        async with network_process(postgres_dsn, bank, response_seconds=10.0) as terminal:
            await terminal.send(paid)
            assert await eventually(lambda: bool(bank.of("1100")))
        async with network_process(postgres_dsn, bank) as terminal:
            await terminal.send(reversal(paid))
            assert (await terminal.receive())[39] == "400"
            assert await eventually(lambda: bool(bank.of("1420")))
            assert bank.of("1420")[0][56] == "110000000126112101020306400001"
        await bank.stop()

    run(test())


def test_each_promise_made_before_a_kill_in_full_traffic_is_kept(postgres_dsn: str) -> None:
    """Killed in the midst of hundreds of timeouts: every 911 that reached a terminal has its reversal stored."""

    async def test() -> None:
        bank = FakeBank()
        await bank.start()
        await add_cards(postgres_dsn)
        bank.react = silent_on("110", "142")
        answered: set[str] = set()
        async with network_process(postgres_dsn, bank, response_seconds=0.2) as terminal:
            await terminal.send(*(purchase(number) for number in range(1, 401)))
            for _ in range(100):
                answer = await terminal.receive()
                assert answer[39] == "911"
                answered.add(answer[11])
        stored = {row["original_key"].split(":")[1] for row in await advices(postgres_dsn)}
        assert answered <= stored
        bank.react = approve
        async with network_process(postgres_dsn, bank):
            assert await eventually(
                lambda: answered <= {message[56][4:10] for message in bank.received if message.mti[:3] == "142"}
            )
        await bank.stop()

    run(test())
