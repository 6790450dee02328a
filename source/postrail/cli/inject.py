"""`postrail inject`: send payments into the graph, and follow them to their end."""

import uuid
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Table

from postrail.cli import console
from postrail.cli.follow import Outcome, Report, Tally, follow, report_on
from postrail.cli.graph import Graph, load_graph
from postrail.cli.inputs import Payment, read_payments, sampled_payments
from postrail.cli.ledger_ends import LedgerEnds
from postrail.cli.seed import DEFAULT_ACCOUNTS, DEFAULT_ACCOUNTS_SEED
from postrail.cli.send import BusDoor, Door, SendLog, TableDoor, refuse_known, send_all

app = typer.Typer(add_completion=False)


class Via(StrEnum):
    """The two doors of the graph."""

    TABLE = "table"
    EVENTS = "events"


@app.command()
def inject(  # noqa: PLR0913, PLR0917 - each argument is an option of the command
    count: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many payments to send.")] = 200,
    seed: Annotated[int, typer.Option(help="The same seed makes the same payments, with new ids and times.")] = 1,
    duplicates: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of inputs that repeat an earlier one.")
    ] = 0.1,
    malformed: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of inputs that are wrong somehow.")] = 0.0,
    via: Annotated[
        Via, typer.Option(help="Write rows to the authorizations table, or put events on the bus.")
    ] = Via.TABLE,
    file: Annotated[
        Path | None, typer.Option(help="Send the lines of this JSON Lines file instead of generated payments.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.01, max=10_000, help="Payments a second, open loop. Default: as fast as it goes."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow every payment to its end.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait after the last payment was sent.")] = 120.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    accounts: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="As many accounts as `postrail seed` opened.")
    ] = DEFAULT_ACCOUNTS,
    accounts_seed: Annotated[
        int, typer.Option(help="The seed that `postrail seed` was given.")
    ] = DEFAULT_ACCOUNTS_SEED,
) -> None:
    """Send payments into the graph, and follow them to their end.

    With --wait the exit code is 0 only when every payment is accounted for: posted + parked + rejected + referred +
    dead_lettered = injected.
    """
    graph = load_graph()
    run_id = f"run_{uuid.uuid4().hex}"
    if file is not None:
        payments = read_payments(file)
    else:
        payments = sampled_payments(
            count=count,
            seed=seed,
            duplicates=duplicates,
            malformed=malformed,
            accounts=accounts,
            accounts_seed=accounts_seed,
            run_id=run_id,
        )
    door = _open_door(graph, via, run_id)
    if file is not None and isinstance(door, TableDoor):
        refuse_known(door, payments)
    with console.progress(f"Injecting via {via.value}", len(payments)) as meter:
        log = send_all(payments, door, rate=rate, on_progress=meter.reach)
    taken = [payment for payment in payments if payment.payment_id not in log.refused]
    if not wait:
        _say_sent(run_id, taken, log, as_json)
        raise typer.Exit(1 if log.refused else 0)
    report = _follow(graph, run_id, taken, log, timeout)
    if as_json:
        console.write_json(report.document() | {"not_taken": len(log.refused)})
    else:
        console.out().print(render(report))
    _complain(report, log)
    raise typer.Exit(1 if report.unaccounted_count or log.refused else 0)


def _open_door(graph: Graph, via: Via, run_id: str) -> Door:
    if via is Via.TABLE:
        return TableDoor(graph.client("dynamodb"), graph.table("authorizations"), run_id)
    return BusDoor(graph.client("events"), graph.outputs.bus_name, run_id)


def _follow(graph: Graph, run_id: str, taken: Sequence[Payment], log: SendLog, timeout: float) -> Report:
    tally = Tally(frozenset(payment.payment_id for payment in taken), run_id)
    with (
        LedgerEnds(graph.ledger_dsn(), run_id) as ledger,
        graph.dead_letters() as letters,
        console.progress("Following to the end", len(taken)) as meter,
    ):
        follow(tally, ledger, letters, timeout_seconds=timeout, on_progress=meter.reach)
    return report_on(tally, {payment.payment_id: log.sent_at[payment.payment_id] for payment in taken})


def _say_sent(run_id: str, taken: Sequence[Payment], log: SendLog, as_json: bool) -> None:
    if as_json:
        document: dict[str, Any] = {"run_id": run_id, "injected": len(taken), "not_taken": len(log.refused)}
        console.write_json(document)
    else:
        console.out().print(f"Injected {len(taken)} payments as {run_id}.")
        if taken:
            console.out().print(f"Follow one with: postrail trace {taken[0].payment_id}")
    _complain_refused(log)


def render(report: Report) -> Group:
    """The report as tables: where the payments ended and why, and how fast it went."""
    ends = console.table("outcome", "payments", "reason", "of these", right=("payments", "of these"))
    for outcome in Outcome:
        _add_outcome(ends, report, outcome)
    ends.add_section()
    ends.add_row("accounted for", str(sum(report.counts.values())), "", "")
    ends.add_row("injected", str(report.injected), "", "")
    speed = console.facts(
        [
            ("run", report.run_id),
            ("seconds", _number(report.seconds)),
            ("throughput", f"{_number(report.throughput_per_s)} payments/s"),
            ("latency to the ledger's commit", _latency(report)),
        ]
    )
    return Group(ends, "", speed)


def _add_outcome(grid: Table, report: Report, outcome: Outcome) -> None:
    reasons = list(report.reasons.get(outcome, {}).items())
    first_reason, first_count = reasons[0] if reasons else ("", "")
    grid.add_row(outcome.value.replace("_", " "), str(report.counts[outcome]), first_reason, str(first_count))
    for reason, number in reasons[1:]:
        grid.add_row("", "", reason, str(number))


def _latency(report: Report) -> str:
    if report.latency_p50_ms is None or report.latency_p99_ms is None:
        return "nothing was posted"
    return f"p50 {report.latency_p50_ms:,.1f} ms, p99 {report.latency_p99_ms:,.1f} ms"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def _complain(report: Report, log: SendLog) -> None:
    _complain_refused(log)
    if report.unaccounted_count:
        named = ", ".join(report.unaccounted)
        more = " ..." if report.unaccounted_count > len(report.unaccounted) else ""
        console.err().print(
            f"{report.unaccounted_count} of {report.injected} payments are unaccounted for: {named}{more}. "
            "Look at one with `postrail trace`, or wait longer with --timeout.",
            soft_wrap=True,
        )


def _complain_refused(log: SendLog) -> None:
    if log.refused:
        payment_id, reason = next(iter(log.refused.items()))
        console.err().print(
            f"{len(log.refused)} payments were not taken in, e.g. {payment_id}: {reason}. Send them again.",
            soft_wrap=True,
        )
