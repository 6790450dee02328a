"""Processes that `up` starts: recorded with their start time, so that a recycled pid is never taken for ours."""

import contextlib
import json
import os
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from local_cloud.errors import LocalCloudError
from local_cloud.layout import STATE_DIR_VARIABLE, StateDir
from postrail.adapters.postgres.installation import RunAs

_LINUX: Final = platform.system() == "Linux"
_POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One process of ours. `identity` tells it from a later process with the same pid."""

    name: str
    pid: int
    identity: str
    started_at: float
    address: str

    @property
    def boot_id(self) -> str:
        """Differs between any two starts of the process."""
        return f"{self.pid}:{self.identity}"


def identity(pid: int) -> str | None:
    """When the process started, as the system tells it; None when it does not live (a zombie does not)."""
    if _LINUX:
        try:
            # The command's name is in parentheses and may hold anything; the fields after it are plain.
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
        except OSError:
            return None
        return None if fields[0] in {"Z", "X"} else fields[19]
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False, env={"LC_ALL": "C"}
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()


def load(state: StateDir, name: str) -> ProcessRecord | None:
    """The record of a process, alive or dead; None when there is none."""
    try:
        return ProcessRecord(**json.loads((state.processes / f"{name}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def alive(record: ProcessRecord | None) -> bool:
    """Whether the very process that was recorded lives."""
    return record is not None and identity(record.pid) == record.identity


def running(state: StateDir, name: str) -> ProcessRecord | None:
    """The record of a process that lives; None when it does not."""
    record = load(state, name)
    return record if alive(record) else None


def save(state: StateDir, record: ProcessRecord) -> None:
    """Write a record."""
    state.processes.mkdir(parents=True, exist_ok=True)
    (state.processes / f"{record.name}.json").write_text(json.dumps(asdict(record)), encoding="utf-8")


def start(
    state: StateDir,
    name: str,
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    address: str = "",
    run_as: RunAs | None = None,
) -> ProcessRecord:
    """Start a process in a session of its own, its output in its log file, and record it."""
    state.logs.mkdir(parents=True, exist_ok=True)
    with state.log(name).open("ab") as log:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**env, STATE_DIR_VARIABLE: str(state.root)},
            start_new_session=True,
            user=None if run_as is None else run_as.uid,
            group=None if run_as is None else run_as.gid,
            extra_groups=None if run_as is None else [],
        )
    known = identity(process.pid)
    if known is None:
        msg = f"{name} ended at once.\n{log_tail(state, name)}"
        raise LocalCloudError(msg)
    record = ProcessRecord(name, process.pid, known, time.time(), address)
    save(state, record)
    _REAPABLE[process.pid] = process
    return record


# Children of this very process, so that they can be reaped when they end before it does.
_REAPABLE: Final[dict[int, "subprocess.Popen[bytes]"]] = {}


def stop(state: StateDir, name: str, *, first: signal.Signals = signal.SIGTERM, patience_s: float = 10.0) -> bool:
    """End a process and what it left in its process group; return whether there was anything to end.

    Works when the process is already dead but its children are not.
    """
    record = load(state, name)
    if record is None:
        return False
    found = False
    if alive(record):
        found = True
        _signal(record.pid, first)
        _await_end(record, patience_s)
        if alive(record):
            _signal(record.pid, signal.SIGKILL)
            _await_end(record, patience_s)
    for pid in _orphans(state, record):
        found = True
        _signal(pid, signal.SIGKILL)
    _reap(record.pid)
    (state.processes / f"{name}.json").unlink(missing_ok=True)
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _reap(pid: int) -> None:
    child = _REAPABLE.pop(pid, None)
    if child is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=1)


def _await_end(record: ProcessRecord, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while alive(record) and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def _orphans(state: StateDir, record: ProcessRecord) -> list[int]:
    """Living members of a dead leader's process group (the emulator's function workers, for one).

    The kernel does not give a group's number away while the group has members. Where the leader's pid lives again,
    the group was empty in between, so its members are strangers.
    """
    if identity(record.pid) is not None:
        return []
    if not _LINUX:
        listed = subprocess.run(["ps", "-axo", "pid=,pgid="], capture_output=True, text=True, check=False)
        pairs = [line.split() for line in listed.stdout.splitlines()]
        return [int(pid) for pid, group in pairs if int(group) == record.pid]
    marker = f"{STATE_DIR_VARIABLE}={state.root}".encode()
    return [pid for pid in _group_members(record.pid) if _has_environment(pid, marker)]


def _group_members(group: int) -> list[int]:
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
                if int(fields[2]) == group and fields[0] not in {"Z", "X"}:
                    members.append(int(entry.name))
    return members


def _has_environment(pid: int, marker: bytes) -> bool:
    try:
        return marker in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], record: ProcessRecord, *, patience_s: float) -> bool:
    """Wait until a condition holds; False when the process dies or the patience (seconds) ends first."""
    deadline = time.monotonic() + patience_s
    while alive(record) and time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(_POLL_S)
    return False


def log_tail(state: StateDir, name: str, lines: int = 15) -> str:
    """The last lines of a process's log, for an error message."""
    try:
        text = state.log(name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose_port(preferred: Sequence[int]) -> int:
    """The first preferred port that is free, else any free one."""
    for port in preferred:
        if port_is_free(port):
            return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def loopback_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The caller's environment without what would lead a local cloud elsewhere.

    Taken out: AWS_* (a profile or an endpoint of a real account), POSTRAIL_* (settings meant for the command line)
    and PYTHONPATH. Loopback never goes through a proxy.
    """
    given = os.environ if base is None else base
    kept = {
        name: value
        for name, value in given.items()
        if not name.startswith(("AWS_", "POSTRAIL_", "TF_VAR_")) and name not in {"PYTHONPATH", "PYTHONHOME"}
    }
    for name in ("NO_PROXY", "no_proxy"):
        others = [one for one in kept.get(name, "").split(",") if one and one not in {"127.0.0.1", "localhost"}]
        kept[name] = ",".join(["127.0.0.1", "localhost", *others])
    return kept
