"""Reference data in a file, for batches without a cloud: cards with their accounts, and exchange rates.

JSON Lines. A card: {"card": token, "account": {...}, "opening_balance_minor": 1000}. A rate: {"rate": "1.16",
"source": "GBP", "target": "EUR", "day": "2026-01-02", "publisher": "..."}.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, TypeAdapter, ValidationError

from postrail.batch.failures import FileUnusable
from postrail.batch.files import LocalFile, recognise, unpacked_blocks
from postrail.batch.rows import split_lines
from postrail.contracts.base import CardToken, Contract, CurrencyCode, DecimalText, Text
from postrail.contracts.payment import AccountDetails
from postrail.ports import ExchangeRate

_CARD: Final = re.compile(rb'"card"\s*:\s*"([^"\\]*)"')


class CardLine(Contract):
    """A card and the account that it draws on."""

    card: CardToken
    account: AccountDetails
    opening_balance_minor: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        default=0, description="minor units of the account's currency; for opening the account in a ledger"
    )


class RateLine(Contract):
    """An exchange rate: units of `target` for one of `source`."""

    rate: DecimalText
    source: CurrencyCode
    target: CurrencyCode
    day: date
    publisher: Text

    def to_rate(self) -> ExchangeRate:
        """The rate as the stages take it."""
        return ExchangeRate(self.source, self.target, Decimal(self.rate), self.day, self.publisher)


_validate_card: Final = TypeAdapter(CardLine).validate_json
_validate_rate: Final = TypeAdapter(RateLine).validate_json


def read_reference(path: Path, *, wants: Callable[[bytes], bool] | None = None) -> Iterator[CardLine | RateLine]:
    """Every line of the file; `wants` may pass over cards by their token. Raises FileUnusable naming the line."""
    source = LocalFile(path)
    for first, lines in split_lines(unpacked_blocks(source, recognise(source).compression)):
        for number, line in enumerate(lines, first):
            card = _CARD.search(line)
            if not line or line.isspace() or (card is not None and wants is not None and not wants(card[1])):
                continue
            try:
                yield _validate_card(line) if card else _validate_rate(line)
            except ValidationError as error:
                problem = error.errors(include_input=False, include_url=False)[0]
                why = f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
                raise FileUnusable(f"{path}: line {number} is no card and no rate: {why}.") from error
