"""Data elements as a dialect describes them: format in the standard's notation, how it is written, what it may hold.

A format is read as ISO 8583 prints it: `n 6`, `n ..19`, `ans ...999`, `b 8`, `x+n 9`, `n 10, MMDDhhmmss`. The dots
before the number say how many digits the length has; without dots the length is fixed.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

LENGTH_DIGITS_MAX: Final = 4
MAC_BYTES: Final = 8
"""Length of DE 64 and DE 128."""


class FormatInvalid(ValueError):
    """A format or encoding in a dialect that means nothing. The message says why."""


class Content(StrEnum):
    """What characters an element may hold (ISO 8583:1993, 4.2)."""

    NUMERIC = "n"
    ALPHABETIC = "a"
    ALPHANUMERIC = "an"
    PADDED = "anp"
    SPECIAL = "ans"
    ALPHABETIC_SPECIAL = "as"
    NUMERIC_SPECIAL = "ns"
    TRACK = "z"
    BINARY = "b"
    SIGNED = "x+n"


class TextEncoding(StrEnum):
    """How characters are written: one byte each, and each byte one character."""

    ASCII = "ascii"
    LATIN_1 = "latin-1"
    EBCDIC_037 = "cp037"
    EBCDIC_500 = "cp500"


class NumberEncoding(StrEnum):
    """How digits of numeric and track elements are written: as characters, or two to a byte."""

    TEXT = "text"
    BCD = "bcd"


class BinaryEncoding(StrEnum):
    """How binary elements and bitmaps are written. Lengths count what is written: bytes, or hex digits."""

    BYTES = "bytes"
    HEX = "hex"


class LengthEncoding(StrEnum):
    """How the length of a variable element is written."""

    TEXT = "text"
    BCD = "bcd"
    BINARY = "binary"


class Padding(StrEnum):
    """What fills the spare half byte when an odd number of digits is written two to a byte."""

    LEFT_ZERO = "left_zero"
    RIGHT_ZERO = "right_zero"
    RIGHT_F = "right_f"


class Parts(StrEnum):
    """What an element is made of, where a message whose parts cannot be read is refused."""

    BER_TLV = "ber_tlv"
    AMOUNTS = "amounts"
    ORIGINAL_DATA = "original_data"


_FORMAT = re.compile(r"(x\+n|anp|ans|an|as|ns|n|a|z|b) ?(\.{1,4})?([0-9]{1,4})(?:, ?([A-Za-z]+))?")
_DATE_PARTS: Final = {
    "YY": "[0-9]{2}",
    "MM": "(?:0[1-9]|1[0-2])",
    "DD": "(?:0[1-9]|[12][0-9]|3[01])",
    "hh": "(?:[01][0-9]|2[0-3])",
    "mm": "[0-5][0-9]",
    "ss": "[0-5][0-9]",
}
_MONTH_AND_DAY: Final = (
    "(?:(?:0[13578]|1[02])(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)(?:0[1-9]|[12][0-9]|30)|02(?:0[1-9]|[12][0-9]))"
)
"""Days that some year has: that of 29 February is not always told."""
_CLASSES: Final = {
    Content.NUMERIC: "[0-9]",
    Content.ALPHABETIC: "[A-Za-z]",
    Content.ALPHANUMERIC: "[A-Za-z0-9]",
    Content.PADDED: "[A-Za-z0-9 ]",
    # graphic characters; those above 0x9f only come up where the text encoding has them
    Content.SPECIAL: "[ -~\xa0-\xff]",
    Content.ALPHABETIC_SPECIAL: "[ -/:-~\xa0-\xff]",
    Content.NUMERIC_SPECIAL: r"[ -@\[-`{-~]",
    Content.TRACK: "[0-9=D]",
    Content.BINARY: "(?:[0-9A-F]{2})",
}
Check = Callable[[str], object]
"""Gives something for a value that an element may hold, None for one that it may not."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format taken apart. `length_digits` 0 is a fixed length; lengths are characters, digits or bytes."""

    content: Content
    length_digits: int
    length_max: int
    length_min: int
    layout: str = ""

    def check(self) -> Check:
        """What tells whether a value fits: one compiled pattern, on the whole value."""
        return re.compile(self._pattern()).fullmatch

    def _pattern(self) -> str:
        if self.layout:
            parts = "".join(_DATE_PARTS[part] for part in _date_parts(self.layout))
            return parts.replace(_DATE_PARTS["MM"] + _DATE_PARTS["DD"], _MONTH_AND_DAY)
        if self.content is Content.SIGNED:
            return f"[CD][0-9]{{{self.length_max - 1}}}"
        return f"{_CLASSES[self.content]}{{{self.length_min},{self.length_max}}}"

    def __str__(self) -> str:
        """The format as the standard prints it."""
        date = f", {self.layout}" if self.layout else ""
        return f"{self.content.value} {'.' * self.length_digits}{self.length_max}{date}"

    def length_of(self, value: str) -> int:
        """The length of a value in the unit of this format."""
        return (len(value) + 1) // 2 if self.content is Content.BINARY else len(value)


