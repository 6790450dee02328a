"""What all contracts share: strict, frozen, closed models, and the small field types of the trade."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer
from pydantic_core import PydanticCustomError

from postrail.domain.card import is_card_token
from postrail.domain.ids import ID_PATTERN
from postrail.domain.iso3166 import COUNTRY_CODES
from postrail.domain.iso4217 import CURRENCY_CODES
from postrail.domain.money import AMOUNT_MINOR_MAX

EVENT_BYTES_MAX = 48_000
"""Largest event accepted. EventBridge takes 256 KB for a request of ten; this leaves room for what stages add."""


class Contract(BaseModel):
    """Base of every contract: unknown fields are refused, types are not coerced, instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


def _check_currency(code: str) -> str:
    if code not in CURRENCY_CODES:
        raise PydanticCustomError("unknown_currency", "no active ISO 4217 currency code")
    return code


def _check_country(code: str) -> str:
    if code not in COUNTRY_CODES:
        raise PydanticCustomError("unknown_country", "no ISO 3166-1 alpha-2 code")
    return code


def _check_token(token: str) -> str:
    if not is_card_token(token):
        # The value may be a clear card number: it must not travel in the error.
        raise PydanticCustomError("clear_pan", "a card token is 13 to 19 digits that fail the Luhn check")
    return token


def _to_utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)


def _format_instant(instant: datetime) -> str:
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


Instant = Annotated[AwareDatetime, AfterValidator(_to_utc), PlainSerializer(_format_instant, when_used="json")]
"""A point in time with an offset; kept and written in UTC with microseconds."""
Id = Annotated[str, Field(pattern=ID_PATTERN)]
"""A prefixed UUIDv7, e.g. pay_0197f0a0c0de7abc8def0123456789ab."""
CurrencyCode = Annotated[str, Field(pattern=r"^[A-Z]{3}$"), AfterValidator(_check_currency)]
CountryCode = Annotated[str, Field(pattern=r"^[A-Z]{2}$"), AfterValidator(_check_country)]
CardToken = Annotated[str, Field(pattern=r"^[0-9]{13,19}$"), AfterValidator(_check_token)]
AmountMinor = Annotated[int, Field(gt=0, le=AMOUNT_MINOR_MAX)]
Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
PaymentKey = Annotated[str, Field(min_length=5, max_length=120)]
AccountId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9:_-]{2,63}$")]
Text = Annotated[str, Field(min_length=1, max_length=140)]
YearMonth = Annotated[str, Field(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]
DecimalText = Annotated[str, Field(pattern=r"^[0-9]{1,12}(\.[0-9]{1,12})?$")]
"""A decimal number as text: exact in JSON, never a float."""
