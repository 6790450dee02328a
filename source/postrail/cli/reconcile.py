"""`postrail reconcile`: authorizations against events against ledger against a settlement file."""

import csv
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from postrail.adapters.aws.authorizations_table import AuthorizationsTable
from postrail.adapters.postgres.reconciliation import Outcome, PostgresReconciliation, Sides, Span
from postrail.batch.files import LocalFile
from postrail.cli import console
from postrail.cli.failures import CommandError
from postrail.cli.graph import Graph, load_graph
from postrail.cli.periods import parse_period
from postrail.cli.statement_csv import harmless
from postrail.domain.reconciliation import MEANINGS, AuthorizedPayment, Break, BreakKind, SettlementLine
from postrail.reconcile.authorizations import AuthorizationFile
from postrail.reconcile.settlement import read_settlement

app = typer.Typer(add_completion=False, no_args_is_help=True)

_SHOWN_MAX: Final = 50
_LISTED_MAX: Final = 1_000_000
_CSV_COLUMNS: Final = (
    "kind",
    "subject",
    "expected",
    "found",
    "amount_minor",
    "currency",
    "at",
    "status",
    "first_run",
    "last_run",
    "break_key",
)


class Status(StrEnum):
    """What became of a break."""

    OPEN = "open"
    PATCHED = "patched"
    RESOLVED = "resolved"
    ACCEPTED = "accepted"


