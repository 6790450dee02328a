"""`postrail ledger`: migrate the database, prove the books, read balances."""

from typing import Annotated

import typer

from postrail.adapters.postgres.accounts import Balance, PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.migrate import migrate as migrate_database
from postrail.adapters.postgres.sequences import PostgresSequences, WaitingSequence
from postrail.adapters.postgres.verify import CHECKS, VerifyReport
from postrail.adapters.postgres.verify import verify as verify_ledger
from postrail.cli import console, ledger_statements
from postrail.cli.failures import CommandError
from postrail.cli.graph import ledger_dsn

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Migrate, verify and read the ledger.")
ledger_statements.register(app)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


@app.command()
def migrate(as_json: AsJson = False) -> None:
    """Bring the ledger's database to the newest schema. Safe to run twice, and at the same time."""
    applied = migrate_database(ledger_dsn())
    if as_json:
        console.write_json({"applied": applied})
    elif applied:
        console.out().print(f"Applied {len(applied)} migrations: {', '.join(applied)}.", soft_wrap=True)
    else:
        console.out().print("The ledger's schema is up to date.")


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Recompute every balance from its entries and name the first difference. Exit code 1 when there is one."""
    with _database() as database:
        report = verify_ledger(database)
    if as_json:
        console.write_json(verify_document(report))
    else:
        _print_report(report)
    raise typer.Exit(0 if report.clean else 1)


@app.command()
def balances(
    account: Annotated[
        str | None, typer.Argument(help="One account, e.g. settlement:scheme:gbp. Default: all.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many accounts.")] = 50,
    after: Annotated[str, typer.Option(help="Begin behind this account id.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show balances; credit is positive, so a customer's balance is what the bank owes."""
    with _database() as database:
        found = PostgresAccounts(database).read_balances([account] if account else None, after=after, limit=limit)
    if account and not found:
        msg = f"The ledger has no account {account}: check the id with `postrail ledger balances`."
        raise CommandError(msg)
    if as_json:
        console.write_json({"balances": [_balance_document(balance) for balance in found]})
        return
    grid = console.table("account", "type", "status", "balance", "", "entries", right=("balance", "entries"))
    for balance in found:
        amount, currency = console.format_minor(balance.total_minor, balance.currency).rsplit(" ", 1)
        grid.add_row(
            balance.account_id, balance.type.value, balance.status.value, amount, currency, f"{balance.entry_count:,}"
        )
    console.out().print(grid)
    if len(found) == limit:
        console.err().print(f"More may follow: --after {found[-1].account_id}", soft_wrap=True)


@app.command()
def waiting(
    older_than: Annotated[int, typer.Option(min=0, help="Only those that wait for so many seconds.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many sequences, oldest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show posting sequences that wait for parts, and whether an alert was raised."""
    with _database() as database:
        found = PostgresSequences(database).list_waiting(older_than_seconds=older_than, limit=limit)
    if as_json:
        console.write_json({"waiting": [_waiting_document(sequence) for sequence in found]})
        return
    if not found:
        console.out().print("No posting sequence waits for a part.")
        return
    grid = console.table("payment", "missing", "of", "waiting s", "alerted", right=("of", "waiting s"))
    for sequence in found:
        missing = ", ".join(map(str, sequence.missing))
        alerted = sequence.alerted_at.isoformat(timespec="seconds") if sequence.alerted_at else "no"
        grid.add_row(sequence.payment_id, missing, str(sequence.total), f"{sequence.waiting_seconds:,}", alerted)
    console.out().print(grid)


def verify_document(report: VerifyReport) -> dict[str, object]:
    """The report as one JSON object."""
    differences = [
        {"check": each.check, "key": each.key, "detail": each.detail, "count": each.count}
        for each in report.differences
    ]
    return {
        "clean": report.clean,
        "accounts": report.accounts,
        "transactions": report.transactions,
        "entries": report.entries,
        "entry_sums_minor": report.entry_sums_minor,
        "balance_sums_minor": report.balance_sums_minor,
        "first_difference": differences[0] if differences else None,
        "differences": differences,
    }


def _print_report(report: VerifyReport) -> None:
    grid = console.table("currency", "sum of entries", "sum of balances", right=("sum of entries", "sum of balances"))
    for currency in sorted(report.entry_sums_minor.keys() | report.balance_sums_minor.keys()):
        sums = (report.entry_sums_minor.get(currency, 0), report.balance_sums_minor.get(currency, 0))
        grid.add_row(currency, *(console.format_minor(each, currency).rsplit(" ", 1)[0] for each in sums))
    out = console.out()
    out.print(grid)
    out.print(f"\n{report.accounts:,} accounts, {report.transactions:,} transactions, {report.entries:,} entries.")
    first = report.first_difference
    if report.clean:
        out.print(f"The ledger is clean: all {len(CHECKS)} checks hold.")
    elif first is None:
        console.err().print("NOT clean: the sums are not zero.")
    else:
        console.err().print(
            f"NOT clean. First difference: {first.check}: {first.key}: {first.detail} ({first.count} like it).",
            soft_wrap=True,
        )


def _balance_document(balance: Balance) -> dict[str, object]:
    return {
        "account_id": balance.account_id,
        "type": balance.type.value,
        "status": balance.status.value,
        "name": balance.name,
        "currency": balance.currency,
        "total_minor": balance.total_minor,
        "entry_count": balance.entry_count,
        "updated_at": balance.updated_at.isoformat(),
    }


def _waiting_document(sequence: WaitingSequence) -> dict[str, object]:
    return {
        "payment_id": sequence.payment_id,
        "sequence_id": sequence.sequence_id,
        "correlation_id": sequence.correlation_id,
        "missing": list(sequence.missing),
        "total": sequence.total,
        "waiting_seconds": sequence.waiting_seconds,
        "alerted_at": sequence.alerted_at.isoformat() if sequence.alerted_at else None,
    }


def _database() -> Database:
    return Database(ledger_dsn(), application_name="postrail-cli")
