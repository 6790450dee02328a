"""A bank that is killed with kill -9, or cut off from its database, in the midst of its work."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psycopg
from tests.integration.switch.bank.bank_stage import (
    Books,
    Terminal,
    issue_cards,
    open_bank,
    purchase,
    repeated,
    reversal,
)
from tests.integration.switch.bank.pipeline import differences
from tests.integration.switch.links.peers import Peer, connected

from switch.iso8583.message import Message

ROOT = Path(__file__).parents[4]
PAYMENTS = 400

UNBACKED = """
SELECT a.authorization_key FROM bank.authorizations AS a
  LEFT JOIN ledger.holds AS h ON h.hold_id = a.hold_id AND h.payment_id = a.payment_id
  LEFT JOIN bank.approvals_to_relay AS r ON r.payment_id = a.payment_id
 WHERE a.action_code = '000' AND (h.hold_id IS NULL OR r.payment_id IS NULL)
"""
HOLDS_WITHOUT_AUTHORIZATION = """
SELECT h.hold_id FROM ledger.holds AS h
 WHERE NOT EXISTS (SELECT FROM bank.authorizations AS a WHERE a.hold_id = h.hold_id)
"""


@asynccontextmanager
async def bank_process(dsn: str) -> AsyncIterator[tuple[Peer, asyncio.subprocess.Process]]:
    """A network's connection to a bank in a process of its own, which is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).parent / "bank_process.py"),
        dsn,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in (".", "source", "localstack"))},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            while not (line := (await process.stdout.readline()).strip()).isdigit():
                assert line, "the process ended"
        async with connected(int(line)) as network:
            yield network, process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def approved_stans(books: Books) -> set[str]:
    """The STANs of what the database says was approved."""
    rows = books.rows("SELECT split_part(authorization_key, ':', 2) FROM bank.authorizations WHERE action_code = '000'")
    return {row[0] for row in rows}


def test_what_was_approved_before_a_kill_is_there_after_it(postgres_dsn: str) -> None:
    """Each approval that left has its hold, authorization and item; asked again, each gets its own answer."""
    cards, books = issue_cards(postgres_dsn, PAYMENTS), Books(postgres_dsn)
    requests = [purchase(card) for card in cards]

    async def run() -> tuple[dict[str, Message], dict[str, Message]]:
        before: dict[str, Message] = {}
        async with bank_process(postgres_dsn) as (network, process):
            await network.send(*requests)
            for _ in range(PAYMENTS // 4):
                answer = await network.receive()
                before[answer[11]] = answer
            process.kill()
        after: dict[str, Message] = {}
        async with bank_process(postgres_dsn) as (network, _):
            await network.send(*(repeated(request) for request in requests))
            for _ in range(PAYMENTS):
                answer = await network.receive()
                after[answer[11]] = answer
        return before, after

    before, after = asyncio.run(run())
    assert {answer[39] for answer in after.values()} == {"000"}
    assert {stan: answer[38] for stan, answer in before.items()} == {stan: after[stan][38] for stan in before}
    assert books.rows(UNBACKED) == []
    assert books.rows(HOLDS_WITHOUT_AUTHORIZATION) == []
    assert {books.standing(card) for card in cards} == {(100_000, 2_550)}
    assert differences(postgres_dsn) == []


def test_what_was_on_the_way_at_a_kill_nets_to_zero_when_it_is_reversed(postgres_dsn: str) -> None:
    """The network undoes what it heard nothing of, whatever became of it."""
    cards, books = issue_cards(postgres_dsn, PAYMENTS), Books(postgres_dsn)
    requests = {request[11]: request for request in map(purchase, cards)}

    async def run() -> set[str]:
        answered: set[str] = set()
        async with bank_process(postgres_dsn) as (network, process):
            await network.send(*requests.values())
            answered |= {(await network.receive())[11] for _ in range(PAYMENTS // 8)}
            process.kill()
        async with bank_process(postgres_dsn) as (network, _):
            unheard = [reversal(request, de25="4021") for stan, request in requests.items() if stan not in answered]
            await network.send(*unheard)
            assert {(await network.receive())[39] for _ in unheard} == {"400"}
        return answered

    answered = asyncio.run(run())
    held = sum(books.standing(card)[1] for card in cards)
    assert held == 2_550 * len(answered)
    assert differences(postgres_dsn) == []


def test_connections_that_are_cut_lose_nothing(postgres_dsn: str, postgres_superuser_dsn: str) -> None:
    """The server ends the bank's connections again and again: what was answered 000 is held, what was not is not."""
    cards, books = issue_cards(postgres_dsn, PAYMENTS), Books(postgres_dsn)
    requests = [purchase(card) for card in cards]

    async def run() -> tuple[dict[str, str], int]:
        async with open_bank(postgres_dsn) as terminal:
            cutting = asyncio.create_task(asyncio.to_thread(_cut_connections, postgres_superuser_dsn, 20))
            codes = dict(await asyncio.gather(*(_code_of(terminal, request) for request in requests)))
            await cutting
            return codes, terminal.given_up

    codes, _ = asyncio.run(run())
    assert set(codes.values()) <= {"000", "909", "none"}
    approved = approved_stans(books)
    assert {stan for stan, code in codes.items() if code == "000"} <= approved
    assert {stan for stan, code in codes.items() if code == "909"}.isdisjoint(approved)
    assert books.rows(UNBACKED) == []
    assert books.rows(HOLDS_WITHOUT_AUTHORIZATION) == []
    assert differences(postgres_dsn) == []


async def _code_of(terminal: Terminal, request: Message) -> tuple[str, str]:
    await asyncio.sleep(int(request[11]) % 50 / 100)
    try:
        return request[11], (await asyncio.wait_for(terminal.begin(request), 5))[39]
    except TimeoutError:
        return request[11], "none"


def _cut_connections(dsn: str, times: int) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for _ in range(times):
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'postrail-bank' AND datname = current_database()"
            )
            connection.execute("SELECT pg_sleep(0.02)")
