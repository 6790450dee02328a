"""Makes card numbers and the tokens that stand for them.

A card number lies in a range of its bank and ends in its Luhn check digit (ISO/IEC 7812-1 annex B). A token has the
same length, begins with digits that no scheme issues, and fails the Luhn check, so that neither is taken for the other.
"""

import secrets
from collections.abc import Callable
from typing import Final

from postrail.domain.card import passes_luhn
from switch.ecosystem import NumberRange

RESERVED_PREFIX: Final = "9991"
"""Tokens of issued cards start with this: schemes issue nothing that begins with 9, and samples begin with 9990."""

RandomBelow = Callable[[int], int]
"""A random integer from 0 to below its argument; outside tests from the machine's secret source."""


def make_pan(numbers: NumberRange, random_below: RandomBelow = secrets.randbelow) -> str:
    """A card number somewhere in the range, each as likely as any other. Whether it is taken is the caller's to see."""
    low, high = int(numbers.low), int(numbers.high)
    prefix = str(low + random_below(high - low + 1)).zfill(len(numbers.low))
    body = prefix + _digits(numbers.pan_length - len(prefix) - 1, random_below)
    return next(pan for digit in range(10) if passes_luhn(pan := f"{body}{digit}"))


def make_token(length: int, random_below: RandomBelow = secrets.randbelow) -> str:
    """A token of `length` digits (13 to 19). It says nothing of the card number that it will stand for."""
    body = RESERVED_PREFIX + _digits(length - len(RESERVED_PREFIX) - 1, random_below)
    last = random_below(10)
    # One digit of ten passes the check; the next one fails it then.
    return next(token for step in range(2) if not passes_luhn(token := f"{body}{(last + step) % 10}"))


def _digits(count: int, random_below: RandomBelow) -> str:
    return str(random_below(10**count)).zfill(count)
