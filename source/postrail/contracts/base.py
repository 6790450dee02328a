"""What all contracts share: strict, frozen, closed models, and the small field types of the trade."""

from dataclasses import dataclass
from datetime import UTC, datetime
from operator import methodcaller
from typing import Annotated, Any, ClassVar, Final, LiteralString, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from postrail.domain.card import passes_luhn
from postrail.domain.ids import ID_PATTERN
from postrail.domain.instants import format_instant
from postrail.domain.iso3166 import COUNTRY_CODES
from postrail.domain.iso4217 import CURRENCY_CODES
from postrail.domain.money import AMOUNT_MINOR_MAX

EVENT_BYTES_MAX = 48_000
"""Largest event accepted. EventBridge takes 256 KB for a request of ten; this leaves room for what stages add."""


class Contract(BaseModel):
    """Base of every contract: unknown fields are refused, types are not coerced, instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)
    field_names: ClassVar[set[str]] = set()
    """All fields of the contract: what `trusted` says was set. Shared between instances; nothing changes it."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.field_names = set(cls.__pydantic_fields__)


C = TypeVar("C", bound=Contract)

# An empty instance and the four slots of a pydantic instance, written straight: the way that instances are copied,
# and what `model_construct` ends in after looking at every field's alias and default. Five times as fast, and the
# stages make a dozen instances for each payment. A frozen contract refuses ordinary assignment.
_new_instance: Final = object.__new__
_set_values: Final = BaseModel.__dict__["__dict__"].__set__
_set_names: Final = BaseModel.__dict__["__pydantic_fields_set__"].__set__
_set_extra: Final = BaseModel.__dict__["__pydantic_extra__"].__set__
_set_private: Final = BaseModel.__dict__["__pydantic_private__"].__set__


def trusted(contract: type[C], values: dict[str, Any]) -> C:
    """An instance of a contract from values that are known to be valid; nothing is checked.

    `values` names every field, defaults too, in the order of the contract (it decides the order of the JSON), and
    belongs to the instance from now on.
    """
    made = _new_instance(contract)
    _set_values(made, values)
    _set_names(made, contract.field_names)
    _set_extra(made, None)
    _set_private(made, None)
    return made


@dataclass(frozen=True, slots=True)
class _OneOf:
    """A text from a list of codes, looked up by the validator itself: no call back into Python for each value."""

    codes: frozenset[str]
    error_type: LiteralString
    message: LiteralString

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        known = core_schema.literal_schema(sorted(self.codes))
        refused = core_schema.custom_error_schema(
            known, custom_error_type=self.error_type, custom_error_message=self.message
        )
        return core_schema.chain_schema([handler(source), refused])

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        # The form of a code is published; the list grows without a new version of the contract.
        steps: Any = schema
        return handler(steps["steps"][0])


def _check_token(token: str) -> str:
    # The pattern has seen to form and length.
    if passes_luhn(token):
        # The value may be a clear card number: it must not travel in the error.
        raise PydanticCustomError("clear_pan", "a card token is 13 to 19 digits that fail the Luhn check")
    return token


# Called for every instant that is read: a method caller saves the frame of a function.
_to_utc: Final = methodcaller("astimezone", UTC)


def _format_instant(instant: datetime) -> str:
    return format_instant(instant, microseconds=True)


Instant = Annotated[AwareDatetime, AfterValidator(_to_utc), PlainSerializer(_format_instant, when_used="json")]
"""A point in time with an offset; kept and written in UTC with microseconds."""
Id = Annotated[str, Field(pattern=ID_PATTERN)]
"""A prefixed UUIDv7, e.g. pay_0197f0a0c0de7abc8def0123456789ab."""
CurrencyCode = Annotated[
    str,
    Field(pattern=r"^[A-Z]{3}$"),
    _OneOf(CURRENCY_CODES, "unknown_currency", "no active ISO 4217 currency code"),
]
CountryCode = Annotated[
    str,
    Field(pattern=r"^[A-Z]{2}$"),
    _OneOf(COUNTRY_CODES, "unknown_country", "no ISO 3166-1 alpha-2 code"),
]
CardToken = Annotated[str, Field(pattern=r"^[0-9]{13,19}$"), AfterValidator(_check_token)]
AmountMinor = Annotated[int, Field(gt=0, le=AMOUNT_MINOR_MAX)]
Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
PaymentKey = Annotated[str, Field(min_length=5, max_length=120)]
AccountId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9:_-]{2,63}$")]
Text = Annotated[str, Field(min_length=1, max_length=140)]
YearMonth = Annotated[str, Field(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]
DecimalText = Annotated[str, Field(pattern=r"^[0-9]{1,12}(\.[0-9]{1,12})?$")]
"""A decimal number as text: exact in JSON, never a float."""
