"""Network, bank and database connections killed in full traffic: what cardholders saw is what the books hold."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from tests.integration.switch.network.processes import Place, Terminal, end, prepared

from local_cloud import postgres as local_postgres
from local_cloud import processes
from local_cloud.layout import StateDir
from postrail.adapters.postgres.migrate import migrate

TERMINALS = 12
AMOUNT = 100


async def play(place: Place, disturb: Callable[[], None], *, before: float = 1.5, after: float = 1.5) -> list[Terminal]:
    """Terminals that pay on and on while something is done to the processes; each finishes what it began."""
    terminals = [
        Terminal(f"TERM{number:04}", place.network_port, place.cards[number % len(place.cards)])
        for number in range(TERMINALS)
    ]
    stopping = asyncio.Event()

    async def pay_on(terminal: Terminal) -> None:
        while not stopping.is_set():
            await terminal.pay(AMOUNT)

    async with asyncio.timeout(120):
        paying = [asyncio.create_task(pay_on(terminal)) for terminal in terminals]
        await asyncio.sleep(before)
        await asyncio.to_thread(disturb)
        await asyncio.sleep(after)
        stopping.set()
        await asyncio.gather(*paying)
    return terminals


def settle(dsn: str, seconds: float = 30.0) -> None:
    """Wait until everything that is stored for the bank is delivered."""

    async def wait() -> None:
        async with asyncio.timeout(seconds):
            while _count(dsn, "SELECT count(*) FROM network.advices WHERE status = 'pending'"):  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    asyncio.run(wait())


def _count(dsn: str, query: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def check_books(dsn: str, terminals: list[Terminal]) -> None:
    """Active holds are those of the approvals that cardholders saw, one each; nothing else is held or relayed alone."""
    approved = {(t._name, stan) for t in terminals for stan in t.approved}
    with psycopg.connect(dsn) as connection:
        held = connection.execute(
            "SELECT split_part(a.authorization_key, ':', 4), split_part(a.authorization_key, ':', 2)"
            " FROM bank.authorizations a JOIN ledger.holds h ON h.hold_id = a.hold_id WHERE h.status = 'active'"
        ).fetchall()
        (total,) = connection.execute("SELECT coalesce(sum(held_minor), 0) FROM ledger.balances").fetchone() or (None,)
        unrelayed = connection.execute(
            "SELECT count(*) FROM bank.authorizations a JOIN ledger.holds h ON h.hold_id = a.hold_id"
            " LEFT JOIN bank.approvals_to_relay r ON r.payment_id = a.payment_id"
            " WHERE h.status = 'active' AND r.payment_id IS NULL"
        ).fetchone()
        refused = connection.execute("SELECT count(*) FROM network.advices WHERE status <> 'delivered'").fetchone()
    assert len(held) == len(set(held))
    assert set(held) == approved
    assert total == len(approved) * AMOUNT
    assert unrelayed == (0,)
    assert refused == (0,)
    assert approved, "nothing was approved: the test says nothing"


def test_postgresql_is_killed_and_the_books_hold_what_cardholders_saw(tmp_path: Path) -> None:
    """Kill -9 of the server itself: network and bank find it again, and what they promised is there."""
    state = StateDir(tmp_path / "cloud")
    state.root.mkdir()
    try:
        settings = local_postgres.ensure_running(state, lambda _: None)
        migrate(settings.dsn)
        with prepared(settings.dsn, tmp_path) as place:
            running = [place.start("bank"), place.start("network")]
            try:

                def disturb() -> None:
                    record = processes.load(state, local_postgres.NAME)
                    assert record is not None
                    os.kill(record.pid, signal.SIGKILL)
                    local_postgres.ensure_running(state, lambda _: None)

                terminals = asyncio.run(play(place, disturb, after=4.0))
                settle(settings.dsn)
                check_books(settings.dsn, terminals)
                assert any(terminal.refused or terminal.reversed for terminal in terminals)
            finally:
                for process in running:
                    end(process)
    finally:
        local_postgres.stop(state)
        local_postgres.remove_data(state)


@pytest.mark.parametrize("victim", ["network", "bank", "connections"])
def test_whatever_is_killed_the_books_hold_what_cardholders_saw(
    postgres_dsn: str, postgres_superuser_dsn: str, tmp_path: Path, victim: str
) -> None:
    """Approvals that a cardholder saw are held; what was refused, timed out or got no answer nets to zero."""
    with prepared(postgres_dsn, tmp_path) as place:
        running: dict[str, subprocess.Popen[bytes]] = {}
        try:
            running["bank"] = place.start("bank")
            running["network"] = place.start("network")

            def disturb() -> None:
                if victim == "connections":
                    with psycopg.connect(postgres_superuser_dsn, autocommit=True) as connection:
                        connection.execute(
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                        )
                    return
                end(running[victim])
                running[victim] = place.start(victim)

            terminals = asyncio.run(play(place, disturb))
            settle(postgres_dsn)
            check_books(postgres_dsn, terminals)
            assert victim != "network" or any(terminal.reversed for terminal in terminals)
            assert victim != "bank" or any(terminal.refused for terminal in terminals)
        finally:
            for process in running.values():
                end(process)