Ledger = Annotated[
    str, typer.Option("--ledger", metavar="DSN", help="A ledger without a graph; then give --authorizations.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
AsCsv = Annotated[Path | None, typer.Option("--csv", help="Write the breaks to this CSV file as well.")]


@app.command("run")
def run_reconciliation(  # noqa: PLR0913, PLR0917 - each argument is an option of the command
    start: Annotated[str, typer.Option("--from", help="First day or instant, UTC. Default: a day ago.")] = "",
    end: Annotated[str, typer.Option("--to", help="Last day, or the instant before which. Default: now.")] = "",
    settlement: Annotated[
        list[Path] | None, typer.Option(help="Settlement file, CSV or camt.053; give it for each file.")
    ] = None,
    authorizations: Annotated[
        Path | None, typer.Option(help="Authorizations from a file instead of the graph's table.")
    ] = None,
    ledger: Ledger = "",
    tolerance: Annotated[int, typer.Option(min=0, help="Minor units by which posting and settlement may differ.")] = 0,
    settlement_days: Annotated[int, typer.Option(min=0, help="Days until a posting must be settled.")] = 3,
    grace: Annotated[int, typer.Option(min=0, help="Minutes that a payment may be on its way.")] = 15,
    as_csv: AsCsv = None,
    as_json: AsJson = False,
) -> None:
    """Compare the sides of a time, and keep what differs. The exit code is 0 only when nothing does."""
    now = datetime.now(UTC)
    span = _span(start, end, now, timedelta(minutes=grace), settlement_days, tolerance)
    graph = None if ledger else load_graph()
    if graph is None and authorizations is None:
        raise CommandError("With --ledger alone there is nothing to compare with: give --authorizations.", exit_code=2)
    reconciliation = PostgresReconciliation(ledger or _dsn(graph))
    sides = Sides(
        authorizations=_authorizations(graph, authorizations, span),
        authorizations_complete=authorizations is not None,
        settlement=_lines(settlement) if settlement else None,
        letters=_letters(graph) if graph else (),
    )
    run_id = f"rec_{uuid.uuid4().hex}"
    with console.working("Comparing"):
        outcome = reconciliation.compare(run_id, span, sides, now=now)
    found = reconciliation.breaks(run_id=run_id, limit=_LISTED_MAX) if outcome.total else []
    found = [each for each in found if each.status != Status.ACCEPTED]
    if as_csv:
        _write_csv(as_csv, found)
    if as_json:
        console.write_json(_document(span, outcome, found))
    else:
        _show(span, outcome, found)
    raise typer.Exit(1 if found else 0)


@app.command("breaks")
def list_breaks(
    kind: Annotated[BreakKind | None, typer.Option(help="Only this kind.")] = None,
    status: Annotated[Status, typer.Option(help="Only in this state.")] = Status.OPEN,
    run_id: Annotated[str, typer.Option("--run", help="Only what this run found.")] = "",
    ledger: Ledger = "",
    as_csv: AsCsv = None,
    as_json: AsJson = False,
) -> None:
    """List the breaks that runs have found."""
    reconciliation = PostgresReconciliation(ledger or _dsn(load_graph()))
    found = reconciliation.breaks(run_id=run_id or None, kind=kind, status=status.value, limit=_LISTED_MAX)
    if as_csv:
        _write_csv(as_csv, found)
    if as_json:
        console.write_json({"breaks": [_break_document(each) for each in found]})
        return
    _show_breaks(found)


def _span(start: str, end: str, now: datetime, grace: timedelta, days: int, tolerance: int) -> Span:
    if end and not start:
        raise CommandError("--to without --from is no period.", exit_code=2)
    if start:
        period = parse_period(start, end or now.isoformat())
        opens, closes = period.start, period.end
    else:
        opens, closes = now - timedelta(days=1), now
    return Span(opens, closes, grace=grace, settlement_days=days, tolerance_minor=tolerance)


def _dsn(graph: Graph | None) -> str:
    return graph.ledger_dsn() if graph else ""


def _authorizations(graph: Graph | None, path: Path | None, span: Span) -> Iterator[AuthorizedPayment]:
    if path is not None:
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
        return AuthorizationFile(LocalFile(path)).payments()
    if graph is None:
        return iter(())
    table = AuthorizationsTable(graph.client("dynamodb"), graph.table("authorizations"))
    return table.payments(span.start, span.end)


def _lines(paths: Sequence[Path]) -> Iterator[SettlementLine]:
    for path in paths:
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
        yield from read_settlement(path)


def _letters(graph: Graph) -> list[tuple[str, str]]:
    with graph.dead_letters() as reader:
        found = {letter.payment_id: letter.queue.removesuffix("-dlq") for letter in reader.look() if letter.payment_id}
    return [(payment_id, queue) for payment_id, queue in found.items() if payment_id.startswith("pay_")]


def _document(span: Span, outcome: Outcome, found: Sequence[Break]) -> dict[str, Any]:
    return {
        "run_id": outcome.run_id,
        "from": span.start.isoformat(),
        "to": span.end.isoformat(),
        "sides": outcome.sides,
        "breaks": [_break_document(each) for each in found],
        "by_kind": {
            kind: {"breaks": count, "amount_minor": amount} for kind, (count, amount) in outcome.breaks.items()
        },
        "seconds": round(sum(outcome.seconds.values()), 3),
    }


def _break_document(each: Break) -> dict[str, Any]:
    return asdict(each) | {"at": each.at.isoformat() if each.at else None}


def _show(span: Span, outcome: Outcome, found: Sequence[Break]) -> None:
    sides = outcome.sides
    console.out().print(
        console.facts(
            [
                ("run", outcome.run_id),
                ("from", f"{span.start:%Y-%m-%d %H:%M} to {span.end:%Y-%m-%d %H:%M} UTC"),
                ("authorizations", f"{sides['authorizations']:,}"),
                ("ended otherwise", f"{sides['ends']:,}"),
                ("posted", f"{sides['ledger']:,}"),
                ("settlement lines", f"{sides['settlement']:,}"),
                ("seconds", f"{sum(outcome.seconds.values()):,.1f}"),
            ]
        )
    )
    console.out().print()
    if not found:
        console.out().print("Everything agrees.")
        return
    _show_breaks(found)


def _show_breaks(found: Sequence[Break]) -> None:
    if not found:
        console.out().print("No breaks.")
        return
    grid = console.table("kind", "about", "expected", "found", "at stake", "since", right=("at stake",))
    for each in found[:_SHOWN_MAX]:
        stake = console.format_minor(each.amount_minor, each.currency) if each.currency else "-"
        since = f"{each.at:%Y-%m-%d %H:%M}" if each.at else "-"
        grid.add_row(each.kind.value, each.subject, each.expected, each.found, stake, since)
    console.out().print(grid)
    if len(found) > _SHOWN_MAX:
        console.out().print(f"... {len(found) - _SHOWN_MAX:,} more: use --csv or --json.")
    console.out().print()
    for kind in BreakKind:
        count = sum(each.kind is kind for each in found)
        if count:
            console.out().print(f"{count:,} {kind.value}: {MEANINGS[kind]}", soft_wrap=True)


def _write_csv(path: Path, found: Sequence[Break]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _CSV_COLUMNS)
        writer.writeheader()
        for each in found:
            values = _break_document(each)
            writer.writerow(
                {name: harmless(str(values[name] if values[name] is not None else "")) for name in _CSV_COLUMNS}
            )