def parse_format(text: str, length_min: int | None = None) -> Format:
    """Read a format, e.g. `ans ..99`. Variable elements hold at least `length_min` (1). Raises FormatInvalid."""
    found = _FORMAT.fullmatch(text)
    if found is None:
        raise FormatInvalid(f"{text!r} is no format; formats look like n 6, n ..19, ans ...999, b 8, n 4, MMDD")
    content, dots, length_max = Content(found[1]), len(found[2] or ""), int(found[3])
    layout = found[4] or ""
    if length_max == 0 or (dots and length_max >= 10**dots):
        raise FormatInvalid(f"{text!r}: a length of {dots} digits does not reach {length_max}")
    if content is Content.SIGNED and (dots or length_max < 2):
        raise FormatInvalid(f"{text!r}: a signed amount has a fixed length of 2 or more")
    if layout and (dots or content is not Content.NUMERIC or len(layout) != length_max):
        raise FormatInvalid(f"{text!r}: a date has a fixed length, that of its letters")
    if layout:
        _date_parts(layout)
    if length_min is not None and (not dots or not 0 <= length_min <= length_max):
        raise FormatInvalid(f"{text!r}: a least length ({length_min}) is for variable elements, up to their length")
    least = (1 if length_min is None else length_min) if dots else length_max
    return Format(content, dots, length_max, least, layout)


def _date_parts(layout: str) -> list[str]:
    parts = [layout[place : place + 2] for place in range(0, len(layout), 2)]
    if unknown := [part for part in parts if part not in _DATE_PARTS]:
        raise FormatInvalid(f"{layout!r} is no date: {unknown[0]!r} is none of {', '.join(_DATE_PARTS)}")
    return parts


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are written. A dialect has one, an element may differ from it."""

    text: TextEncoding
    numeric: NumberEncoding
    binary: BinaryEncoding
    length: LengthEncoding
    number_padding: Padding = Padding.LEFT_ZERO
    track_padding: Padding = Padding.RIGHT_F


@dataclass(frozen=True, slots=True)
class Element:
    """One data element of a dialect."""

    number: int
    name: str
    format: Format
    encoding: Encoding
    sensitive: bool
    parts: Parts | None = None

    @property
    def packed(self) -> bool:
        """Whether digits are written two to a byte."""
        return self.encoding.numeric is NumberEncoding.BCD and self.format.content in {Content.NUMERIC, Content.TRACK}

    @property
    def written_as(self) -> str:
        """How the element is written, in words: `packed digits, length in BCD`."""
        if self.packed:
            value = "packed digits"
        elif self.format.content is Content.BINARY:
            value = self.encoding.binary.value
        else:
            value = self.encoding.text.value
        return f"{value}, length in {self.encoding.length.value}" if self.format.length_digits else value

    def codec_entry(self) -> dict[str, Any]:
        """This element as pyiso8583 wants it. Raises FormatInvalid when its length cannot be written."""
        shape = self.format
        entry: dict[str, Any] = {
            "desc": self.name,
            "data_enc": self.encoding.text.value,
            "max_len": shape.length_max,
            **_length_entry(self.encoding, shape.length_digits),
        }
        if self.packed:
            entry |= {"data_enc": "b", "len_count": "nibbles"}
            numeric = shape.content is Content.NUMERIC
            padding = self.encoding.number_padding if numeric else self.encoding.track_padding
            side, fill = padding.value.split("_")
            entry[f"{side}_pad"] = "0" if fill == "zero" else "F"
        elif shape.content is Content.BINARY:
            if self.encoding.binary is BinaryEncoding.BYTES:
                entry["data_enc"] = "b"
            else:
                entry["max_len"] *= 2
        if shape.length_digits and entry["max_len"] > self._length_limit():
            raise FormatInvalid(
                f"{entry['max_len']} characters cannot be counted in a length of {shape.length_digits} digits"
            )
        return entry

    def _length_limit(self) -> int:
        if self.encoding.length is LengthEncoding.BINARY:
            return (1 << 8 * ((self.format.length_digits + 1) // 2)) - 1
        return int("9" * self.format.length_digits)


def _length_entry(encoding: Encoding, digits: int) -> dict[str, Any]:
    if encoding.length is LengthEncoding.TEXT:
        return {"len_enc": encoding.text.value, "len_type": digits}
    length = "bcd" if encoding.length is LengthEncoding.BCD else "b"
    return {"len_enc": length, "len_type": (digits + 1) // 2}
