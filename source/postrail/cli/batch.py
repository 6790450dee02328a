"""`postrail batch`: files of authorizations into the ledger, sample files, and what became of earlier runs."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from postrail.adapters.postgres.batch_runs import PostgresBatchRuns
from postrail.adapters.postgres.connection import Database
from postrail.batch.chunks import Counts, RefusedRow
from postrail.batch.documents import unpack_documents
from postrail.batch.failures import RunStopped
from postrail.batch.results import result_format, write_results
from postrail.batch.run import CHUNK_SIZE, RunPlan, RunReport, run_batch
from postrail.batch.store import Run
from postrail.bootstrap import build_workshop
from postrail.cli import batch_samples, console
from postrail.cli.batch_places import ledger_of, places_of, source_of, written_whole
from postrail.cli.batch_progress import batch_meter
from postrail.cli.batch_telemetry import tell_run
from postrail.cli.failures import CommandError

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Post files of authorizations, and write sample files."
)
app.command("generate")(batch_samples.generate)
app.command("open-accounts")(batch_samples.open_accounts)

WORKERS_MAX = 64
_EXIT_STOPPED = 130
_RUNS_LOOKED_AT_MAX = 10_000

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
LedgerOption = Annotated[
    str | None,
    typer.Option("--ledger", metavar="DSN", help="The ledger. Default: POSTRAIL_LEDGER_DSN, or the graph's."),
]


@app.command()
def run(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Local files, or s3://bucket/key.")],
    ledger: LedgerOption = None,
    reference: Annotated[
        Path | None, typer.Option(help="Cards, accounts and rates as JSON Lines. Default: the reference table.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=WORKERS_MAX, help="Worker processes. Default: one for each core.")
    ] = None,
    chunk_size: Annotated[int, typer.Option(min=1, max=20_000, help="Rows of one commit.")] = CHUNK_SIZE,
    results: Annotated[
        str | None,
        typer.Option(help="Where refused rows go, .csv or .jsonl, also s3://. Default: beside each file."),
    ] = None,
    patience: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds to try again when the ledger cannot be reached.")
    ] = 30.0,
    announce: Annotated[
        bool, typer.Option(help="Put PaymentPosted events into the outbox, for the relay to send.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Post the authorizations in files: CSV, JSON Lines or Parquet, plain, .gz or .zst.

    Stopped or killed at any moment, the same command goes on from its last commit. A file that was run to its end
    posts nothing a second time. Rows that were not posted go to the result file with line and reason.
    """
    if results is not None:
        result_format(results)
    where = ledger_of(ledger)
    build = partial(build_workshop, places_of(where, reference))
    started = time.monotonic()
    reports: list[tuple[str, RunReport, str]] = []
    with (
        _interrupted_by_sigterm(),
        Database(where, application_name="postrail-batch", statement_seconds_max=300) as database,
    ):
        runs = PostgresBatchRuns(database)
        for name in files:
            with batch_meter(name, quiet=as_json) as meter:
                plan = RunPlan(
                    source=source_of(name),
                    store=runs,
                    build=build,
                    workers=workers or default_workers(),
                    chunk_size=chunk_size,
                    patience_seconds=patience,
                    announce=announce,
                    on_progress=meter.reach,
                )
                report = _run(plan)
            place = results or default_results(name)
            reports.append((name, report, place))
            if results is None:
                _write_results(runs, [(name, report)], place)
            if not as_json:
                _print_report(name, report, place)
                tell_run(name, report)
        if results is not None:
            _write_results(runs, [(name, report) for name, report, _ in reports], results)
    if as_json:
        console.write_json(_document(reports, time.monotonic() - started))


