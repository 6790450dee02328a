"""Reads the exchange rates that the local cloud is seeded with (config/reference/rates.yaml)."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field

from postrail.contracts.base import CurrencyCode, DecimalText, Text
from postrail.domain.errors import Permanent, ReasonCode
from postrail.ports import ExchangeRate

_FILE_BYTES_MAX = 1_000_000


class _RatesFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    publisher: Text
    day: date
    rates: Annotated[dict[CurrencyCode, dict[CurrencyCode, DecimalText]], Field(min_length=1, max_length=200)]


def load_rates(path: Path) -> list[ExchangeRate]:
    """All rates of the file, one per (source, target) pair. Raises Permanent naming the file when it is not valid."""
    raw = path.read_bytes()
    if len(raw) > _FILE_BYTES_MAX:
        raise Permanent(ReasonCode.INVALID_VALUE, f"{path}: more than {_FILE_BYTES_MAX} bytes")
    try:
        content = _RatesFile.model_validate(yaml.safe_load(raw))
    except (yaml.YAMLError, ValueError) as error:
        raise Permanent(ReasonCode.INVALID_VALUE, f"{path}: {error}") from error
    rates = [
        ExchangeRate(source, target, Decimal(text), content.day, content.publisher)
        for target, sources in content.rates.items()
        for source, text in sources.items()
    ]
    for rate in rates:
        if rate.rate <= 0 or rate.source == rate.target:
            detail = f"{path}: {rate.source} to {rate.target} must be above zero and between two currencies"
            raise Permanent(ReasonCode.INVALID_VALUE, detail)
    return rates
