"""`postrail cardholder`: pay at a terminal, take payments back, and play scenarios."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from random import randrange
from typing import Annotated, Any

import typer

from postrail.cli import console
from postrail.cli.cardholder_inputs import Receipt, card_of, money_of, read_receipt, write_receipt
from postrail.cli.cardholder_messages import as_json_document, logs_aside, show_exchange
from postrail.cli.cardholder_scripts import script
from postrail.cli.failures import CommandError
from postrail.domain.money import Money
from postrail.settings import SwitchSettings
from switch.bootstrap import build_terminal_line, read_ecosystem
from switch.cardholder.action_meanings import explain_action
from switch.cardholder.card import HeldCard
from switch.cardholder.terminal import Place, Terminal
from switch.cardholder.till import Exchange, Outcome, Patience, Till
from switch.iso8583.message import Message

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Pay at a terminal, take payments back, play scenarios."
)

app.command()(script)

CONNECT_SECONDS_MAX = 10.0
ANSWER_MARGIN_SECONDS = 2.0
"""A terminal waits a little longer than the network waits for the bank."""


class Kind(StrEnum):
    """What is done at the terminal."""

    PURCHASE = "purchase"
    ONLINE = "online"
    CASH = "cash"
    REFUND = "refund"
    PRE_AUTHORISATION = "pre-authorisation"


Network = Annotated[str | None, typer.Option(help="The network's id. Default: the ecosystem's first.")]
CardFile = Annotated[
    Path | None,
    typer.Option(help="File with the card: `NUMBER YYMM`, or JSON. Default: POSTRAIL_CARD, or a prompt. - is stdin."),
]
Seconds = Annotated[float | None, typer.Option(min=0.1, max=120, help="How long to wait for an answer.")]
TerminalId = Annotated[str, typer.Option(help="The terminal's id (DE 41), 8 characters.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


@app.callback()
def cardholder() -> None:
    """Pay at a terminal, take payments back, play scenarios."""


@app.command()
def pay(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    amount: Annotated[str, typer.Argument(help="How much, in major units, e.g. 12.50.")],
    currency: Annotated[str, typer.Argument(help="ISO 4217, e.g. GBP.")],
    kind: Annotated[Kind, typer.Option(help="What is done at the terminal.")] = Kind.PURCHASE,
    complete: Annotated[
        str | None, typer.Option(help="With a pre-authorisation: complete it at once with this amount.")
    ] = None,
    network: Network = None,
    card_file: CardFile = None,
    receipt: Annotated[
        Path | None, typer.Option(help="Write what `reverse` needs to this file. It holds no card data.")
    ] = None,
    seconds: Seconds = None,
    terminal_id: TerminalId = "POSTRAIL",
    as_json: AsJson = False,
) -> None:
    """Pay. The exit code is 0 only when the payment was approved."""
    if complete is not None and kind is not Kind.PRE_AUTHORISATION:
        raise CommandError("--complete goes with --kind pre-authorisation.", exit_code=2)
    card, money = card_of(card_file), money_of(amount, currency)
    completed = money_of(complete, currency) if complete is not None else None

    async def at_the_till(till: Till) -> list[Outcome]:
        request = _request(till.terminal, kind, card, money)
        outcomes = [await till.ask(request)]
        if receipt is not None:
            write_receipt(receipt, Receipt.of(request, outcomes[0].answer))
        if completed is not None and _is_approved(outcomes[0]):
            approval = outcomes[0].answer.get(38) if outcomes[0].answer else ""
            outcomes.append(await till.insist(till.terminal.completion(request, completed, approval)))
        return outcomes

    _run(at_the_till, card, network, seconds, terminal_id, as_json=as_json)


@app.command()
def reverse(
    receipt: Annotated[Path, typer.Argument(help="The receipt that `pay` wrote.")],
    left: Annotated[
        str | None, typer.Option(help="Reverse a part alone: what is left, in the payment's currency.")
    ] = None,
    network: Network = None,
    card_file: CardFile = None,
    seconds: Seconds = None,
    terminal_id: TerminalId = "POSTRAIL",
    as_json: AsJson = False,
) -> None:
    """Take a payment back. It is sent again until the network acknowledges it; the exit code is 0 only then."""
    paid = read_receipt(receipt)
    card = card_of(card_file)
    original = paid.original(card)
    remaining = money_of(left, paid.currency) if left is not None else None

    async def at_the_till(till: Till) -> list[Outcome]:
        return [await till.insist(till.terminal.reversal(original, left=remaining))]

    _run(at_the_till, card, network, seconds, terminal_id, as_json=as_json)


def _request(terminal: Terminal, kind: Kind, card: HeldCard, amount: Money) -> Message:
    match kind:
        case Kind.CASH:
            return terminal.cash_withdrawal(card, amount)
        case Kind.REFUND:
            return terminal.refund(card, amount)
        case Kind.PRE_AUTHORISATION:
            return terminal.pre_authorisation(card, amount)
        case _:
            return terminal.purchase(card, amount, online=kind is Kind.ONLINE)


def _run(
    work: Callable[[Till], Awaitable[list[Outcome]]],
    card: HeldCard,
    network: str | None,
    seconds: float | None,
    terminal_id: str,
    *,
    as_json: bool,
) -> None:
    exchanges: list[Exchange] = []

    def tell(exchange: Exchange) -> None:
        exchanges.append(exchange)
        if not as_json:
            show_exchange(exchange)

    if not as_json:
        console.out().print(f"Card {card.masked}")
    with logs_aside():
        outcomes = asyncio.run(_at_a_till(work, network, seconds, Place(terminal_id=terminal_id), tell))
    approved = all(_is_approved(outcome) for outcome in outcomes)
    if as_json:
        console.write_json(_document(card, outcomes, exchanges))
    else:
        console.out().print(_sentence(outcomes))
    raise typer.Exit(0 if approved else 1)


async def _at_a_till(
    work: Callable[[Till], Awaitable[list[Outcome]]],
    network: str | None,
    seconds: float | None,
    place: Place,
    tell: Callable[[Exchange], None],
) -> list[Outcome]:
    settings = SwitchSettings()
    ecosystem = read_ecosystem(settings)
    chosen = ecosystem.network(network) if network else ecosystem.networks[0]
    late: list[Message] = []
    line = await build_terminal_line(chosen.id, settings, on_late=late.append)
    await line.start()
    try:
        if not await line.wait_up(CONNECT_SECONDS_MAX):
            where = f"{chosen.listen.host}:{chosen.listen.port}"
            raise CommandError(
                f"The network {chosen.id} cannot be reached at {where} ({line.failure}): start it with "
                f"`postrail switch network {chosen.id}`."
            )
        terminal = Terminal(place, now=lambda: datetime.now().astimezone(), first_stan=randrange(999_999))
        patience = Patience(answer_seconds=seconds or chosen.response_seconds + ANSWER_MARGIN_SECONDS)
        return await work(Till(terminal, line, patience, tell=tell))
    finally:
        await line.stop()


def _is_approved(outcome: Outcome) -> bool:
    """Approved, or acknowledged."""
    return outcome.action_code[:1] == "0" or outcome.action_code in {"400", "900", "901"}


def _sentence(outcomes: list[Outcome]) -> str:
    last = outcomes[-1]
    if last.answer is None:
        return "No answer came; the payment was reversed." if last.undone else "No answer came."
    if not _is_approved(last):
        return f"Declined: {explain_action(last.action_code)}."
    if last.exchanges[0].sent.mti[1] != "1":
        return f"Acknowledged: {explain_action(last.action_code)}."
    approval = last.answer.get(38)
    return f"Approved: {last.action_code}{f', approval code {approval}' if approval else ''}."


def _document(card: HeldCard, outcomes: list[Outcome], exchanges: list[Exchange]) -> dict[str, Any]:
    last = outcomes[-1]
    return {
        "card": card.masked,
        "approved": all(_is_approved(outcome) for outcome in outcomes),
        "action_code": last.action_code or None,
        "undone": any(outcome.undone for outcome in outcomes),
        "exchanges": [as_json_document(exchange) for exchange in exchanges],
    }
