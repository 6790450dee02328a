"""The ledger's server: made, found, survived, moved out of the way."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local_cloud import postgres, processes
from local_cloud.layout import StateDir
from postrail.adapters.postgres import installation


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDir]:
    found = StateDir(tmp_path / "state")
    found.root.mkdir()
    yield found
    postgres.stop(found)
    postgres.remove_data(found)


def quiet(_: str) -> None:
    """Progress that nobody looks at."""


def test_data_survives_kill_9_and_the_settings_that_money_needs_are_on(state: StateDir) -> None:
    settings = postgres.ensure_running(state, quiet)
    assert postgres.ensure_running(state, quiet) == settings
    with psycopg.connect(settings.dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        superuser = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    names = ("fsync", "synchronous_commit", "track_commit_timestamp", "listen_addresses", "unix_socket_directories")
    with postgres._superuser_connection(settings) as connection:
        found = [connection.execute("SELECT current_setting(%s)", (name,)).fetchone() for name in names]
    assert found == [("on",), ("on",), ("on",), ("127.0.0.1",), ("",)]
    assert superuser == (False,)
    record = processes.load(state, postgres.NAME)
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    again = postgres.ensure_running(state, quiet)
    with psycopg.connect(again.dsn) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_a_stale_pid_file_with_a_strangers_pid_does_not_prevent_a_start(state: StateDir) -> None:
    """After a crash of the machine, the pid in the file may belong to anybody."""
    settings = postgres.ensure_running(state, quiet)
    postgres.stop(state)
    pid_file = Path(settings.data_dir) / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{settings.data_dir}\n1\n{settings.port}\n")
    assert postgres.answers(postgres.ensure_running(state, quiet))


def test_the_password_is_for_its_owner_only_and_the_server_is_not_root(state: StateDir) -> None:
    postgres.ensure_running(state, quiet)
    assert state.postgres_settings.stat().st_mode & 0o777 == 0o600
    record = processes.load(state, postgres.NAME)
    assert record is not None
    if Path("/proc").is_dir():
        assert Path(f"/proc/{record.pid}").stat().st_uid != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")
def test_root_whose_checkout_is_closed_to_others_gets_a_data_directory_elsewhere(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    state = StateDir(closed / "state")
    state.root.mkdir()
    try:
        settings = postgres.ensure_running(state, quiet)
        assert not Path(settings.data_dir).is_relative_to(closed)
    finally:
        postgres.stop(state)
        postgres.remove_data(state)
    assert not Path(settings.data_dir).exists()


def test_without_a_system_installation_the_wheels_binaries_serve(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    if installation.bundled_folder() is None:
        pytest.skip("no wheel for this platform")
    monkeypatch.setattr(installation, "_PLACES", ())
    monkeypatch.setattr(installation.shutil, "which", lambda _: None)
    settings = postgres.ensure_running(state, quiet)
    with psycopg.connect(settings.dsn) as connection:
        version = connection.execute("SHOW server_version_num").fetchone()
    assert version is not None
    assert str(version[0]).startswith("16")
