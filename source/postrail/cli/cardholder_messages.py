"""Messages and answers beside each other, for `postrail cardholder`."""

from typing import Any

from postrail.cli import console
from switch.cardholder.showing import as_document, message_name, show_fields
from switch.cardholder.till import Exchange


def show_exchange(exchange: Exchange) -> None:
    """Print a message and its answer as one table; what tells of the card is masked."""
    sent, answer = exchange.sent, exchange.answer
    answered = f"{answer.mti} {message_name(answer)}" if answer else exchange.failure
    grid = console.table("DE", "Element", "Sent", "Answered", right=["DE"], title=f"{sent.mti} {message_name(sent)}")
    told = {row.number: row for row in show_fields(sent)}
    heard = {row.number: row for row in show_fields(answer)} if answer else {}
    grid.add_row("", "message type", sent.mti, answer.mti if answer else "none")
    for number in sorted(told.keys() | heard.keys()):
        row = told.get(number) or heard[number]
        grid.add_row(
            str(number),
            row.name,
            told[number].value if number in told else "",
            heard[number].value if number in heard else "",
        )
    out = console.out()
    out.print()
    out.print(grid)
    out.print(f"Answer: {answered}")


def as_json_document(exchange: Exchange) -> dict[str, Any]:
    """The same for a program."""
    return {
        "sent": as_document(exchange.sent),
        "answer": as_document(exchange.answer) if exchange.answer else None,
        "failure": exchange.failure or None,
    }
