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
from botocore.exceptions import BotoCoreError, ClientError

from postrail.adapters.aws.authorizations_table import AuthorizationsTable
from postrail.adapters.postgres.patches import Patch, PatchBook
from postrail.adapters.postgres.reconciliation import Outcome, PostgresReconciliation, Sides, Span
from postrail.batch.files import LocalFile
from postrail.cli import console
from postrail.cli.failures import CommandError
from postrail.cli.graph import Graph, load_graph
from postrail.cli.periods import parse_period
from postrail.cli.reconcile_patches import Patcher, who
from postrail.cli.statement_csv import harmless
from postrail.domain.reconciliation import MEANINGS, AuthorizedPayment, Break, BreakKind, SettlementLine, remedy_for
from postrail.reconcile.authorizations import AuthorizationFile
from postrail.reconcile.settlement import read_settlement

app = typer.Typer(add_completion=False, no_args_is_help=True)

_SHOWN_MAX: Final = 50
_KEY_CHARS_MIN: Final = 8
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


class PatchStatus(StrEnum):
    """What became of a patch."""

    WAITING = "waiting"
    APPROVED = "approved"
    APPLIED = "applied"
    FAILED = "failed"
    REFUSED = "refused"


PatchId = Annotated[int, typer.Argument(min=1, metavar="PATCH", help="The number of the patch.")]
Name = Annotated[
    str, typer.Option("--as", help="Who acts, on one machine; in an account it is whose credentials are used.")
]
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
    apply: Annotated[
        bool, typer.Option("--apply", help="Patch what can be patched; over --limit it waits for approval.")
    ] = False,
    limit: Annotated[int, typer.Option(min=0, help="Minor units up to which a patch needs no second person.")] = 10_000,
    name: Name = "",
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
    if graph is not None:
        tell_metric(graph, len(found))
    patches: list[Patch] = []
    if apply:
        patcher = Patcher(ledger or _dsn(graph), graph)
        patcher.ask(found, limit_minor=limit, by=who(name, graph))
        patches = patcher.do_approved()
    if as_csv:
        _write_csv(as_csv, found)
    if as_json:
        console.write_json(_document(span, outcome, found) | {"patches": [_patch_document(each) for each in patches]})
    else:
        _show(span, outcome, found)
        if apply:
            _show_patches([*patches, *PatchBook(ledger or _dsn(graph)).patches(status="waiting")])
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


@app.command("patches")
def list_patches(
    status: Annotated[PatchStatus | None, typer.Option(help="Only in this state.")] = None,
    ledger: Ledger = "",
    as_json: AsJson = False,
) -> None:
    """List patches: what was asked, what was before and after, who asked and who approved."""
    patches = PatchBook(ledger or _dsn(load_graph())).patches(status=status.value if status else None)
    if as_json:
        console.write_json({"patches": [_patch_document(each) for each in patches]})
    else:
        _show_patches(patches)


@app.command("approve")
def approve_patch(patch_id: PatchId, name: Name = "", ledger: Ledger = "") -> None:
    """Approve a patch that waits, and do it. Nobody approves what they asked for."""
    _decide(patch_id, name, ledger, approve=True)


@app.command("refuse")
def refuse_patch(patch_id: PatchId, name: Name = "", ledger: Ledger = "") -> None:
    """Refuse a patch that waits. Its break stays open."""
    _decide(patch_id, name, ledger, approve=False)


@app.command("accept")
def accept_break(
    break_key: Annotated[str, typer.Argument(help="The break's key, or at least eight characters of it.")],
    ledger: Ledger = "",
) -> None:
    """Accept a break as it is: later runs count it no more."""
    if len(break_key) < _KEY_CHARS_MIN or not set(break_key) <= set("0123456789abcdef"):
        raise CommandError("Give at least eight hex digits of the break's key.", exit_code=2)
    accepted = PostgresReconciliation(ledger or _dsn(load_graph())).accept(break_key)
    if not accepted:
        raise CommandError(f"There is no open break {break_key}: see `postrail reconcile breaks`.")
    console.out().print(f"Accepted {', '.join(accepted)}.")


