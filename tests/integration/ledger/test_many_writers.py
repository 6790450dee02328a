"""Several writers at once, and a server that is killed under them: what was acknowledged is there, once."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.integration.ledger.random_work import Acknowledged, Writer, check_books, open_customers

from local_cloud import postgres as local_postgres
from local_cloud import processes
from local_cloud.layout import StateDir
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.migrate import migrate

WRITERS = 4
REQUESTS = 60
KILLS = 3


def test_writers_that_do_everything_at_once_leave_sound_books_and_never_deadlock(
    postgres_dsn: str, database: Database
) -> None:
    open_customers(database)
    acknowledged = Acknowledged()
    with ThreadPoolExecutor(WRITERS) as threads:
        done = list(
            threads.map(
                lambda seed: Writer(postgres_dsn, seed, acknowledged).work(lambda made: made < REQUESTS), range(WRITERS)
            )
        )
    assert done == [REQUESTS] * WRITERS
    assert acknowledged.retries == []
    check_books(database, acknowledged)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[StateDir]:
    """A server that this test may kill."""
    state = StateDir(tmp_path / "cloud")
    state.root.mkdir()
    yield state
    local_postgres.stop(state)
    local_postgres.remove_data(state)


def test_kill_9_of_the_server_loses_nothing_that_was_acknowledged_and_doubles_nothing(own_server: StateDir) -> None:
    settings = local_postgres.ensure_running(own_server, lambda _: None)
    migrate(settings.dsn)
    with Database(settings.dsn) as database:
        open_customers(database)
    acknowledged, stop = Acknowledged(), threading.Event()
    writers = [Writer(settings.dsn, seed, acknowledged, pause_seconds=0.1) for seed in range(3)]
    with ThreadPoolExecutor(len(writers)) as threads:
        running = [threads.submit(writer.work, lambda _: not stop.is_set()) for writer in writers]
        try:
            for _ in range(KILLS):
                _await_progress(acknowledged)
                record = processes.load(own_server, local_postgres.NAME)
                assert record is not None
                os.kill(record.pid, signal.SIGKILL)
                assert local_postgres.ensure_running(own_server, lambda _: None) == settings
            _await_progress(acknowledged)
        finally:
            stop.set()
        assert all(writer.result(timeout=120) for writer in running)
    assert acknowledged.retries
    with Database(settings.dsn) as database:
        check_books(database, acknowledged)


def _await_progress(acknowledged: Acknowledged) -> None:
    """Wait until the writers have done some more, so that the next kill finds them at work."""
    goal = len(acknowledged.payments) + 40
    deadline = time.monotonic() + 60
    while len(acknowledged.payments) < goal:
        assert time.monotonic() < deadline, acknowledged.retries[-3:]
        time.sleep(0.05)
