"""A PostgreSQL of its own for a benchmark: durable commits, sized for the machine, thrown away afterwards."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from postrail.adapters.postgres.installation import (
    SUPERUSER,
    Binaries,
    InstallationError,
    RunAs,
    choose_binaries,
    environment,
    initialise,
    reachable,
    unprivileged_user,
)

OWNER: Final = "postrail"
_START_SECONDS_MAX: Final = 30.0
SETTINGS: Final = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_compression": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "15min",
    "track_commit_timestamp": "on",
}
"""What the server runs with: every commit waits for the disk, and checkpoints are as far apart as a bank's would be."""


@dataclass(frozen=True, slots=True)
class ScratchServer:
    """A running server that nobody else uses."""

    port: int
    password: str
    version: str

    @property
    def admin_dsn(self) -> str:
        """How its superuser connects."""
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/postgres"

    def dsn(self, database: str) -> str:
        """How the owner of a database connects: no superuser, so that every guard of the ledger binds it."""
        return f"postgresql://{OWNER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """A new database, a copy of `template`; returns its owner's DSN. One of that name is dropped first."""
        with psycopg.connect(self.admin_dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                    sql.Identifier(name), sql.Identifier(template), sql.Identifier(OWNER)
                )
            )
            # What a checkpoint writes of the copy must not fall into the measurement.
            connection.execute("CHECKPOINT")
        return self.dsn(name)

    def wal_bytes(self) -> int:
        """Bytes of WAL written since the server was made."""
        with psycopg.connect(self.admin_dsn, autocommit=True) as connection:
            row = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'").fetchone()
        return int(row[0]) if row else 0


@contextmanager
def scratch_server() -> Iterator[ScratchServer]:
    """Start a server in a temporary directory, and remove it at the end. Raises InstallationError."""
    run_as = unprivileged_user()
    # Beside the system's temporary files, and not among them: those may lie in memory, where fsync costs nothing.
    parent = Path("/var/tmp") if Path("/var/tmp").is_dir() else Path(tempfile.gettempdir())  # noqa: S108
    folder = Path(tempfile.mkdtemp(prefix="postrail-bench-", dir=parent))
    folder.chmod(0o711)
    data_dir = folder / "data"
    password = secrets.token_urlsafe(24)
    try:
        binaries = reachable(choose_binaries(data_dir), data_dir, run_as)
        initialise(binaries, data_dir, password, run_as)
        port = _free_port()
        process = _start(binaries, data_dir, port, run_as)
        try:
            version = _await_server(f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres", process, password)
            yield ScratchServer(port, password, version)
        finally:
            _stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(binaries: Binaries, data_dir: Path, port: int, run_as: RunAs | None) -> "subprocess.Popen[bytes]":
    options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "timezone": "UTC", **SETTINGS}
    command = [str(binaries.folder / "postgres"), "-D", str(data_dir), "-p", str(port)]
    command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    log = os.open(data_dir.parent / "postgres.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(binaries.folder),
            cwd=data_dir,
            user=None if run_as is None else run_as.uid,
            group=None if run_as is None else run_as.gid,
            extra_groups=None if run_as is None else [],
            start_new_session=True,
        )
    finally:
        os.close(log)


def _await_server(admin_dsn: str, process: "subprocess.Popen[bytes]", password: str) -> str:
    """Wait until it answers, make the owner's role, and return the server's version."""
    deadline = time.monotonic() + _START_SECONDS_MAX
    while True:
        try:
            with psycopg.connect(admin_dsn, autocommit=True, connect_timeout=2) as connection:
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(OWNER), sql.Literal(password))
                )
                row = connection.execute("SHOW server_version").fetchone()
                return str(row[0]).split(" ", 1)[0] if row else ""
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                msg = "the scratch PostgreSQL did not come up"
                raise InstallationError(msg) from error
            time.sleep(0.1)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGQUIT)
        process.wait(timeout=20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
