"""`postrail bench`: measure speed on this machine, as a table or as JSON."""

from typing import Annotated, Any

import typer

from postrail.bench.fuzz_switch import FuzzFailed, fuzz_switch
from postrail.bench.ledger import ACCOUNTS, measure_ledger
from postrail.bench.pipeline import measure_pipeline
from postrail.bench.reconcile import measure_reconciliation
from postrail.bench.stages import measure_stages
from postrail.bench.switch import CARDS, Plan, measure_switch
from postrail.cli import console
from postrail.cli.failures import CommandError
from postrail.settings import Settings

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Measure speed on this machine.")

Accounts = Annotated[int, typer.Option(min=100, max=1_000_000, help="Customers that pay.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


@app.callback()
def bench() -> None:
    """Measure speed on this machine."""


@app.command()
def stages(
    count: Annotated[int, typer.Option(min=1, help="Sample payments in each run.")] = 20_000,
    runs: Annotated[int, typer.Option(min=1, max=50, help="Runs for each batch size; medians are shown.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Time every stage function for one event, and per event in batches of 10, 100 and 1,000."""
    report = measure_stages(count, runs=runs, config_dir=Settings().resolved_config_dir())
    if as_json:
        console.write_json(report.document())
        return
    sizes = [time.batch_size for time in report.all_stages]
    columns = [f"{percentile} of {size}" for size in sizes for percentile in ("p50", "p99")]
    grid = console.table("us per event", *columns, right=columns)
    by_stage: dict[str, list[str]] = {}
    for time in [*report.stages, *report.all_stages]:
        by_stage.setdefault(time.stage, []).extend((f"{time.p50_us:.1f}", f"{time.p99_us:.1f}"))
    for stage, cells in by_stage.items():
        grid.add_row(stage, *cells)
    console.out().print(grid)
    ends = ", ".join(f"{number} {end}" for end, number in report.ends.items())
    console.out().print(f"\n{report.count} payments a run ({ends}), median of {report.runs} runs.")
    machine = report.machine
    console.out().print(
        f"{machine['cpu']}, {machine['cores']} cores, load average {machine['load_average']}, {machine['python']}, "
        f"{machine['system']}."
    )


@app.command()
def ledger(
    payments: Annotated[int, typer.Option(min=1_000, help="Payments in each run.")] = 200_000,
    runs: Annotated[int, typer.Option(min=1, max=50, help="Runs of each way; medians are shown.")] = 3,
    writers: Annotated[int, typer.Option(min=1, max=16, help="Processes that post at once.")] = 2,
    baseline_payments: Annotated[
        int, typer.Option(min=100, help="Payments in each run of the one-transaction-a-payment baseline.")
    ] = 10_000,
    accounts: Accounts = ACCOUNTS,
    as_json: AsJson = False,
) -> None:
    """Post sequenced two-leg payments into a scratch ledger with durable commits, and compare with the obvious way."""
    with console.working("Posting into a scratch PostgreSQL"):
        report = measure_ledger(
            payments, runs=runs, writers=writers, baseline_payments=baseline_payments, accounts=accounts
        )
    if as_json:
        console.write_json(report)
        return
    out = console.out()
    out.print(f"Ledger: {report['payments_per_s']:,} payments/s (runs: {_listed(report['runs'])})")
    out.print(
        f"One transaction a payment: {report['baseline_payments_per_s']:,} payments/s "
        f"(runs: {_listed(report['baseline_runs'])}); the ledger is {report['times_baseline']} times as fast"
    )
    out.print(
        f"{report['rows_per_payment']} rows and {report['wal_bytes_per_payment']:,} bytes of WAL a payment, "
        f"{report['peak_rss_mib']:,} MiB in the writers; batches of {report['batch_size']:,}, {writers} writers, "
        f"{report['accounts']:,} accounts and {report['hot_accounts']} hot ones"
    )
    _print_machine(report)


@app.command()
def pipeline(
    count: Annotated[int, typer.Option(min=1_000, help="Rows of the file.")] = 1_000_000,
    runs: Annotated[int, typer.Option(min=1, max=50, help="Runs of each way; medians are shown.")] = 3,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 2,
    file_format: Annotated[str, typer.Option("--format", help="csv, jsonl, parquet, or with .gz or .zst.")] = "jsonl",
    baseline_count: Annotated[
        int, typer.Option(min=100, help="Rows of the one-transaction-a-payment baseline's file.")
    ] = 3_000,
    accounts: Accounts = ACCOUNTS,
    as_json: AsJson = False,
) -> None:
    """Run a sample file from its raw rows into a scratch ledger with durable commits, as `postrail batch run` does."""
    with console.working("Running a sample file into a scratch PostgreSQL"):
        report = measure_pipeline(
            count, runs=runs, workers=workers, file_format=file_format, baseline_count=baseline_count, accounts=accounts
        )
    if as_json:
        console.write_json(report)
        return
    out = console.out()
    out.print(
        f"Pipeline: {report['payments_per_s']:,} payments/s, {report['payments']:,} rows in {report['seconds']} s "
        f"(runs: {_listed(report['runs'])})"
    )
    out.print(
        f"One transaction a payment, one worker: {report['baseline_payments_per_s']:,} payments/s "
        f"(runs: {_listed(report['baseline_runs'])}); the batch road is {report['times_baseline']} times as fast"
    )
    out.print(
        f"{report['rows_per_payment']} rows and {report['wal_bytes_per_payment']:,} bytes of WAL a payment, "
        f"{report['peak_rss_mib']:,} MiB in all processes of the command; {report['workers']} workers, "
        f"{report['file_format']} of {report['file_bytes'] / 1e6:,.0f} MB"
    )
    out.print(", ".join(f"{number:,} {end}" for end, number in report["ends"].items()))
    _print_machine(report)


@app.command()
def reconcile(
    count: Annotated[int, typer.Option(min=1_000, help="Authorizations, and about as many postings and lines.")] = (
        1_000_000
    ),
    runs: Annotated[int, typer.Option(min=1, max=50, help="Runs; the median is shown.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Reconcile a day's authorizations with a ledger and with a settlement file that is spoiled in known places."""
    with console.working("Filling a scratch PostgreSQL and reconciling it"):
        report = measure_reconciliation(count, runs=runs)
    if as_json:
        console.write_json(report)
        return
    out = console.out()
    out.print(
        f"Reconciliation: {report['authorizations']:,} authorizations, {report['posted']:,} postings and "
        f"{report['settlement_lines']:,} settlement lines in {report['seconds']} s (runs: {report['runs']})"
    )
    found = ", ".join(f"{number:,} {kind}" for kind, number in report["breaks"].items())
    out.print(f"Found exactly what was made: {found}")
    out.print("Steps: " + ", ".join(f"{name} {seconds} s" for name, seconds in report["steps"].items()), soft_wrap=True)
    _print_machine(report)


@app.command()
def switch(
    seconds: Annotated[float, typer.Option(min=1, help="How long the switch is saturated.")] = 60.0,
    connections: Annotated[int, typer.Option(min=1, max=5_000, help="Terminals, each with its connection.")] = 1_000,
    in_flight: Annotated[int, typer.Option(min=1, help="Payments on the way at a time, when saturating.")] = 200,
    rate: Annotated[float, typer.Option(min=1, help="Payments a second of the paced part.")] = 1_000.0,
    cards: Annotated[int, typer.Option(min=1, max=100_000, help="Cards that pay, in turn.")] = CARDS,
    as_json: AsJson = False,
) -> None:
    """Authorise payments from terminals through a network at a bank, with durable holds, all as processes."""
    plan = Plan(seconds=seconds, connections=connections, in_flight=in_flight, paced_rate=rate, cards=cards)
    with console.working("Paying at the switch"):
        report = measure_switch(plan, Settings().resolved_config_dir())
    if as_json:
        console.write_json(report)
        return
    out = console.out()
    out.print(
        f"Switch: {report['authorizations_per_s']:,} authorizations/s for {report['seconds']} s over "
        f"{report['connections']:,} connections, {report['in_flight']} on the way at a time "
        f"(p50 {report['saturated_p50_ms']} ms, p99 {report['saturated_p99_ms']} ms)"
    )
    out.print(
        f"Paced at {report['paced_per_s']:,} a second: p50 {report['p50_ms']} ms, p99 {report['p99_ms']} ms, "
        "each timed from when it was due"
    )
    out.print(
        f"{report['authorizations']:,} answered, {report['lost']} lost, {report['approved']:,} approved = active holds"
    )
    codec = console.table("codec alone", "MAC", "encode/s", "decode/s", right=("encode/s", "decode/s"))
    for row in report["codec"]["dialects"]:
        codec.add_row(row["dialect"], row["mac"] or "", f"{row['encode_per_s']:,}", f"{row['decode_per_s']:,}")
    out.print(codec)
    _print_machine(report)


@app.command()
def fuzz(
    count: Annotated[int, typer.Option(min=100, help="Spoiled messages.")] = 1_000_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed spoils alike.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Send spoiled messages to networks and a bank while neighbours pay. The exit code is 0 only when nobody suffers.

    Nobody suffers when the processes are up, every valid message was answered, and memory did not grow.
    """
    problem = ""
    with console.working("Sending spoiled messages"):
        try:
            report = fuzz_switch(count, seed=seed, config_dir=Settings().resolved_config_dir())
        except FuzzFailed as error:
            problem, report = str(error), dict(error.report)
    if as_json:
        console.write_json(report)
    else:
        out = console.out()
        out.print(
            f"Fuzz: {report['messages']:,} spoiled messages in {report['seconds']} s, {report['rejected']:,} rejected, "
            f"{report['answered']:,} answered, {report['closed']:,} lines closed on a broken frame"
        )
        out.print(
            f"{report['neighbours_answered']:,} of {report['neighbours_sent']:,} valid messages in between answered"
        )
        out.print(
            f"Memory of all processes: {report['rss_start_mib']} MiB at first, {report['rss_end_mib']} MiB at last"
        )
        _print_machine(report)
    if problem:
        raise CommandError(problem)


def _listed(rates: list[int]) -> str:
    return ", ".join(f"{rate:,}" for rate in rates)


def _print_machine(report: dict[str, Any]) -> None:
    machine = report["machine"]
    console.out().print(
        f"{machine['cpu']}, {machine['cores']} cores, {machine['python']}, PostgreSQL {report['postgresql']} "
        f"(fsync and synchronous_commit on), {machine['system']}."
    )
