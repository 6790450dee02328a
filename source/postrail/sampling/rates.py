"""Reads the exchange rates that the local cloud is seeded with (config/reference/rates.yaml)."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import Field

from postrail.config_files import ConfigModel, read_config
from postrail.contracts.base import CurrencyCode, DecimalText, Text
from postrail.domain.errors import ConfigInvalid
from postrail.ports import ExchangeRate


class _RatesFile(ConfigModel):
    publisher: Text
    day: date
    rates: Annotated[dict[CurrencyCode, dict[CurrencyCode, DecimalText]], Field(min_length=1, max_length=200)]


def load_rates(path: Path) -> list[ExchangeRate]:
    """All rates of the file, one per (source, target) pair. Raises ConfigInvalid naming the file and the place."""
    content = read_config(path, _RatesFile)
    rates = [
        ExchangeRate(source, target, Decimal(text), content.day, content.publisher)
        for target, sources in content.rates.items()
        for source, text in sources.items()
    ]
    for rate in rates:
        if rate.rate <= 0 or rate.source == rate.target:
            msg = f"{path}: rates.{rate.target}.{rate.source} must be above zero and between two currencies"
            raise ConfigInvalid(msg)
    return rates
