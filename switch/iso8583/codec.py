"""Bytes to messages and back, for one dialect. pyiso8583 takes a message apart; here is checked what it lets pass.

`int()` would take `+5`, ` 5` and `1_0` for a length, `bytes.fromhex()` a bitmap with spaces: such messages are refused.
What is read here and written again is the same bytes.

Types and bitmaps repeat from message to message, so what follows from them (which elements, which checks, what is
missing) is worked out once and kept.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final, NamedTuple

import iso8583
from iso8583 import DecodeError, EncodeError

from switch.iso8583.elements import (
    MAC_BYTES,
    BinaryEncoding,
    Check,
    Content,
    Element,
    Encoding,
    LengthEncoding,
    NumberEncoding,
    Parts,
)
from switch.iso8583.message import Fault, Message, MessageInvalid
from switch.iso8583.subfields import parse_amounts, parse_original
from switch.iso8583.tlv import parse_tlv

_PARTS_READERS: Final[Mapping[Parts, Callable[[str], object]]] = {
    Parts.BER_TLV: parse_tlv,
    Parts.AMOUNTS: parse_amounts,
    Parts.ORIGINAL_DATA: parse_original,
}
_LAYOUTS_MAX: Final = 1024
"""Layouts kept per codec. Traffic has some dozens; whoever sends more makes us work them out anew."""
_SECONDARY_BITMAP: Final = 1
_TERTIARY_BITMAP: Final = 65
_PRIMARY_LAST: Final = 64
_FIXED_FIELD: Final = {"len_enc": "ascii", "len_type": 0}


class MessageType(NamedTuple):
    """A message type of a dialect, and the elements without which it means nothing."""

    name: str
    mandatory: tuple[int, ...]


class _Step(NamedTuple):
    """One element in a layout."""

    number: int
    key: str
    check: Check


@dataclass(frozen=True, slots=True)
class _Problem:
    """Why no message of a layout can be read, and which elements before the fault can."""

    fault: Fault
    path: str
    detail: str
    readable: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Layout:
    """What follows from a message type and its bitmaps."""

    mti: str
    steps: tuple[_Step, ...]
    counted: tuple[tuple[str, bytes], ...]
    tracks: tuple[int, ...]
    parts: tuple[tuple[int, Callable[[str], object]], ...]
    head_bytes: int
    mac_number: int
    problem: _Problem | None


class Codec:
    """Reads and writes messages of one dialect. Raises MessageInvalid for whatever is wrong, and nothing else."""

    def __init__(
        self, version: int, encoding: Encoding, elements: Mapping[int, Element], messages: Mapping[str, MessageType]
    ) -> None:
        self._elements = elements
        self._messages = messages
        self._encoding = encoding
        # class, function and origin as ISO 8583:1993, 4.1 gives them out
        version_digit = "1" if version == 1993 else "0"
        self._mti_check = re.compile(f"{version_digit}[1-8][0-4][0-5]").fullmatch
        self._spec = _codec_spec(encoding, elements)
        self._steps = {number: _Step(number, str(number), each.format.check()) for number, each in elements.items()}
        self._mti_bytes = 2 if encoding.numeric is NumberEncoding.BCD else 4
        self._bitmap_bytes = 8 if encoding.binary is BinaryEncoding.BYTES else 16
        self._head_bytes = self._mti_bytes + self._bitmap_bytes
        self._read_layouts: dict[bytes, _Layout] = {}
        self._write_layouts: dict[tuple[object, ...], _Layout] = {}

    # reading

    def decode(self, raw: bytes) -> Message:
        """Read one message, from its type to its last element. Raises MessageInvalid."""
        layout = self._layout_of(raw)
        if layout.problem is not None:
            raise self._refuse(raw, layout, layout.problem)
        try:
            texts, written = iso8583.decode(raw, self._spec)
        except DecodeError as error:
            raise self._explain_read(error, layout, len(raw)) from None
        for key, digits in layout.counted:
            if written[key]["len"].strip(digits):
                detail = "the length is not written in digits"
                raise MessageInvalid(Fault.BAD_LENGTH, key, detail, self._partial(layout.mti, _before(key, texts)))
        fields: dict[int, str] = {}
        for number, key, check in layout.steps:
            value = texts[key]
            if check(value) is None:
                raise self._bad_value(number, value, self._partial(layout.mti, texts))
            fields[number] = value
        for number in layout.tracks:
            fields[number] = fields[number].replace("D", "=")
        for number, read in layout.parts:
            self._check_parts(number, read, layout.mti, fields)
        return Message(layout.mti, fields)

    @staticmethod
    def _check_parts(number: int, read: Callable[[str], object], mti: str, fields: dict[int, str]) -> None:
        try:
            read(fields[number])
        except MessageInvalid as error:
            _, _, part = error.path.partition(".")
            path = f"{number}.{part}" if part else str(number)
            others = {other: value for other, value in fields.items() if other != number}
            raise MessageInvalid(error.fault, path, error.detail, Message(mti, others)) from None

    def split_mac(self, raw: bytes) -> tuple[bytes, bytes] | None:
        """A message before its MAC, and the MAC as it is written; None when the bitmaps promise none."""
        layout = self._layout_of(raw)
        width = self.mac_width
        if not layout.mac_number or len(raw) < layout.head_bytes + width:
            return None
        return raw[:-width], raw[-width:]

    @property
    def mac_width(self) -> int:
        """How many bytes a written MAC takes."""
        return MAC_BYTES if self._encoding.binary is BinaryEncoding.BYTES else 2 * MAC_BYTES

    def write_mac(self, code: bytes) -> bytes:
        """A MAC as this dialect writes it."""
        if self._encoding.binary is BinaryEncoding.BYTES:
            return code
        return code.hex().upper().encode(self._encoding.text.value)

    def _layout_of(self, raw: bytes) -> _Layout:
        known = self._read_layouts
        layout = known.get(raw[: self._head_bytes]) or known.get(raw[: self._head_bytes + self._bitmap_bytes])
        if layout is None:
            layout = self._read_layout(raw)
            if len(known) >= _LAYOUTS_MAX:
                known.clear()
            known[raw[: layout.head_bytes]] = layout
        return layout

    def _read_layout(self, raw: bytes) -> _Layout:
        head_bytes = self._head_bytes
        if len(raw) < head_bytes:
            raise MessageInvalid(Fault.TOO_SHORT, "t" if len(raw) < self._mti_bytes else "p", "the message ends here")
        mti = self._read_mti(raw[: self._mti_bytes])
        numbers = self._read_bitmap(raw, self._mti_bytes, "p", 0)
        second: list[int] | None = None
        if _SECONDARY_BITMAP in numbers:
            numbers.remove(_SECONDARY_BITMAP)
            head_bytes += self._bitmap_bytes
            if len(raw) < head_bytes:
                raise MessageInvalid(Fault.TOO_SHORT, "1", "the message ends here", Message(mti))
            second = self._read_bitmap(raw, self._head_bytes, "1", _PRIMARY_LAST)
        return self._make_layout(mti, numbers, second, head_bytes)

    def _read_mti(self, written: bytes) -> str:
        mti = written.hex() if self._mti_bytes == 2 else written.decode(self._encoding.text.value, "replace")
        if self._mti_check(mti) is None:
            raise MessageInvalid(Fault.BAD_MTI, "t", "no message type of this dialect")
        return mti

    def _read_bitmap(self, raw: bytes, start: int, path: str, offset: int) -> list[int]:
        written = raw[start : start + self._bitmap_bytes]
        if self._encoding.binary is BinaryEncoding.HEX:
            text = written.decode(self._encoding.text.value, "replace")
            if re.fullmatch("[0-9A-F]{16}", text) is None:
                raise MessageInvalid(Fault.BAD_BITMAP, path, "a bitmap is 16 digits of upper-case hex")
            written = bytes.fromhex(text)
        bits = int.from_bytes(written, "big")
        return [offset + place for place in range(1, 65) if bits >> (64 - place) & 1]

    def _make_layout(self, mti: str, first: list[int], second: list[int] | None, head_bytes: int) -> _Layout:
        numbers = [*first, *(second or ())]
        known = [number for number in numbers if number in self._elements]
        mac_number = 128 if second else _PRIMARY_LAST
        return _Layout(
            mti,
            tuple(self._steps[number] for number in known),
            tuple((str(number), self._digits(number)) for number in known if self._counts_in_text(number)),
            tuple(number for number in known if self._is_packed_track(number)),
            tuple((number, _PARTS_READERS[parts]) for number in known if (parts := self._elements[number].parts)),
            head_bytes,
            mac_number if numbers and numbers[-1] == mac_number else 0,
            self._find_problem(mti, numbers, second),
        )

    def _find_problem(self, mti: str, numbers: Sequence[int], second: list[int] | None) -> _Problem | None:
        if second == []:
            return _Problem(Fault.BAD_BITMAP, "1", "the second bitmap is empty", tuple(numbers))
        if _TERTIARY_BITMAP in numbers:
            readable = tuple(number for number in numbers if number < _TERTIARY_BITMAP)
            return _Problem(Fault.BAD_BITMAP, "65", "a third bitmap is not spoken here", readable)
        for place, number in enumerate(numbers):
            if number not in self._elements:
                return _Problem(Fault.UNKNOWN_FIELD, str(number), "the dialect has none", tuple(numbers[:place]))
        if missing := self._missing(mti, numbers):
            return _Problem(Fault.MISSING_FIELD, str(missing), f"every {mti} has one", tuple(numbers))
        return None

    def _missing(self, mti: str, numbers: Sequence[int]) -> int:
        kind = self._messages.get(mti)
        return next((number for number in kind.mandatory if number not in numbers), 0) if kind else 0

    def _counts_in_text(self, number: int) -> bool:
        element = self._elements[number]
        return element.format.length_digits > 0 and element.encoding.length is LengthEncoding.TEXT

    def _digits(self, number: int) -> bytes:
        return "0123456789".encode(self._elements[number].encoding.text.value)

    def _is_packed_track(self, number: int) -> bool:
        element = self._elements[number]
        return element.packed and element.format.content is Content.TRACK

    # what is wrong with what was read

    def _refuse(self, raw: bytes, layout: _Layout, problem: _Problem) -> MessageInvalid:
        """The error of a layout, with what stands before the fault read for an answer's sake."""
        reachable = [number for number in problem.readable if number in self._elements]
        head = self._write_head(layout.mti, reachable)
        try:
            texts, _ = iso8583.decode(head + raw[layout.head_bytes :], self._spec)
        except DecodeError as error:
            texts = error.doc_dec
        partial = self._partial(layout.mti, texts)
        return MessageInvalid(problem.fault, problem.path, problem.detail, partial)

    def _write_head(self, mti: str, numbers: Sequence[int]) -> bytes:
        bits = sum(1 << (128 - number) for number in numbers)
        two = bits & ((1 << 64) - 1)
        bitmaps = (bits | 1 << 127).to_bytes(16, "big") if two else (bits >> 64).to_bytes(8, "big")
        text = self._encoding.text.value
        written_mti = bytes.fromhex(mti) if self._mti_bytes == 2 else mti.encode(text)
        if self._encoding.binary is BinaryEncoding.HEX:
            return written_mti + bitmaps.hex().upper().encode(text)
        return written_mti + bitmaps

    def _partial(self, mti: str, texts: Mapping[str, str]) -> Message:
        """The elements that could be read and hold what they may."""
        readable = [step for step in self._steps.values() if step.key in texts and step.check(texts[step.key])]
        return Message(mti, {step.number: texts[step.key] for step in readable})

    def _explain_read(self, error: DecodeError, layout: _Layout, raw_bytes: int) -> MessageInvalid:
        path, said, written = error.field, error.msg, error.doc_enc
        for key, digits in layout.counted:
            # what follows a length that is none is cut at the wrong places
            if key in written and written[key]["len"].strip(digits):
                partial = self._partial(layout.mti, _before(key, error.doc_dec))
                return MessageInvalid(Fault.BAD_LENGTH, key, "the length is not written in digits", partial)
        if said.startswith("Extra data"):
            detail = f"bytes after the last field: {raw_bytes - error.pos}"
            return MessageInvalid(Fault.TRAILING_BYTES, "", detail, self._partial(layout.mti, error.doc_dec))
        partial = self._partial(layout.mti, _before(path, error.doc_dec))
        if said.startswith("Field length is"):
            return MessageInvalid(Fault.TOO_SHORT, path, "the message ends within the length", partial)
        if "larger than maximum" in said or said.startswith("Failed to decode field length"):
            return MessageInvalid(Fault.BAD_LENGTH, path, "the length is no number, or higher than allowed", partial)
        if said.startswith("Field data is") and not error.doc_dec[path]:
            return MessageInvalid(Fault.TOO_SHORT, path, "the message ends within the value", partial)
        return MessageInvalid(Fault.BAD_CONTENT, path, "the value is not written as its encoding asks", partial)

    def _bad_value(self, number: int, value: object, partial: Message | None = None) -> MessageInvalid:
        shape = self._elements[number].format
        path = str(number)
        if not isinstance(value, str):
            return MessageInvalid(Fault.BAD_CONTENT, path, f"a value is text, not {type(value).__name__}", partial)
        length = shape.length_of(value)
        if not shape.length_min <= length <= shape.length_max:
            wanted = f"{shape.length_min} to {shape.length_max}" if shape.length_digits else f"{shape.length_max}"
            return MessageInvalid(Fault.BAD_LENGTH, path, f"the length is {length}, wanted is {wanted}", partial)
        wanted = f"is no {shape.layout}" if shape.layout else f"holds what {shape.content.value} does not allow"
        return MessageInvalid(Fault.BAD_CONTENT, path, f"the value {wanted}", partial)

    # writing

    def encode(self, message: Message) -> bytes:
        """Write one message. Raises MessageInvalid."""
        fields = message.fields
        layout = self._write_layouts.get((message.mti, *fields))
        if layout is None:
            layout = self._plan_writing(message)
        texts = {"t": message.mti}
        try:
            for number, key, check in layout.steps:
                value = fields[number]
                if check(value) is None:
                    raise self._bad_value(number, value)
                texts[key] = value
        except TypeError:
            raise self._bad_value(number, value) from None
        for number in layout.tracks:
            texts[str(number)] = texts[str(number)].replace("=", "D")
        try:
            raw, _ = iso8583.encode(texts, self._spec)
        except EncodeError as error:
            raise MessageInvalid(Fault.BAD_CONTENT, error.field, "the value cannot be written") from None
        return bytes(raw)

    def check_values(self, message: Message) -> None:
        """Whether every element may stand in this dialect, missing ones aside. Raises MessageInvalid."""
        for number, value in message.fields.items():
            step = self._steps.get(number)
            if step is None:
                raise MessageInvalid(Fault.UNKNOWN_FIELD, str(number), "the dialect has none")
            if not isinstance(value, str) or step.check(value) is None:
                raise self._bad_value(number, value)

    def _plan_writing(self, message: Message) -> _Layout:
        mti, fields = message.mti, message.fields
        if not isinstance(mti, str) or self._mti_check(mti) is None:
            raise MessageInvalid(Fault.BAD_MTI, "t", "no message type of this dialect")
        for number in fields:
            if number not in self._elements:
                raise MessageInvalid(Fault.UNKNOWN_FIELD, str(number), "the dialect has none")
        numbers = sorted(fields)
        second = [number for number in numbers if number > _PRIMARY_LAST] or None
        layout = self._make_layout(mti, [number for number in numbers if number <= _PRIMARY_LAST], second, 0)
        if layout.problem is not None:
            raise MessageInvalid(layout.problem.fault, layout.problem.path, layout.problem.detail)
        if len(self._write_layouts) >= _LAYOUTS_MAX:
            self._write_layouts.clear()
        self._write_layouts[mti, *fields] = layout
        return layout


def _before(key: str, texts: Mapping[str, str]) -> dict[str, str]:
    """What was read before an element: dictionaries keep the order in which pyiso8583 filled them."""
    return dict(takewhile(lambda entry: entry[0] != key, texts.items()))


def _codec_spec(encoding: Encoding, elements: Mapping[int, Element]) -> dict[str, dict[str, Any]]:
    text = encoding.text.value
    bcd = encoding.numeric is NumberEncoding.BCD
    raw = encoding.binary is BinaryEncoding.BYTES
    bitmap = {**_FIXED_FIELD, "data_enc": "b" if raw else text, "max_len": 8 if raw else 16}
    return {
        "h": {**_FIXED_FIELD, "data_enc": text, "max_len": 0, "desc": "header"},
        "t": {**_FIXED_FIELD, "data_enc": "b" if bcd else text, "max_len": 2 if bcd else 4, "desc": "message type"},
        "p": {**bitmap, "desc": "first bitmap"},
        "1": {**bitmap, "desc": "second bitmap"},
        **{str(number): element.codec_entry() for number, element in elements.items()},
    }
