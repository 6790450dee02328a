"""Elements made of parts: DE 43 location, DE 48 private data, DE 54 amounts, DE 56 original data. DE 22 is in pos_data.

Texts go in and parts come out, and back: what is read and written again is the same text. A fault is a MessageInvalid
whose path names element and part, such as `54.2`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from switch.iso8583.message import Fault, MessageInvalid

_AMOUNTS_MAX: Final = 6
_AMOUNT_LENGTH: Final = 20
_AMOUNT = re.compile(r"([0-9]{2})([0-9]{2})([0-9A-Z]{3})([CD])([0-9]{12})")
_ORIGINAL = re.compile(r"([0-9]{4})([0-9]{6})([0-9]{12})([0-9]{2})([0-9]{1,11})")
_LOCATION_REST = re.compile(r"(.{10})(.{3})([A-Z]{2}[A-Z ]|[0-9]{3}| {3})")
_GRAPHIC = re.compile(r"[ -~\xa0-\xff]*")
_LOCATION_LENGTH_MAX: Final = 99
_SUBELEMENTS_LENGTH_MAX: Final = 999


class Location(NamedTuple):
    """DE 43 of 1993: who accepts the card, and where.

    `country` is as the peer writes it: alpha-3, alpha-2, numeric, or not told.
    """

    name: str
    street: str = ""
    city: str = ""
    postcode: str = ""
    region: str = ""
    country: str = ""


def parse_location(text: str) -> Location:
    r"""Read DE 43: `name\street\city\`, then postcode (10), region (3) and country (3). Raises MessageInvalid."""
    parts = text.split("\\")
    if len(parts) != 4:
        raise MessageInvalid(Fault.BAD_CONTENT, "43", "three backslashes end name, street and city")
    rest = _LOCATION_REST.fullmatch(parts[3])
    if rest is None:
        raise MessageInvalid(Fault.BAD_CONTENT, "43", "postcode, region and country take 10, 3 and 3 characters")
    return Location(parts[0], parts[1], parts[2], rest[1].rstrip(" "), rest[2].rstrip(" "), rest[3].rstrip(" "))


def build_location(location: Location) -> str:
    """Write DE 43. Raises MessageInvalid when a part does not fit, or has a backslash."""
    for part, value in location._asdict().items():
        if "\\" in value or _GRAPHIC.fullmatch(value) is None:
            raise MessageInvalid(Fault.BAD_CONTENT, "43", f"the {part} holds what may not stand there")
    rest = f"{location.postcode:<10}{location.region:<3}{location.country:<3}"
    text = f"{location.name}\\{location.street}\\{location.city}\\{rest}"
    if _LOCATION_REST.fullmatch(rest) is None:
        raise MessageInvalid(Fault.BAD_LENGTH, "43", "postcode, region and country take 10, 3 and 3 characters")
    if len(text) > _LOCATION_LENGTH_MAX:
        raise MessageInvalid(Fault.BAD_LENGTH, "43", f"{len(text)} characters; it takes {_LOCATION_LENGTH_MAX}")
    return text


class AdditionalAmount(NamedTuple):
    """One amount of DE 54: 20 characters. `amount_minor` is negative for a debit."""

    account_type: str
    """As in DE 3: 00 not told, 10 savings, 20 cheque, 30 credit."""
    amount_type: str
    """01 ledger balance, 02 available balance, 40 cashback, and others."""
    currency: str
    """ISO 4217, three digits; three letters where the 1987 dialect is read as it is."""
    amount_minor: int


LEDGER_BALANCE: Final = "01"
AVAILABLE_BALANCE: Final = "02"
CASHBACK: Final = "40"


def parse_amounts(text: str) -> tuple[AdditionalAmount, ...]:
    """Read DE 54: up to six amounts. Raises MessageInvalid."""
    if not text or len(text) % _AMOUNT_LENGTH or len(text) > _AMOUNTS_MAX * _AMOUNT_LENGTH:
        raise MessageInvalid(Fault.BAD_LENGTH, "54", "one to six amounts of 20 characters")
    amounts = []
    for place in range(0, len(text), _AMOUNT_LENGTH):
        found = _AMOUNT.fullmatch(text, place, place + _AMOUNT_LENGTH)
        if found is None or (found[4] == "D" and not int(found[5])):
            detail = "account type, amount type, currency, C or D and 12 digits; nothing is a credit"
            raise MessageInvalid(Fault.BAD_CONTENT, f"54.{place // _AMOUNT_LENGTH + 1}", detail)
        minor = int(found[5]) if found[4] == "C" else -int(found[5])
        amounts.append(AdditionalAmount(found[1], found[2], found[3], minor))
    return tuple(amounts)


def build_amounts(amounts: Iterable[AdditionalAmount]) -> str:
    """Write DE 54. Raises MessageInvalid."""
    text = "".join(
        f"{each.account_type}{each.amount_type}{each.currency}"
        f"{'D' if each.amount_minor < 0 else 'C'}{abs(each.amount_minor):012d}"
        for each in amounts
    )
    parse_amounts(text)
    return text


class OriginalData(NamedTuple):
    """DE 56 of 1993: which message a reversal or completion is about."""

    mti: str
    stan: str
    local_time: str
    """DE 12 of the original: YYMMDDhhmmss."""
    acquirer: str
    """DE 32 of the original."""


def parse_original(text: str) -> OriginalData:
    """Read DE 56. Raises MessageInvalid."""
    found = _ORIGINAL.fullmatch(text)
    if found is None or int(found[4]) != len(found[5]):
        detail = "type (4), STAN (6), local date and time (12), and the acquirer behind its length"
        raise MessageInvalid(Fault.BAD_CONTENT, "56", detail)
    return OriginalData(found[1], found[2], found[3], found[5])


def build_original(original: OriginalData) -> str:
    """Write DE 56. Raises MessageInvalid."""
    text = f"{original.mti}{original.stan}{original.local_time}{len(original.acquirer):02d}{original.acquirer}"
    if parse_original(text) != original:
        raise MessageInvalid(Fault.BAD_CONTENT, "56", "a part does not have its length")
    return text


def parse_subelements(text: str, *, path: str = "48", tag_digits: int = 4, length_digits: int = 3) -> dict[str, str]:
    """Read private data laid out as tag, length, value, each number of fixed width. Raises MessageInvalid.

    The defaults are the layout most 1993 dialects have in DE 48: `0002003ABC` is `ABC` under 0002.
    """
    found: dict[str, str] = {}
    place = 0
    while place < len(text):
        tag = text[place : place + tag_digits]
        length = text[place + tag_digits : place + tag_digits + length_digits]
        if not _are_digits(tag, tag_digits) or not _are_digits(length, length_digits):
            raise MessageInvalid(Fault.BAD_LENGTH, f"{path}.{len(found) + 1}", "tag and length are digits")
        place += tag_digits + length_digits
        value = text[place : place + int(length)]
        if len(value) != int(length):
            raise MessageInvalid(Fault.TOO_SHORT, f"{path}.{tag}", "the element ends within the value")
        if tag in found:
            raise MessageInvalid(Fault.BAD_CONTENT, f"{path}.{tag}", "this tag came before")
        found[tag] = value
        place += len(value)
    return found


def build_subelements(
    values: Mapping[str, str], *, path: str = "48", tag_digits: int = 4, length_digits: int = 3
) -> str:
    """Write private data that parse_subelements reads. Raises MessageInvalid."""
    parts = []
    for tag, value in values.items():
        if not _are_digits(tag, tag_digits) or len(value) >= 10**length_digits:
            raise MessageInvalid(Fault.BAD_LENGTH, f"{path}.{tag}", "the tag's width, or the value's length")
        parts.append(f"{tag}{len(value):0{length_digits}d}{value}")
    text = "".join(parts)
    if len(text) > _SUBELEMENTS_LENGTH_MAX:
        raise MessageInvalid(Fault.BAD_LENGTH, path, f"{len(text)} characters; it takes {_SUBELEMENTS_LENGTH_MAX}")
    return text


def _are_digits(text: str, width: int) -> bool:
    return len(text) == width and text.isascii() and text.isdigit()
