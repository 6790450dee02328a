"""`postrail ledger`: migrate the database, prove the books, read balances."""

from typing import Annotated

import typer

from postrail.adapters.postgres.accounts import Balance, PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.migrate import migrate as migrate_database
from postrail.adapters.postgres.sequences import PostgresSequences, WaitingSequence
from postrail.cli import console, ledger_holds, ledger_proof, ledger_statements
from postrail.cli.failures import CommandError
from postrail.cli.graph import ledger_dsn

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Migrate, verify and read the ledger.")
ledger_proof.register(app)
ledger_statements.register(app)
ledger_holds.register(app)

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
def balances(
    account: Annotated[
        str | None, typer.Argument(help="One account, e.g. settlement:scheme:gbp. Default: all.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many accounts.")] = 50,
    after: Annotated[str, typer.Option(help="Begin behind this account id.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show balances: total is posted, held is promised, the rest is available. Credit is positive."""
    with _database() as database:
        found = PostgresAccounts(database).read_balances([account] if account else None, after=after, limit=limit)
    if account and not found:
        msg = f"The ledger has no account {account}: check the id with `postrail ledger balances`."
        raise CommandError(msg)
    if as_json:
        console.write_json({"balances": [_balance_document(balance) for balance in found]})
        return
    amounts = ("total", "held", "available")
    grid = console.table("account", "type", "status", *amounts, "", "entries", right=(*amounts, "entries"))
    for balance in found:
        minors = (balance.total_minor, balance.held_minor, balance.available_minor)
        texts = [console.format_minor(minor, balance.currency).rsplit(" ", 1)[0] for minor in minors]
        grid.add_row(
            balance.account_id,
            balance.type.value,
            balance.status.value,
            *texts,
            balance.currency,
            f"{balance.entry_count:,}",
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


def _balance_document(balance: Balance) -> dict[str, object]:
    return {
        "account_id": balance.account_id,
        "type": balance.type.value,
        "status": balance.status.value,
        "name": balance.name,
        "currency": balance.currency,
        "total_minor": balance.total_minor,
        "held_minor": balance.held_minor,
        "locked_minor": balance.locked_minor,
        "available_minor": balance.available_minor,
        "overdraft_limit_minor": balance.overdraft_limit_minor,
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
