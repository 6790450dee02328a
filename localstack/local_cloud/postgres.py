"""A real PostgreSQL for the ledger: the system's binaries, else those of a wheel; never as root, only over TCP.

Its data outlives the emulator: the emulator is the cloud, PostgreSQL is the truth.
"""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from local_cloud import processes
from local_cloud.errors import LocalCloudError
from local_cloud.layout import StateDir
from postrail.adapters.postgres.installation import (
    SUPERUSER,
    Binaries,
    InstallationError,
    RunAs,
    can_enter,
    choose_binaries,
    environment,
    initialise,
    reachable,
    unprivileged_user,
    write_private,
)

NAME: Final = "postgres"
DATABASE: Final = "ledger"
OWNER: Final = "postrail"
_START_PATIENCE_S: Final = 30.0
_STARTS_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class Settings:
    """What is decided once per state directory and kept."""

    port: int
    superuser_password: str
    password: str
    data_dir: str

    @property
    def dsn(self) -> str:
        """How the ledger's owner connects."""
        return f"postgresql://{OWNER}:{self.password}@127.0.0.1:{self.port}/{DATABASE}"


def ensure_running(state: StateDir, update: Callable[[str], None]) -> Settings:
    """Find this state directory's PostgreSQL or start it, with its database. Raises LocalCloudError if it cannot."""
    settings = load_settings(state)
    if settings is not None and processes.running(state, NAME) is not None and answers(settings):
        return settings
    processes.stop(state, NAME, first=signal.SIGINT)
    try:
        return _bring_up(state, settings, update)
    except InstallationError as error:
        raise LocalCloudError(str(error)) from error


def _bring_up(state: StateDir, settings: Settings | None, update: Callable[[str], None]) -> Settings:
    run_as = unprivileged_user()
    if settings is None:
        settings = _new_settings(state, run_as)
    data_dir = Path(settings.data_dir)
    binaries = reachable(choose_binaries(data_dir), data_dir, run_as)
    if not (data_dir / "PG_VERSION").exists():
        update(f"creating a database cluster (version {binaries.version})")
        initialise(binaries, data_dir, settings.superuser_password, run_as)
    if not processes.port_is_free(settings.port):
        settings = Settings(**{**asdict(settings), "port": processes.choose_port([])})
    _save_settings(state, settings)
    update(f"starting version {binaries.version} on port {settings.port}")
    _start(state, binaries, settings, run_as)
    ensure_database(settings)
    return settings


def stop(state: StateDir) -> bool:
    """Shut PostgreSQL down (sessions are cut, data is safe); return whether it ran."""
    stopped = processes.stop(state, NAME, first=signal.SIGINT, patience_s=20.0)
    settings = load_settings(state)
    if settings is not None:
        _clear_pid_file(Path(settings.data_dir))
    return stopped


def remove_data(state: StateDir) -> None:
    """Remove the data directory, wherever it lies."""
    settings = load_settings(state)
    if settings is not None and Path(settings.data_dir).parent != state.root:
        shutil.rmtree(Path(settings.data_dir).parent, ignore_errors=True)
    shutil.rmtree(state.postgres, ignore_errors=True)
    state.postgres_settings.unlink(missing_ok=True)


def load_settings(state: StateDir) -> Settings | None:
    """The kept settings, or None."""
    try:
        return Settings(**json.loads(state.postgres_settings.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def answers(settings: Settings) -> bool:
    """Whether the server takes connections."""
    try:
        with _superuser_connection(settings):
            return True
    except psycopg.OperationalError:
        return False


def _new_settings(state: StateDir, run_as: RunAs | None) -> Settings:
    return Settings(
        port=processes.choose_port([]),
        superuser_password=secrets.token_urlsafe(24),
        password=secrets.token_urlsafe(24),
        data_dir=str(_data_dir(state, run_as)),
    )


def _save_settings(state: StateDir, settings: Settings) -> None:
    write_private(state.postgres_settings, json.dumps(asdict(settings), indent=2))


def _data_dir(state: StateDir, run_as: RunAs | None) -> Path:
    """In the state directory; elsewhere when the other user cannot get there (a checkout in /root, for one)."""
    if run_as is None or can_enter(state.root, run_as):
        return state.postgres
    name = re.sub(r"[^a-z0-9]+", "-", str(state.root).lower()).strip("-")[-60:]
    return Path("/var/tmp") / f"{name}-{secrets.token_hex(4)}" / "postgres"  # noqa: S108 (made 0700 by mkdir below)


def _start(state: StateDir, binaries: Binaries, settings: Settings, run_as: RunAs | None) -> None:
    """Start the server. After a kill -9 its shared memory is in use for a moment, hence several attempts."""
    options = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "on",
        "synchronous_commit": "on",
        "track_commit_timestamp": "on",
        "max_connections": "100",
        "shared_buffers": "128MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    command = [str(binaries.folder / "postgres"), "-D", settings.data_dir, "-p", str(settings.port)]
    command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    for attempt in range(1, _STARTS_MAX + 1):
        _clear_pid_file(Path(settings.data_dir))
        record = processes.start(
            state,
            NAME,
            command,
            env=environment(binaries.folder),
            cwd=Path(settings.data_dir),
            address=f"127.0.0.1:{settings.port}",
            run_as=run_as,
        )
        if processes.wait_for(lambda: answers(settings), record, patience_s=_START_PATIENCE_S):
            return
        tail = processes.log_tail(state, NAME)
        processes.stop(state, NAME, first=signal.SIGINT)
        time.sleep(attempt)
    message = f"PostgreSQL did not come up; the end of {state.log(NAME)}:\n{tail}"
    raise LocalCloudError(message)


def _clear_pid_file(data_dir: Path) -> None:
    """Make way for a start.

    PostgreSQL refuses to start when its pid file names any living process, even a stranger with a recycled pid; and a
    server over our data that we have no record of (its record was lost) is ended.
    """
    pid_file = data_dir / "postmaster.pid"
    try:
        pid = int(pid_file.read_text(encoding="utf-8").splitlines()[0])
    except (OSError, ValueError, IndexError):
        return
    known = processes.identity(pid)
    if known is not None and _serves(pid, data_dir):
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + _START_PATIENCE_S
        while processes.identity(pid) == known and time.monotonic() < deadline:
            time.sleep(0.1)
    pid_file.unlink(missing_ok=True)


def _serves(pid: int, data_dir: Path) -> bool:
    """Whether that process is a PostgreSQL over this data directory."""
    command_line = Path(f"/proc/{pid}/cmdline")
    if command_line.exists():
        return str(data_dir).encode() in command_line.read_bytes()
    answer = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return str(data_dir) in answer.stdout


def _superuser_connection(settings: Settings, dbname: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(
        host="127.0.0.1",
        port=settings.port,
        user=SUPERUSER,
        password=settings.superuser_password,
        dbname=dbname,
        autocommit=True,
        connect_timeout=5,
        sslmode="disable",
    )


def ensure_database(settings: Settings) -> None:
    """The ledger's owner (no superuser: the ledger's own guards must bind it) and the database."""
    with _superuser_connection(settings) as connection:
        role = sql.Identifier(OWNER)
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (OWNER,)).fetchone()
        verb = sql.SQL("ALTER" if known else "CREATE")
        connection.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, sql.Literal(settings.password)))
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), role))
