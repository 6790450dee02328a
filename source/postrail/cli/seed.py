"""`postrail seed`: the reference data and the accounts that sample payments need."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from postrail.adapters.aws.reference_table import card_item
from postrail.adapters.postgres.accounts import OpenedAccounts, PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.system import SystemClock, SystemIds
from postrail.cli import console
from postrail.cli.graph import load_graph
from postrail.cli.table_writes import write_all
from postrail.ports import ExchangeRate
from postrail.sampling.accounts import SampleAccount, sample_accounts, system_accounts
from postrail.sampling.rates import load_rates
from postrail.sampling.selftest import ACCOUNT_ID, OPENING_BALANCE_MINOR, selftest_cards, selftest_specs
from postrail.settings import Settings

app = typer.Typer(add_completion=False)

DEFAULT_ACCOUNTS = 500
DEFAULT_ACCOUNTS_SEED = 1


@app.command()
def seed(
    accounts: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many accounts.")] = DEFAULT_ACCOUNTS,
    number: Annotated[
        int, typer.Option("--seed", help="The same seed makes the same accounts.")
    ] = DEFAULT_ACCOUNTS_SEED,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Fill reference data and open the ledger's accounts. Doing it again changes nothing.

    Cards and exchange rates go to the reference table, accounts with their opening balances to the ledger, and the
    accounts of `postrail selftest` to both.
    """
    graph = load_graph()
    samples = sample_accounts(number, accounts)
    rates = load_rates(Settings().resolved_config_dir() / "reference" / "rates.yaml")
    cards = [(sample.card_token, sample.details) for sample in samples] + list(selftest_cards())
    items = [card_item(token, details) for token, details in cards] + [rate_item(rate) for rate in rates]
    with console.progress("Writing reference data", len(items)) as meter:
        write_all(graph.client("dynamodb"), graph.table("reference"), items, on_progress=meter.reach)
    with Database(graph.ledger_dsn(), application_name="postrail-cli", statement_seconds_max=120) as database:
        opened = open_ledger_accounts(PostgresAccounts(database), samples)
    counts = {"cards": len(cards), "rates": len(rates), "accounts": opened.accounts, "openings": opened.openings}
    if as_json:
        console.write_json(counts)
    else:
        console.out().print(
            f"Reference data: {len(cards)} cards, {len(rates)} exchange rates. "
            f"Ledger: {opened.accounts} accounts and {opened.openings} opening balances were new."
        )


def open_ledger_accounts(ledger: PostgresAccounts, samples: Sequence[SampleAccount]) -> OpenedAccounts:
    """Open the bank's own accounts in all currencies of the samples, the samples' and the selftest's accounts."""
    currencies = {sample.details.currency for sample in samples} | {"GBP"}
    openings = {
        sample.details.account_id: sample.opening_balance_minor for sample in samples if sample.opening_balance_minor
    }
    return ledger.open_accounts(
        [*system_accounts(currencies), *selftest_specs(), *(sample.spec() for sample in samples)],
        openings=openings | {ACCOUNT_ID: OPENING_BALANCE_MINOR},
        clock=SystemClock(),
        ids=SystemIds(),
    )


def rate_item(rate: ExchangeRate) -> dict[str, Any]:
    """The reference table's item for an exchange rate; the rate is text, so that it stays exact."""
    return {
        "pk": {"S": f"RATE#{rate.source}#{rate.target}"},
        "rate": {"S": f"{rate.rate:f}"},
        "day": {"S": rate.day.isoformat()},
        "publisher": {"S": rate.publisher},
    }
