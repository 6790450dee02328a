"""Messages and answers beside each other, for `postrail cardholder`."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from postrail.adapters.aws.observability import logger
from postrail.cli import console
from switch.cardholder.action_meanings import explain_action
from switch.cardholder.showing import as_document, message_name, show_fields
from switch.cardholder.till import Exchange


@contextmanager
def logs_aside() -> Iterator[None]:
    """Send what links and services log to standard error, warnings and worse alone: results go to standard output."""
    level = logger.log_level
    handlers = [each for each in logger.handlers if isinstance(each, logging.StreamHandler)]
    streams = [each.stream for each in handlers]
    logger.setLevel(logging.WARNING)
    for handler in handlers:
        handler.stream = sys.stderr
    try:
        yield
    finally:
        logger.setLevel(level)
        for handler, stream in zip(handlers, streams, strict=True):
            handler.stream = stream


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
    out.print(f"Answer: {answered}{', ' + explain_action(answer[39]) if answer and 39 in answer.fields else ''}")


def as_json_document(exchange: Exchange) -> dict[str, Any]:
    """The same for a program."""
    return {
        "sent": as_document(exchange.sent),
        "answer": as_document(exchange.answer) if exchange.answer else None,
        "failure": exchange.failure or None,
    }
