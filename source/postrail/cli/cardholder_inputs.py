"""What `postrail cardholder` is given: a card that is never on the command line, amounts, and receipts."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import typer

from postrail.cli.amounts import parse_amount
from postrail.cli.failures import CommandError
from postrail.domain.iso4217 import UnknownCurrency, currency_by_code, currency_by_numeric
from postrail.domain.money import Money
from switch.cardholder.card import CARD_BYTES_MAX, HeldCard, read_card
from switch.iso8583.message import Message

CARD_VARIABLE: Final = "POSTRAIL_CARD"
_RECEIPT_BYTES_MAX: Final = 16_384
_KEPT: Final = (3, 4, 11, 12, 22, 26, 32, 37, 41, 42, 43, 49)
"""What a receipt keeps of a message: nothing of the card."""


def card_of(file: Path | None) -> HeldCard:
    """The card: from a file (`-` is standard input), else from POSTRAIL_CARD, else asked for. Raises ConfigInvalid."""
    if file is not None and str(file) == "-":
        return read_card(sys.stdin.read(CARD_BYTES_MAX))
    if file is not None:
        with file.open(encoding="utf-8") as opened:
            return read_card(opened.read(CARD_BYTES_MAX))
    if given := os.environ.get(CARD_VARIABLE):
        return read_card(given)
    return read_card(typer.prompt("Card number and month (NUMBER YYMM)", hide_input=True, err=True))


def money_of(amount: str, currency: str) -> Money:
    """An amount above nothing. Raises CommandError."""
    code = currency.upper()
    try:
        currency_by_code(code)
    except UnknownCurrency as error:
        raise CommandError(f"{currency!r} is no currency: give its three letters, e.g. GBP.", exit_code=2) from error
    minor = parse_amount(amount, code)
    if minor == 0:
        raise CommandError("The amount is nothing: give more.", exit_code=2)
    return Money(minor, code)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What tells a payment from all others, without the card that it was made with."""

    mti: str
    fields: dict[int, str]
    action_code: str
    approval_code: str

    @classmethod
    def of(cls, request: Message, answer: Message | None) -> Self:
        """The receipt of a request."""
        fields: dict[int, str] = {number: request[number] for number in _KEPT if number in request.fields}
        return cls(request.mti, fields, answer.get(39) if answer else "", answer.get(38) if answer else "")

    @property
    def currency(self) -> str:
        """The payment's currency, three letters."""
        return currency_by_numeric(self.fields[49]).code

    def original(self, card: HeldCard) -> Message:
        """The request once more, with its card."""
        return Message(self.mti, self.fields | {2: card.pan, 14: card.expiry})


def write_receipt(path: Path, receipt: Receipt) -> None:
    """Write a receipt as JSON."""
    document = {
        "mti": receipt.mti,
        "fields": {str(number): value for number, value in receipt.fields.items()},
        "action_code": receipt.action_code,
        "approval_code": receipt.approval_code,
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def read_receipt(path: Path) -> Receipt:
    """Read what `write_receipt` wrote. Raises CommandError."""
    with path.open(encoding="utf-8") as opened:
        text = opened.read(_RECEIPT_BYTES_MAX)
    try:
        document = json.loads(text)
        fields = {int(number): str(value) for number, value in document["fields"].items()}
        receipt = Receipt(document["mti"], fields, document["action_code"], document["approval_code"])
        complete = receipt.mti in {"1100", "1220"} and all(fields.get(number) for number in (3, 4, 11, 12, 32, 41, 49))
        receipt.currency  # noqa: B018 - an unknown one shows here
    except (ValueError, KeyError, TypeError, AttributeError, UnknownCurrency) as error:
        raise CommandError(f"{path} is no receipt of `postrail cardholder pay`.") from error
    if not complete:
        raise CommandError(f"{path} is no receipt of `postrail cardholder pay`: elements are missing.")
    return receipt
