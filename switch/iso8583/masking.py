"""How card data are shown where they are shown on purpose: as little as tells one card from another."""

from typing import Final

from switch.iso8583.elements import Content, Element

_FIRST: Final = 6
_LAST: Final = 4
_PAN: Final = 2
_TRACK_2: Final = 35


def mask_pan(pan: str) -> str:
    """A card number with its first six and last four digits; all of it hidden when that would leave too little."""
    hidden = len(pan) - _FIRST - _LAST
    return pan[:_FIRST] + "*" * hidden + pan[-_LAST:] if hidden > 1 else "*" * len(pan)


def mask_value(element: Element, value: str) -> str:
    """A value as it may be shown: sensitive elements masked, others as they are."""
    if not element.sensitive:
        return value
    if element.number == _PAN:
        return mask_pan(value)
    if element.number == _TRACK_2:
        pan, separator, rest = value.partition("=")
        return f"{mask_pan(pan)}{separator}{'*' * len(rest)}" if separator else "*" * len(value)
    if element.format.content is Content.BINARY:
        return f"[{len(value) // 2} bytes]"
    return "*" * len(value)
