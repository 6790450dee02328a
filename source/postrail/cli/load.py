"""`postrail load`: payments by the clock, each followed to its end, and a report of what that did to the graph."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, Self, TypeVar

import typer
from rich.live import Live
from rich.table import Table

from postrail.adapters.aws.observability import logger
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.follow import PostgresFollower
from postrail.bench.machine import describe_machine
from postrail.cli import console
from postrail.cli.dead_letters import DeadLetterReader
from postrail.cli.failures import CommandError
from postrail.cli.graph import Graph, load_graph
from postrail.cli.inputs import Payment, sampled_payments
from postrail.cli.ledger_ends import end_of
from postrail.cli.load_switch import decline_reasons, terminal_payments, through_the_switch
from postrail.cli.seed import DEFAULT_ACCOUNTS, DEFAULT_ACCOUNTS_SEED
from postrail.cli.send import BusDoor, Door, TableDoor
from postrail.load.report import Asked, document, markdown, verdict
from postrail.load.results import Results, summarise
from postrail.load.run import Ended, LoadRun, Record, Ways
from postrail.load.schedule import Profile, due_times

app = typer.Typer(add_completion=False)

PaymentT = TypeVar("PaymentT")

_LATEST_SECONDS: Final = 5.0
_LINE_EVERY_SECONDS: Final = 5.0


class Target(StrEnum):
    """Where the graph is."""

    LOCAL = "local"
    AWS = "aws"


class Via(StrEnum):
    """The doors that payments may take."""

    TABLE = "table"
    EVENTS = "events"
    SWITCH = "switch"


@app.command()
def load(  # noqa: PLR0913, PLR0917 - each argument is an option of the command
    count: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many payments to send.")] = 1_000,
    rate: Annotated[float, typer.Option(min=0.1, max=10_000, help="Payments a second; of a ramp, at its end.")] = 20.0,
    profile: Annotated[
        Profile, typer.Option(help="steady; burst: ten seconds' worth at once; ramp: up in ten steps.")
    ] = Profile.STEADY,
    via: Annotated[
        Via, typer.Option(help="Rows of a table, events on the bus, or terminals at the switch.")
    ] = Via.TABLE,
    target: Annotated[Target, typer.Option(help="The local cloud, or the account that POSTRAIL_OUTPUTS names.")] = (
        Target.LOCAL
    ),
    duplicates: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share that repeats an earlier payment.")] = 0.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same payments, with new ids and times.")] = 1,
    lanes: Annotated[int, typer.Option(min=1, max=256, help="How many calls may be on their way at once.")] = 8,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait after the last payment was sent.")] = 300.0,
    report: Annotated[
        Path | None, typer.Option(help="Folder for report.md, report.json, latency.hgrm and charts.png.")
    ] = None,
    accounts: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="As many accounts as `postrail seed` opened.")
    ] = DEFAULT_ACCOUNTS,
    accounts_seed: Annotated[
        int, typer.Option(help="The seed that `postrail seed` was given.")
    ] = DEFAULT_ACCOUNTS_SEED,
    as_json: Annotated[bool, typer.Option("--json", help="The report as one JSON object.")] = False,
) -> None:
    """Send payments by the clock and follow each to its end: rates, latencies, saturation.

    Open loop: what is due leaves, whether those before it are through or not. The exit code is 0 only when every
    payment has its end.
    """
    graph = _graph_of(target)
    run_id = f"run_{uuid.uuid4().hex}"
    asked = Asked(
        run_id=run_id,
        target=target.value,
        via=via.value,
        profile=profile,
        count=count,
        rate=rate,
        started_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        machine=describe_machine(),
    )
    schedule = _Schedule(due_times(profile, count, rate), lanes, timeout)
    if via is Via.SWITCH:
        record = _play_terminals(graph, schedule)
    else:
        payments = sampled_payments(
            count=count,
            seed=seed,
            duplicates=duplicates,
            malformed=0.0,
            accounts=accounts,
            accounts_seed=accounts_seed,
            run_id=run_id,
        )
        record = _play(graph, via, run_id, authorized_when_due(payments, schedule.due), schedule)
    results = summarise(record)
    written = _write(report, asked, results) if report else []
    if as_json:
        console.write_json(document(asked, results))
    else:
        console.out().print(render(asked, results))
        for path in written:
            console.out().print(str(path))
    raise typer.Exit(1 if results.unaccounted or results.refused else 0)


def _graph_of(target: Target) -> Graph:
    graph = load_graph()
    if target is Target.LOCAL and graph.cloud is None:
        raise CommandError("POSTRAIL_OUTPUTS names a real account: say --target aws, since a load costs money there.")
    if target is Target.AWS and graph.cloud is not None:
        raise CommandError("Only a local cloud is known here: set POSTRAIL_OUTPUTS to the outputs of the account.")
    return graph


def authorized_when_due(payments: Sequence[Payment], due: Sequence[float]) -> list[Payment]:
    """The payments with the times at which they are due as those of their authorization.

    They are all made before the first one leaves: the graph's own figures would count the wait for their turn.
    """
    now = datetime.now(UTC)
    stamped = []
    for payment, seconds in zip(payments, due, strict=True):
        body = payment.body
        if isinstance(body, dict) and "authorized_at" in body:
            at = (now + timedelta(seconds=seconds)).isoformat(timespec="microseconds").replace("+00:00", "Z")
            body = body | {"authorized_at": at}
        stamped.append(Payment(payment.payment_id, body))
    return stamped


@dataclass(frozen=True, slots=True)
class _Schedule:
    """When payments leave, over how many lanes, and how long their ends are awaited."""

    due: Sequence[float]
    lanes: int
    patience_seconds: float

    def play(self, ways: Ways[PaymentT], payments: Sequence[PaymentT]) -> Record:
        with _Telling(len(payments)) as telling:
            run = LoadRun(ways, lanes=self.lanes, patience_seconds=self.patience_seconds, told=telling.take)
            return run.play(payments, self.due)


def _play_terminals(graph: Graph, schedule: _Schedule) -> Record:
    logger.setLevel("WARNING")  # links tell when they come and go
    with (
        Database(graph.ledger_dsn(), application_name="postrail-load") as database,
        through_the_switch(graph, database) as ways,
    ):
        record = schedule.play(ways, terminal_payments(len(schedule.due)))
    if record.refused:
        console.err().print(f"Not taken at terminals: {decline_reasons(record.refused)}", soft_wrap=True)
    return record


def _play(graph: Graph, via: Via, run_id: str, payments: Sequence[Payment], schedule: _Schedule) -> Record:
    door: Door = (
        TableDoor(graph.client("dynamodb"), graph.table("authorizations"), run_id)
        if via is Via.TABLE
        else BusDoor(graph.client("events"), graph.outputs.bus_name, run_id)
    )
    with Database(graph.ledger_dsn(), application_name="postrail-load") as database, graph.dead_letters() as letters:
        ways = Ways(
            send=door.send,
            id_of=lambda payment: payment.payment_id,
            ends=_ends(PostgresFollower(database)),
            letters=_letters(letters, run_id),
            batch_max=door.batch_max,
        )
        return schedule.play(ways, payments)


def _ends(follower: PostgresFollower) -> Callable[[Sequence[str]], Mapping[str, Ended]]:
    def ends(payment_ids: Sequence[str]) -> dict[str, Ended]:
        found = ((row.payment_id, end_of(row)) for row in follower.by_payment(payment_ids))
        return {each: Ended(end.outcome.value, end.reason, end.at) for each, end in found if end is not None}

    return ends


def _letters(reader: DeadLetterReader, run_id: str) -> Callable[[], Mapping[str, Ended]]:
    def letters() -> dict[str, Ended]:
        return {
            letter.payment_id: Ended("dead_lettered", letter.reason, letter.at)
            for letter in reader.look()
            if letter.payment_id and letter.correlation_id in {run_id, None}
        }

    return letters


class _Telling:
    """Progress on standard error: a line that changes in place on a terminal, one every few seconds elsewhere."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._console = console.err()
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)
        self._next_line_at = 0.0
        self._seen: list[tuple[float, int]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def take(self, record: Record) -> None:
        """Show how far the run is."""
        with self._lock:
            now = time.monotonic()
            self._seen.append((now, len(record.ends)))
            self._seen = [each for each in self._seen if now - each[0] <= _LATEST_SECONDS]
            text = self._text(record)
            if self._console.is_terminal:
                self._live.update(text)
            elif now >= self._next_line_at:
                self._next_line_at = now + _LINE_EVERY_SECONDS
                self._console.print(text)

    def _text(self, record: Record) -> str:
        (first_at, first), (last_at, last) = self._seen[0], self._seen[-1]
        pace = (last - first) / (last_at - first_at) if last_at > first_at else 0.0
        return (
            f"sent {len(record.sent):,} of {self._total:,}, ended {len(record.ends):,}, on their way {record.open:,}, "
            f"{pace:,.1f}/s in the last {_LATEST_SECONDS:.0f} s"
        )


def render(asked: Asked, results: Results) -> Table:
    """The report for a terminal."""
    ends = ", ".join(f"{count:,} {outcome.replace('_', ' ')}" for outcome, count in results.outcomes.items() if count)
    return console.facts(
        [
            ("run", asked.run_id),
            ("asked", f"{asked.count:,} payments, {asked.profile.value}, {asked.rate:g}/s via {asked.via}"),
            ("ended", f"{ends or 'none'}; without an end {len(results.unaccounted):,}, refused {results.refused:,}"),
            ("offered", f"{results.offered_per_s:,.1f}/s"),
            ("settled", f"{results.settled_per_s or 0:,.1f}/s, in the middle {results.sustained_per_s or 0:,.1f}/s"),
            ("due to posted", _latency(results.latency_ms)),
            ("sent to posted", _latency(results.service_ms)),
            ("verdict", verdict(results)),
        ]
    )


def _latency(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:,.1f} ms" for name, value in values.items()) or "nothing was posted"


def _write(folder: Path, asked: Asked, results: Results) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    chart = None
    if find_spec("matplotlib") is not None:
        from postrail.load.charts import draw_load  # noqa: PLC0415 - the library of charts is an extra

        chart = folder / "charts.png"
        draw_load(results, chart, title=f"{asked.count:,} payments, {asked.profile.value}, {asked.rate:g}/s")
    texts = {
        "report.md": markdown(asked, results, chart=chart.name if chart else None),
        "report.json": json.dumps(document(asked, results), indent=2),
        "latency.hgrm": results.histogram,
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [*(folder / name for name in texts), *([chart] if chart else [])]
