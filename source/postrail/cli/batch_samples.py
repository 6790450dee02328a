"""`postrail batch generate` and `open-accounts`: sample files of any length, and the accounts that they need."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.system import SystemClock, SystemIds
from postrail.batch.files import Compression, Format, format_by_name
from postrail.batch.generate import write_reference, write_rows
from postrail.batch.reference import CardLine, read_reference
from postrail.cli import console
from postrail.cli.batch_places import ledger_of
from postrail.cli.failures import CommandError
from postrail.domain.ledger import AccountSpec, AccountStatus, AccountType
from postrail.sampling.accounts import sample_accounts, system_accounts
from postrail.sampling.day import sample_day
from postrail.sampling.rates import load_rates
from postrail.settings import Settings

DEFAULT_ACCOUNTS = 500
"""As many as `postrail seed` opens, so that a sample file and a local cloud go together."""


def generate(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    count: Annotated[int, typer.Option(min=1, max=1_000_000_000, help="How many rows.")] = 1_000,
    seed: Annotated[int, typer.Option(help="The same seed, day and count give the same file.")] = 1,
    duplicates: Annotated[float, typer.Option(min=0, max=1, help="Share of rows that repeat a payment.")] = 0.05,
    malformed: Annotated[float, typer.Option(min=0, max=1, help="Share of rows that are wrong in some way.")] = 0.001,
    accounts: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many accounts pay.")] = DEFAULT_ACCOUNTS,
    day: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Default: yesterday, UTC.")] = None,
    format_: Annotated[Format | None, typer.Option("--format", help="Default: by --out, else jsonl.")] = None,
    out: Annotated[Path | None, typer.Option(help="The file; .gz and .zst compress. Default: standard output.")] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Also write the cards, accounts and rates that the rows need.")
    ] = None,
) -> None:
    """Write a day of sample payments. Cards are tokens; nothing in the file is a card number."""
    promised, compression = format_by_name(out.name) if out else (None, Compression.NONE)
    if format_ and promised and format_ is not promised:
        msg = f"--format {format_.value} and the name {out} disagree: leave one of them away."
        raise CommandError(msg, exit_code=2)
    chosen = format_ or promised or Format.JSONL
    if out is None and (chosen is Format.PARQUET or sys.stdout.isatty()):
        msg = "Name a file with --out: Parquet and terminals do not go together." if chosen is Format.PARQUET else (
            "Name a file with --out, or send the output somewhere."
        )  # fmt: skip
        raise CommandError(msg, exit_code=2)
    payers = sample_accounts(seed, accounts)
    moment = (day or datetime.now(UTC) - timedelta(days=1)).date()
    try:
        bodies = sample_day(
            seed,
            count,
            accounts=payers,
            day=moment,
            duplicates=duplicates,
            malformed=malformed,
            flat=chosen is not Format.JSONL,
        )
    except ValueError as error:
        raise CommandError(f"{str(error).capitalize()}.", exit_code=2) from error
    if reference is not None:
        rates = load_rates(Settings().resolved_config_dir() / "reference" / "rates.yaml")
        write_reference(reference, payers, rates)
    with console.progress(f"Writing {out or 'payments'}", count) as meter:
        write_rows(out or sys.stdout.buffer, bodies, chosen, compression, on_rows=meter.reach)
    if reference is not None:
        console.err().print(
            f"{reference}: {len(payers):,} cards. Next: postrail batch open-accounts {reference}", soft_wrap=True
        )


def open_accounts(
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE", help="What `batch generate --reference` wrote.")],
    ledger: Annotated[
        str | None,
        typer.Option("--ledger", metavar="DSN", help="The ledger. Default: POSTRAIL_LEDGER_DSN, or the graph's."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Open a reference file's accounts in the ledger, with their opening balances. Doing it again changes nothing."""
    if not reference.is_file():
        msg = f"There is no file {reference}: write one with `postrail batch generate --reference {reference}`."
        raise CommandError(msg)
    specs: dict[str, AccountSpec] = {}
    openings: dict[str, int] = {}
    for line in read_reference(reference):
        if isinstance(line, CardLine):
            account = line.account
            specs[account.account_id] = AccountSpec(
                account_id=account.account_id,
                type=AccountType.CUSTOMER,
                currency=account.currency,
                status=AccountStatus(account.status),
                name=account.holder_name,
            )
            # A closed account takes no entries, so it opens with nothing.
            if line.opening_balance_minor and account.status != AccountStatus.CLOSED:
                openings[account.account_id] = line.opening_balance_minor
    banks_own = system_accounts({spec.currency for spec in specs.values()})
    with Database(ledger_of(ledger), application_name="postrail-cli", statement_seconds_max=300) as database:
        accounts, clock, ids = PostgresAccounts(database), SystemClock(), SystemIds()
        own = accounts.open_accounts(banks_own, clock=clock, ids=ids)
        opened = accounts.open_accounts(list(specs.values()), openings=openings, clock=clock, ids=ids)
    if as_json:
        counts = {"accounts": own.accounts + opened.accounts, "openings": opened.openings, "named": len(specs)}
        console.write_json(counts)
    else:
        console.out().print(
            f"{reference} names {len(specs):,} accounts. New: {opened.accounts:,} of them, {opened.openings:,} opening "
            f"balances, {own.accounts:,} accounts of the bank.",
            soft_wrap=True,
        )
