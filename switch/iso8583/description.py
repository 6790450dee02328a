"""A message as lines for people: each element with its name, and below it what it is made of.

Card data are masked unless the caller asks otherwise. An element whose parts cannot be read keeps its value, and the
line below says why.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from postrail.domain.iso4217 import UnknownCurrency, currency_by_code, currency_by_numeric
from switch.iso8583.action_codes import to_action_code
from switch.iso8583.dialect import Dialect
from switch.iso8583.emv_tags import EMV_TAGS, SENSITIVE_TAGS
from switch.iso8583.masking import mask_value
from switch.iso8583.meanings import (
    ACCOUNT_TYPES,
    ACTION_CODES,
    AMOUNT_TYPES,
    FUNCTION_CODES,
    REASON_CODES,
    TRANSACTION_TYPES,
)
from switch.iso8583.message import Message, MessageInvalid
from switch.iso8583.pos_data import parse_pos_data
from switch.iso8583.subfields import parse_amounts, parse_location, parse_original
from switch.iso8583.tlv import Tlv, parse_tlv

_CHIP: Final = 55
_AMOUNTS: Final = {4: 49, 5: 50, 6: 51}
"""Amounts, and the elements that tell their currencies."""


class Line(NamedTuple):
    """One line: `path` is an element or a part of one (`55.9F26`), `meaning` is empty where the value says it all."""

    path: str
    name: str
    value: str
    meaning: str = ""


Parts = Callable[[str], Iterator[Line]]


def describe(message: Message, dialect: Dialect, *, unmask: bool = False) -> list[Line]:
    """The lines of a message, in the order of its elements. Elements that the dialect lacks are left out."""
    kind = dialect.messages.get(message.mti)
    lines = [Line("t", "Message type", message.mti, kind.name if kind else "")]
    for number in sorted(message.fields):
        element = dialect.elements.get(number)
        if element is None:
            continue
        value = message.fields[number]
        shown = value if unmask else mask_value(element, value)
        lines.append(Line(str(number), element.name, shown, _meaning(dialect.version, message, number)))
        lines += _parts(dialect.version, number, value, unmask=unmask)
    return lines


def _meaning(version: int, message: Message, number: int) -> str:
    value, mti = message[number], message.mti
    if number == 3:
        return TRANSACTION_TYPES.get(value[:2], "")
    if number in _AMOUNTS:
        return _major_units(value, message.get(_AMOUNTS[number]))
    if number == 39:
        # a reversal of 1987 says there why it comes, and that is no outcome
        outcome = version == 1993 or mti[2] in "13"
        return ACTION_CODES.get(value if version == 1993 else to_action_code(value, mti), "") if outcome else ""
    if version == 1993 and number == 24:
        return FUNCTION_CODES.get(value, "")
    if version == 1993 and number == 25:
        return REASON_CODES.get(value, "")
    return ""


def _major_units(value: str, currency: str) -> str:
    try:
        known = currency_by_numeric(currency) if currency.isdigit() else currency_by_code(currency)
    except UnknownCurrency:
        return ""
    whole = value[: len(value) - known.exponent].lstrip("0") or "0"
    fraction = value[len(value) - known.exponent :]
    return f"{whole}{'.' if fraction else ''}{fraction} {known.code}"


def _parts(version: int, number: int, value: str, *, unmask: bool) -> list[Line]:
    try:
        if number == _CHIP:
            return list(_chip_lines(parse_tlv(value), str(number), unmask=unmask))
        reader = _PARTS_1993.get(number) if version == 1993 else _PARTS_1987.get(number)
        return list(reader(value)) if reader else []
    except MessageInvalid as error:
        return [Line(error.path, "", f"cannot be read: {error.detail}")]


def _pos_lines(value: str) -> Iterator[Line]:
    pos = parse_pos_data(value)
    for place, (name, meaning) in enumerate(pos.meanings().items(), start=1):
        yield Line(f"22.{place}", name.replace("_", " "), pos[place - 1], meaning)


def _location_lines(value: str) -> Iterator[Line]:
    for place, (name, part) in enumerate(parse_location(value)._asdict().items(), start=1):
        if part:
            yield Line(f"43.{place}", name, part)


def _amount_lines(text: str) -> Iterator[Line]:
    for place, amount in enumerate(parse_amounts(text), start=1):
        kind = AMOUNT_TYPES.get(amount.amount_type, f"amount type {amount.amount_type}")
        account = ACCOUNT_TYPES.get(amount.account_type, f"account type {amount.account_type}")
        yield Line(
            f"54.{place}", kind, f"{amount.amount_minor} minor units of {amount.currency}", f"account: {account}"
        )


def _original_lines(value: str) -> Iterator[Line]:
    for place, (name, part) in enumerate(parse_original(value)._asdict().items(), start=1):
        yield Line(f"56.{place}", name.replace("_", " "), part)


def _chip_lines(objects: Sequence[Tlv], path: str, *, unmask: bool) -> Iterator[Line]:
    for each in objects:
        place = f"{path}.{each.tag}"
        name = EMV_TAGS.get(each.tag, "")
        if each.constructed:
            yield Line(place, name, "")
            yield from _chip_lines(each.children, place, unmask=unmask)
        elif each.tag in SENSITIVE_TAGS and not unmask:
            yield Line(place, name, f"[{len(each.value)} bytes]")
        else:
            yield Line(place, name, each.value.hex().upper())


_PARTS_1993: Final[dict[int, Parts]] = {22: _pos_lines, 43: _location_lines, 54: _amount_lines, 56: _original_lines}
_PARTS_1987: Final[dict[int, Parts]] = {54: _amount_lines}
