"""What runs, and how it is: a table for people, an object for programs."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from local_cloud import batch_runner, emulator, localstack_emulator, postgres, processes
from local_cloud.launch import PIPE_RUNNER, read_cloud
from local_cloud.layout import StateDir

_HEARTBEAT_AGE_MAX_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Row:
    """One thing of the local cloud."""

    name: str
    running: bool
    pid: int | None
    address: str
    uptime_s: float | None
    health: str


def collect(state: StateDir) -> list[Row]:
    """Look at everything; starts nothing and fails for nothing."""
    if read_cloud(state).get("emulator") == "localstack":
        return [_localstack(state), _localstack_ledger(state), _pipe_runner(state), _batch_runner(state)]
    return [_emulator(state), _postgres(state), _pipe_runner(state), _batch_runner(state)]


def as_object(state: StateDir, rows: list[Row]) -> dict[str, Any]:
    """The status as one JSON-ready object."""
    return {
        "state_dir": str(state.root),
        "emulator": read_cloud(state).get("emulator"),
        "deployed": state.outputs.exists(),
        "processes": [asdict(row) for row in rows],
        "pipes": _heartbeat(state).get("pipes", {}),
    }


def as_table(state: StateDir, rows: list[Row]) -> Table:
    """The status as a table."""
    table = Table(
        "What", "Pid", "Address", "Up for", "Health", title=f"Local cloud in {state.root}", title_justify="left"
    )
    # People copy it: it may not be cut in a narrow terminal.
    table.columns[2].min_width = len("http://127.0.0.1:65535")
    for row in rows:
        colour = "green" if row.running else "red"
        uptime = "" if row.uptime_s is None else _duration(row.uptime_s)
        table.add_row(row.name, str(row.pid or ""), row.address, uptime, f"[{colour}]{row.health}[/{colour}]")
    return table


def _row(record: processes.ProcessRecord | None, name: str, health: str) -> Row:
    alive = processes.alive(record)
    if record is None or not alive:
        return Row(name, running=False, pid=None, address="", uptime_s=None, health="not running")
    return Row(name, running=True, pid=record.pid, address=record.address, uptime_s=_age(record), health=health)


def _age(record: processes.ProcessRecord) -> float:
    return round(time.time() - record.started_at, 1)


def _emulator(state: StateDir) -> Row:
    record = processes.load(state, emulator.NAME)
    answers = record is not None and processes.alive(record) and emulator.healthy(record.address)
    deployed = "deployed" if state.outputs.exists() else "nothing deployed"
    return _row(record, "emulator", f"answers, {deployed}" if answers else "does not answer")


def _postgres(state: StateDir) -> Row:
    settings = postgres.load_settings(state)
    record = processes.load(state, postgres.NAME)
    answers = settings is not None and processes.alive(record) and postgres.answers(settings)
    return _row(record, "postgres", "takes connections" if answers else "does not answer")


def _pipe_runner(state: StateDir) -> Row:
    beat = _heartbeat(state)
    age_s = time.time() - float(beat.get("beat_at", 0))
    pipes = beat.get("pipes", {})
    if age_s > _HEARTBEAT_AGE_MAX_S:
        health = "no heartbeat"
    else:
        health = "; ".join(
            f"{name} {counts['state']}: {counts['delivered']} delivered, {counts['dead_lettered']} dead-lettered"
            for name, counts in pipes.items()
        )
    return _row(processes.load(state, PIPE_RUNNER), "pipe runner", health or "no pipes to play")


def _batch_runner(state: StateDir) -> Row:
    beat = _read(state.batch_runner_status)
    if time.time() - float(beat.get("beat_at", 0)) > _HEARTBEAT_AGE_MAX_S:
        health = "no heartbeat"
    else:
        health = f"{beat['doing']}; {beat['done']} done, {beat['failed']} failed"
    return _row(processes.load(state, batch_runner.NAME), "batch runner", health)


def _heartbeat(state: StateDir) -> dict[str, Any]:
    return _read(state.pipe_runner_status)


def _read(path: Path) -> dict[str, Any]:
    try:
        beat: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return beat


def _localstack(state: StateDir) -> Row:
    address = read_cloud(state).get("endpoint_url", "")
    answers = localstack_emulator.healthy(address)
    return Row("localstack", answers, None, address, None, "answers" if answers else "not running")


def _localstack_ledger(state: StateDir) -> Row:
    settings = postgres.load_settings(state)
    answers = settings is not None and postgres.answers(settings)
    address = f"127.0.0.1:{settings.port}" if settings else ""
    return Row("postgres", answers, None, address, None, "takes connections" if answers else "not running")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
