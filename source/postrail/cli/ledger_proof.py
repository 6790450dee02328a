"""`postrail ledger verify` and `anchor`: proving the books, and keeping what tells when they were rewritten."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from postrail.adapters.files.anchors import AnchorFile
from postrail.adapters.postgres.chain import take_anchor
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.verify import CHECKS, Progress, VerifyReport
from postrail.adapters.postgres.verify import verify as verify_ledger
from postrail.adapters.system import SystemClock
from postrail.cli import console
from postrail.cli.graph import ledger_dsn
from postrail.ports import AnchorStore

_CONNECTIONS_MAX = 16
_PARTS = 100

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `postrail ledger`."""
    app.command()(verify)
    app.command()(anchor)


def verify(
    anchors: Annotated[
        list[str] | None,
        typer.Option("--anchor", metavar="FILE|S3", help="Anchors that must stand in the chain. May be repeated."),
    ] = None,
    connections: Annotated[
        int | None, typer.Option(min=1, max=_CONNECTIONS_MAX, help="Share the work. Default: one for each core.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recompute balances, holds and the hash chain, and name the first difference. Exit code 1 when there is one."""
    stores = [_store(place) for place in anchors or ()]
    with _database() as database, _progress() as progress:
        report = verify_ledger(
            database,
            anchors=chain.from_iterable(store.read() for store in stores),
            connections=connections or min(os.cpu_count() or 1, _CONNECTIONS_MAX),
            progress=progress,
        )
    if as_json:
        console.write_json(verify_document(report))
    else:
        _print_report(report)
    raise typer.Exit(0 if report.clean else 1)


def anchor(
    to: Annotated[
        str | None,
        typer.Option(metavar="FILE|S3", help="Keep it in this file, or under s3://bucket/prefix. Default: show it."),
    ] = None,
    retain_days: Annotated[
        int,
        typer.Option(min=1, max=36_500, help="In a bucket with Object Lock and no default retention: for so long."),
    ] = 365,
    as_json: AsJson = False,
) -> None:
    """Take the ends of the hash chains, and keep them where whoever can change the ledger cannot."""
    store = None if to is None else _store(to, retain_days=retain_days)
    with _database() as database:
        taken = take_anchor(database, clock=SystemClock())
    if store is None:
        console.out().print(taken.to_json(), soft_wrap=True)
        return
    place = store.keep(taken)
    batches = sum(head.lane_no for head in taken.heads)
    if as_json:
        console.write_json({"place": place, "root": taken.root, "batches": batches})
    else:
        console.out().print(f"Anchored {batches:,} batches in {place}; root {taken.root}.", soft_wrap=True)


def verify_document(report: VerifyReport) -> dict[str, object]:
    """The report as one JSON object."""
    differences = [
        {"check": each.check, "key": each.key, "detail": each.detail, "count": each.count}
        for each in report.differences
    ]
    return {
        "clean": report.clean,
        "accounts": report.accounts,
        "batches": report.batches,
        "transactions": report.transactions,
        "entries": report.entries,
        "anchors": report.anchors,
        "checks": len(CHECKS),
        "entry_sums_minor": report.entry_sums_minor,
        "balance_sums_minor": report.balance_sums_minor,
        "first_difference": differences[0] if differences else None,
        "differences": differences,
    }


def _print_report(report: VerifyReport) -> None:
    grid = console.table("currency", "sum of entries", "sum of balances", right=("sum of entries", "sum of balances"))
    for currency in sorted(report.entry_sums_minor.keys() | report.balance_sums_minor.keys()):
        sums = (report.entry_sums_minor.get(currency, 0), report.balance_sums_minor.get(currency, 0))
        grid.add_row(currency, *(_amount(each, currency) for each in sums))
    out = console.out()
    out.print(grid)
    out.print(
        f"\n{report.accounts:,} accounts, {report.transactions:,} transactions in {report.batches:,} batches, "
        f"{report.entries:,} entries; anchors checked: {report.anchors:,}.",
        soft_wrap=True,
    )
    if report.clean:
        out.print(f"The ledger is clean: all {len(CHECKS)} checks hold.")
        return
    if not report.differences:
        console.err().print("NOT clean: the sums are not zero.")
    for number, each in enumerate(report.differences):
        head = "NOT clean. First difference" if number == 0 else "Also"
        console.err().print(f"{head}: {each.check}: {each.key}: {each.detail} ({each.count} like it).", soft_wrap=True)


def _amount(amount_minor: int, currency: str) -> str:
    """In major units; a currency that the ledger should not have stays in minor ones."""
    try:
        return console.format_minor(amount_minor, currency).rsplit(" ", 1)[0]
    except ValueError:
        return str(amount_minor)


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """A bar while somebody watches."""
    if not console.err().is_terminal:
        yield None
        return
    with console.progress("Verifying the ledger", _PARTS) as meter:
        yield lambda done, total: meter.reach(done * _PARTS // total)


def _store(place: str, *, retain_days: int = 365) -> AnchorStore:
    if not place.startswith("s3://"):
        return AnchorFile(Path(place))
    # boto3 only when it is needed.
    from postrail.adapters.aws.anchors import AnchorBucket  # noqa: PLC0415
    from postrail.cli.batch_places import s3_client  # noqa: PLC0415

    return AnchorBucket(s3_client(), place, retain_days=retain_days)


def _database() -> Database:
    return Database(ledger_dsn(), application_name="postrail-cli")
