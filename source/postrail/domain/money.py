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
from functools import lru_cache
from typing import Final, NamedTuple

from postrail.domain.iso4217 import currency_by_code

AMOUNT_MINOR_MAX = 999_999_999_999
"""Largest amount of one payment: DE 4 is n12 (ISO 8583:1993)."""

_CENTS: Final = tuple(f"{cents:02}" for cents in range(100))
# The default context keeps 28 digits, and would round an amount that has more.
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


def format_amount(amount_minor: int, exponent: int) -> str:
    """Minor units as decimal text with `exponent` decimals: (2550, 2) is "25.50", (2550, 0) is "2550".

    Text from the integer itself, so that nothing is rounded on the way.
    """
    if exponent == 2 and amount_minor >= 0:
        # nine of ten amounts
        major, minor = divmod(amount_minor, 100)
        return f"{major}.{_CENTS[minor]}"
    if exponent == 0:
        return str(amount_minor)
    digits = f"{amount_minor:0{exponent + 1 + (amount_minor < 0)}}"
    return f"{digits[:-exponent]}.{digits[-exponent:]}"


@lru_cache(maxsize=8192)
def decimal_text(amount_minor: int, currency: str) -> str:
    """Minor units as decimal text with the currency's decimals. Raises UnknownCurrency.

    Remembered, bounded: the amount of one payment stands in its message, its legs and its posting input.
    """
    return format_amount(amount_minor, currency_by_code(currency).exponent)


def round_ratio(numerator: int, denominator: int, rounding: Rounding) -> int:
    """`numerator / denominator` as a whole number, by the named rounding; exact, and `denominator` > 0.

    The modes mean what they mean in `decimal`: up is away from zero, down is towards it.
    """
    floor, rest = divmod(numerator, denominator)
    return floor + 1 if rest and _rounds_up(floor, 2 * rest - denominator, rounding) else floor


def _rounds_up(floor: int, over_half: int, rounding: Rounding) -> bool:
    """Whether a number between `floor` and `floor + 1` becomes the greater one; `over_half` is 0 for a half."""
    match rounding:
        case Rounding.HALF_EVEN:
            return over_half > 0 or (over_half == 0 and floor % 2 == 1)
        case Rounding.HALF_UP:
            return over_half > 0 or (over_half == 0 and floor >= 0)
        case Rounding.HALF_DOWN:
            return over_half > 0 or (over_half == 0 and floor < 0)
        case Rounding.DOWN:
            return floor < 0
        case Rounding.CEILING:
            return True
        case Rounding.FLOOR:
            return False


class Conversion(NamedTuple):
    """An exchange rate between minor units, as an exact fraction: made once for a rate, used for many amounts."""

    numerator: int
    denominator: int

    def of(self, amount_minor: int, rounding: Rounding) -> int:
        """The converted amount in minor units of the target currency; rounded once, here."""
        return round_ratio(amount_minor * self.numerator, self.denominator, rounding)


def conversion(from_currency: str, to_currency: str, rate: Decimal) -> Conversion:
    """The conversion at `rate` (units of `to_currency` for one unit of `from_currency`), which must be finite.

    The exponents of both currencies are respected (JPY 0, KWD 3).
    """
    numerator, denominator = rate.as_integer_ratio()
    exponent_from = currency_by_code(from_currency).exponent
    exponent_to = currency_by_code(to_currency).exponent
    return Conversion(numerator * 10**exponent_to, denominator * 10**exponent_from)


def convert(money: Money, to_currency: str, rate: Decimal, rounding: Rounding) -> Money:
    """Convert by `rate` (units of `to_currency` for one unit of `money.currency`).

    The exponents of both currencies are respected (JPY 0, KWD 3). Rounds once, at the end.
    """
    return Money(conversion(money.currency, to_currency, rate).of(money.amount_minor, rounding), to_currency)
