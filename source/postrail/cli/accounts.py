"""`postrail accounts`: a bank's accounts, over its HTTP API."""

from typing import Annotated, Any

import typer

from postrail.cli import console
from postrail.cli.amounts import parse_amount
from postrail.cli.api_client import DEFAULT_BANK, BankOption, JsonOption, SubjectOption, bank_client
from postrail.settings import Settings
from switch.ecosystem import load_ecosystem
from switch.issuing.api.routes import CREATE_ACCOUNT, GET_BALANCE

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Open accounts at a bank and read their balances.")


@app.callback()
def accounts() -> None:
    """Open accounts at a bank and read their balances."""


@app.command("open")
def open_account(
    name: Annotated[str, typer.Argument(help="The holder's name, as on statements.")],
    customer: Annotated[
        str, typer.Option("--for", help="As an operator: the customer's subject in access tokens.")
    ] = "",
    balance: Annotated[str, typer.Option(help="As an operator: money to start with, e.g. 500.00.")] = "0",
    product: Annotated[str, typer.Option(help="One of config/products.")] = "debit-standard",
    subject: SubjectOption = "",
    bank: BankOption = DEFAULT_BANK,
    as_json: JsonOption = False,
) -> None:
    """Open an account: for oneself (--as), or as an operator for a customer (--for)."""
    currency = load_ecosystem(Settings().resolved_config_dir() / "ecosystem.yaml").bank(bank).currency
    order: dict[str, Any] = {"name": name, "product": product}
    if not subject:
        order["subject"] = customer or None
    if opening_minor := parse_amount(balance, currency):
        order["opening_balance_minor"] = opening_minor
    account = bank_client(subject, bank).call(CREATE_ACCOUNT, order)
    if as_json:
        console.write_json(account)
        return
    names = ("account_id", "iban", "holder_name", "product", "currency", "customer_id")
    console.out().print(console.facts([(label.replace("_", " "), str(account[label])) for label in names]))


@app.command()
def balance(
    account_id: Annotated[str, typer.Argument(help="e.g. customer:northgate-12345678:gbp")],
    subject: SubjectOption = "",
    bank: BankOption = DEFAULT_BANK,
    as_json: JsonOption = False,
) -> None:
    """Read what an account has, holds and can spend."""
    found = bank_client(subject, bank).call(GET_BALANCE, {"account_id": account_id})
    if as_json:
        console.write_json(found)
        return
    grid = console.table("total", "held", "available", right=("total", "held", "available"))
    amounts = (found["total_minor"], found["held_minor"], found["available_minor"])
    grid.add_row(*(console.format_minor(amount, found["currency"]) for amount in amounts))
    console.out().print(grid)
