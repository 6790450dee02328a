"""`postrail cards`: a bank's cards, over its HTTP API."""

from typing import Annotated, Any

import typer

from postrail.cli import console
from postrail.cli.api_client import DEFAULT_BANK, BankOption, JsonOption, SubjectOption, bank_client
from switch.issuing.api.routes import BLOCK_CARD, GET_CARD, LIST_CARDS, ORDER_CARD
from switch.issuing.callers import Scope
from switch.issuing.lifecycle import BlockReason

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Order, show and block cards.")

CardArgument = Annotated[str, typer.Argument(help="The card's token.")]
AccountArgument = Annotated[str, typer.Argument(help="e.g. customer:northgate-12345678:gbp")]


@app.callback()
def cards() -> None:
    """Order, show and block cards."""


@app.command()
def order(
    account_id: AccountArgument,
    network: Annotated[str, typer.Option(help="The card's network. Default: the bank's first.")] = "",
    show_number: Annotated[bool, typer.Option("--show-number", help="Show the card number, this once.")] = False,
    subject: SubjectOption = "",
    bank: BankOption = DEFAULT_BANK,
    as_json: JsonOption = False,
) -> None:
    """Order a card on an account. It is ready when the network has produced it, within a minute or so."""
    more = (Scope.CARD_NUMBER,) if show_number else ()
    wanted = {"account_id": account_id, "network_id": network or None}
    card = bank_client(subject, bank).call(ORDER_CARD, wanted, more=more)
    if as_json:
        console.write_json(card)
        return
    shown = ("pan",) if card.get("pan") else ()
    names = (*shown, "card_token", "last_four", "expiry", "status", "network_id", "account_id")
    labels = {"pan": "number"}
    console.out().print(console.facts([(labels.get(name, name.replace("_", " ")), str(card[name])) for name in names]))


@app.command("list")
def list_cards(
    account_id: AccountArgument,
    subject: SubjectOption = "",
    bank: BankOption = DEFAULT_BANK,
    as_json: JsonOption = False,
) -> None:
    """List the cards of an account, newest first."""
    found = bank_client(subject, bank).call(LIST_CARDS, {"account_id": account_id})
    if as_json:
        console.write_json(found)
        return
    grid = console.table("token", "ends in", "expiry", "status", "network", "ordered")
    for card in found["cards"]:
        grid.add_row(
            card["card_token"],
            card["last_four"],
            card["expiry"],
            _status(card),
            card["network_id"] or "",
            card["ordered_at"][:19],
        )
    console.out().print(grid)


@app.command()
def show(
    card_token: CardArgument,
    subject: SubjectOption = "",
    bank: BankOption = DEFAULT_BANK,
    as_json: JsonOption = False,
) -> None:
    """Show a card; never its number."""
    _print_card(bank_client(subject, bank).call(GET_CARD, {"card_token": card_token}), as_json=as_json)


@app.command()
def block(
    card_token: CardArgument,
    reason: Annotated[BlockReason, typer.Option(help="Why.")],
    subject: SubjectOption = "",
    bank: BankOption = DEFAULT_BANK,
    as_json: JsonOption = False,
) -> None:
    """Block a card for good."""
    wanted = {"card_token": card_token, "reason": reason.value}
    _print_card(bank_client(subject, bank).call(BLOCK_CARD, wanted), as_json=as_json)


def _print_card(card: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        console.write_json(card)
        return
    limits = {name: value for name, value in card["limits"].items() if value is not None}
    rows = [(name.replace("_", " "), str(card[name])) for name in ("card_token", "last_four", "expiry")]
    rows += [("status", _status(card)), ("account", card["account_id"]), ("network", str(card["network_id"]))]
    rows += [("product", card["product"]), ("services", ", ".join(card["services"]))]
    rows += [(name.replace("_", " "), str(value)) for name, value in limits.items()]
    console.out().print(console.facts(rows))


def _status(card: dict[str, Any]) -> str:
    return f"{card['status']} ({card['status_reason']})" if card["status_reason"] else str(card["status"])