@app.command("list")
def list_runs(
    ledger: LedgerOption = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the runs that the ledger knows, newest first."""
    with Database(ledger_of(ledger), application_name="postrail-cli") as database:
        runs = PostgresBatchRuns(database)
        found = [(each, runs.totals(each.run_id)) for each in runs.list_runs(limit)]
    if as_json:
        console.write_json({"runs": [_run_document(each, counts) for each, counts in found]})
        return
    if not found:
        console.out().print("No batch was run on this ledger.")
        return
    grid = console.table("run", "file", "started (UTC)", "state", "rows", "posted", right=("rows", "posted"))
    for each, counts in found:
        grid.add_row(
            each.run_id,
            each.source,
            f"{each.started_at:%Y-%m-%d %H:%M:%S}",
            "finished" if each.finished_at else "unfinished",
            f"{counts.lines:,}",
            f"{counts.posted:,}",
        )
    console.out().print(grid)


@app.command()
def show(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or the beginning of it.")],
    ledger: LedgerOption = None,
    limit: Annotated[int, typer.Option(min=0, max=100_000, help="At most so many refused rows.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show one run: its counts, and the first rows that were not posted."""
    with Database(ledger_of(ledger), application_name="postrail-cli") as database:
        runs = PostgresBatchRuns(database)
        one = _find_run(runs, run_id)
        counts = runs.totals(one.run_id)
        refused = [row for row, _ in zip(runs.refused_rows(one.run_id), range(limit), strict=False)]
    if as_json:
        rows = [dict(row._asdict()) for row in refused]
        console.write_json(_run_document(one, counts) | {"refused": rows})
        return
    state = f"finished {one.finished_at:%Y-%m-%d %H:%M:%S}" if one.finished_at else "unfinished"
    facts = [
        ("run", one.run_id),
        ("file", one.source),
        ("sha256", one.content_sha256),
        ("started", f"{one.started_at:%Y-%m-%d %H:%M:%S}"),
        ("state", state),
        ("workers, chunk", f"{one.partitions}, {one.chunk_size:,}"),
        *((name, f"{number:,}") for name, number in counts.as_dict().items()),
    ]
    console.out().print(console.facts(facts))
    if refused:
        grid = console.table("line", "payment", "outcome", "reason", "", right=("line",))
        for row in refused:
            grid.add_row(str(row.line), row.payment_id, row.outcome.value, row.reason_code, row.reason)
        console.out().print("")
        console.out().print(grid)


@app.command()
def documents(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or the beginning of it.")],
    ledger: LedgerOption = None,
    out: Annotated[Path | None, typer.Option(help="The file. Default: standard output.")] = None,
) -> None:
    """Write the audit trail of a run as JSON Lines: a document for each row, with its line, decision and message."""
    with Database(ledger_of(ledger), application_name="postrail-cli") as database, ExitStack() as stack:
        runs = PostgresBatchRuns(database)
        one = _find_run(runs, run_id)
        stream = stack.enter_context(written_whole(str(out))) if out else sys.stdout.buffer
        for packed in runs.documents(one.run_id):
            stream.write(unpack_documents(packed))


def default_workers() -> int:
    """One worker for each core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(WORKERS_MAX, cores))


def default_results(name: str) -> str:
    """`day.jsonl.gz` gives `day.results.csv` beside it; for an object in S3, in the working directory."""
    path = Path(name.rsplit("/", 1)[-1]) if name.startswith("s3://") else Path(name)
    stem = path.name.split(".", 1)[0] or path.name
    return str(path.with_name(f"{stem}.results.csv"))


def _find_run(runs: PostgresBatchRuns, beginning: str) -> Run:
    found = [each for each in runs.list_runs(_RUNS_LOOKED_AT_MAX) if each.run_id.startswith(beginning)]
    if len(found) != 1:
        msg = f"{'Several runs begin' if found else 'No run begins'} with {beginning}: see `postrail batch list`."
        raise CommandError(msg)
    return found[0]


def _run(plan: RunPlan) -> RunReport:
    try:
        return run_batch(plan)
    except RunStopped as error:
        raise CommandError(str(error), exit_code=_EXIT_STOPPED) from error


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """A polite end, as containers get it, is an interruption like Ctrl-C."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _write_results(runs: PostgresBatchRuns, reports: list[tuple[str, RunReport]], place: str) -> None:
    with ExitStack() as stack:
        stream = stack.enter_context(written_whole(place))
        write_results(stream, _refused(runs.refused_rows, reports), result_format(place))


def _refused(
    read: Callable[[str], Iterator[RefusedRow]], reports: list[tuple[str, RunReport]]
) -> Iterator[tuple[str, RefusedRow]]:
    for name, report in reports:
        for row in read(report.run.run_id):
            yield name, row


def _print_report(name: str, report: RunReport, place: str) -> None:
    out, counts = console.out(), report.counts
    if report.known:
        out.print(f"{name} was posted before ({report.run.run_id}): nothing was posted now.", soft_wrap=True)
    else:
        rate = report.lines_now / max(0.001, report.seconds)
        earlier = f", {counts.lines - report.lines_now:,} of them before" if report.resumed else ""
        out.print(
            f"{name}: {counts.lines:,} rows{earlier}; {report.seconds:,.1f} s, {rate:,.0f}/s with {report.workers} "
            f"workers, {report.peak_rss_bytes / 2**20:,.0f} MiB at most.",
            soft_wrap=True,
        )
    out.print(
        "  ".join(f"{title} {number:,}" for title, number in counts.as_dict().items() if title != "lines"),
        soft_wrap=True,
    )
    refused = counts.lines - counts.posted
    out.print(f"{refused:,} rows were not posted: {place}" if refused else "Every row was posted.", soft_wrap=True)


def _document(reports: list[tuple[str, RunReport, str]], seconds: float) -> dict[str, Any]:
    total = Counts()
    for _, report, _ in reports:
        total.add(report.counts)
    lines_now = sum(report.lines_now for _, report, _ in reports)
    files = [
        _run_document(report.run, report.counts)
        | {
            "file": name,
            "results": place,
            "seconds": round(report.seconds, 3),
            "payments_per_s": round(report.lines_now / max(0.001, report.seconds), 1),
            "resumed": report.resumed,
            "known": report.known,
        }
        for name, report, place in reports
    ]
    return {
        "files": files,
        **total.as_dict(),
        "seconds": round(seconds, 3),
        "payments_per_s": round(lines_now / max(0.001, seconds), 1),
        "peak_rss_mib": round(max(report.peak_rss_bytes for _, report, _ in reports) / 2**20, 1),
        "workers": max(report.workers for _, report, _ in reports),
        "resumed": any(report.resumed for _, report, _ in reports),
        "run_id": reports[0][1].run.run_id,
    }


def _run_document(run: Run, counts: Counts) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "source": run.source,
        "content_sha256": run.content_sha256,
        "size_bytes": run.size_bytes,
        "partitions": run.partitions,
        "chunk_size": run.chunk_size,
        "started_at": run.started_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        **counts.as_dict(),
    }