def _decide(patch_id: int, name: str, ledger: str, *, approve: bool) -> None:
    graph = None if ledger else load_graph()
    dsn, by = ledger or _dsn(graph), who(name, graph)
    book = PatchBook(dsn)
    if not book.decide(patch_id, approve=approve, by=by):
        found = book.patches(patch_id=patch_id)
        if not found:
            raise CommandError(f"There is no patch {patch_id}: see `postrail reconcile patches`.")
        if found[0].status == PatchStatus.WAITING:
            raise CommandError(f"{by} asked for patch {patch_id}: somebody else has to decide.")
        raise CommandError(f"Patch {patch_id} is {found[0].status}: it does not wait for anybody.")
    if approve:
        Patcher(dsn, graph).do_approved()
    _show_patches(book.patches(patch_id=patch_id))


def _show_patches(patches: Sequence[Patch]) -> None:
    if not patches:
        console.out().print("No patches.")
        return
    grid = console.table("patch", "action", "about", "amount", "status", "asked by", "approved by", right=("amount",))
    for each in patches:
        amount = console.format_minor(each.amount_minor, each.currency) if each.currency else "-"
        grid.add_row(
            str(each.patch_id),
            each.action.value,
            each.subject,
            amount,
            each.status,
            each.asked_by,
            each.approved_by or "-",
        )
    console.out().print(grid)
    for each in patches:
        if each.status == PatchStatus.FAILED and each.after:
            console.out().print(f"Patch {each.patch_id} failed: {each.after.get('error')}", soft_wrap=True)


def _patch_document(each: Patch) -> dict[str, Any]:
    instants = {
        "created_at": each.created_at.isoformat(),
        "done_at": each.done_at.isoformat() if each.done_at else None,
    }
    return asdict(each) | instants


def _span(start: str, end: str, now: datetime, grace: timedelta, days: int, tolerance: int) -> Span:
    if end and not start:
        raise CommandError("--to without --from is no period.", exit_code=2)
    if start:
        period = parse_period(start, end or now.isoformat())
        opens, closes = period.start, period.end
    else:
        opens, closes = now - timedelta(days=1), now
    return Span(opens, closes, grace=grace, settlement_days=days, tolerance_minor=tolerance)


def tell_metric(graph: Graph, breaks: int) -> None:
    """Tell CloudWatch how many breaks there are, also none: the alarm `reconciliation-breaks` watches it.

    A metric that cannot be sent is a remark and no failure: the breaks are kept in the ledger's database.
    """
    namespace = graph.outputs.observability.get("namespace")
    if not namespace:
        return
    data = {
        "MetricName": "ReconciliationBreaks",
        "Dimensions": [{"Name": "service", "Value": "reconcile"}],
        "Value": breaks,
        "Unit": "Count",
    }
    try:
        graph.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[data])
    except (BotoCoreError, ClientError) as error:
        console.err().print(f"CloudWatch was not told of {breaks} breaks: {error}", soft_wrap=True)


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
    grid = console.table("break", "kind", "about", "expected", "found", "at stake", "since", right=("at stake",))
    for each in found[:_SHOWN_MAX]:
        stake = console.format_minor(each.amount_minor, each.currency) if each.currency else "-"
        since = f"{each.at:%Y-%m-%d %H:%M}" if each.at else "-"
        grid.add_row(
            each.break_key[:_KEY_CHARS_MIN], each.kind.value, each.subject, each.expected, each.found, stake, since
        )
    console.out().print(grid)
    if len(found) > _SHOWN_MAX:
        console.out().print(f"... {len(found) - _SHOWN_MAX:,} more: use --csv or --json.")
    console.out().print()
    for kind in BreakKind:
        count = sum(each.kind is kind for each in found)
        if count:
            advice = remedy_for(next(each for each in found if each.kind is kind)).advice
            console.out().print(f"{count:,} {kind.value}: {MEANINGS[kind]}. To do: {advice}.", soft_wrap=True)


def _write_csv(path: Path, found: Sequence[Break]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _CSV_COLUMNS)
        writer.writeheader()
        for each in found:
            values = _break_document(each)
            writer.writerow(
                {name: harmless(str(values[name] if values[name] is not None else "")) for name in _CSV_COLUMNS}
            )
