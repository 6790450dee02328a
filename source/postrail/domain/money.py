"""Money: an integer count of minor units and an ISO 4217 currency. There is no float anywhere."""

from dataclasses import dataclass
from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_DOWN,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    Context,
    Decimal,
)
from enum import StrEnum

from postrail.domain.iso4217 import currency_by_code

AMOUNT_MINOR_MAX = 999_999_999_999
"""Largest amount of one payment: DE 4 is n12 (ISO 8583:1993)."""

_UNIT = Decimal(1)
# The default context keeps 28 digits; an amount times a long rate has more, and would be rounded twice.
_EXACT = Context(prec=120)


class Rounding(StrEnum):
    """Named rounding modes, kept beside every converted amount. Values are those of `decimal`."""

    HALF_EVEN = ROUND_HALF_EVEN
    HALF_UP = ROUND_HALF_UP
    HALF_DOWN = ROUND_HALF_DOWN
    DOWN = ROUND_DOWN
    CEILING = ROUND_CEILING
    FLOOR = ROUND_FLOOR


class CurrencyMismatch(ValueError):
    """Two amounts of different currencies met in one sum."""


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """`amount_minor` minor units (cents, yen, fils) of `currency` (ISO 4217 alpha-3). May be negative."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount_minor) is not int:
            msg = f"amount_minor must be an int, not {type(self.amount_minor).__name__}"
            raise TypeError(msg)
        currency_by_code(self.currency)

    def __add__(self, other: "Money") -> "Money":
        if self.currency != other.currency:
            msg = f"cannot add {other.currency} to {self.currency}"
            raise CurrencyMismatch(msg)
        return Money(self.amount_minor + other.amount_minor, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.amount_minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return self + (-other)

    def to_decimal(self) -> Decimal:
        """The amount in major units, exact: Money(2550, "EUR") is Decimal("25.50")."""
        return Decimal(self.amount_minor).scaleb(-currency_by_code(self.currency).exponent, context=_EXACT)

    def __str__(self) -> str:
        return f"{self.to_decimal()} {self.currency}"


def round_minor(amount: Decimal, rounding: Rounding) -> int:
    """A decimal count of minor units to whole ones, by the named rounding."""
    return int(amount.quantize(_UNIT, rounding=rounding.value, context=_EXACT))


def convert(money: Money, to_currency: str, rate: Decimal, rounding: Rounding) -> Money:
    """Convert by `rate` (units of `to_currency` for one unit of `money.currency`).

    The exponents of both currencies are respected (JPY 0, KWD 3). Rounds once, at the end.
    """
    exponent_from = currency_by_code(money.currency).exponent
    exponent_to = currency_by_code(to_currency).exponent
    minor = _EXACT.multiply(Decimal(money.amount_minor), rate)
    return Money(round_minor(minor.scaleb(exponent_to - exponent_from, context=_EXACT), rounding), to_currency)
