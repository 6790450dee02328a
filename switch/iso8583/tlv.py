"""DE 55: data of the chip card as BER-TLV (ISO/IEC 8825-1, as EMV Book 3, Annex B uses it).

Bounded on purpose: tags of up to four bytes, lengths of up to three, so many objects and so deep. Lengths without end
and filling bytes are refused, and so is a tag that comes twice at one place: which one would count?
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from switch.iso8583.message import Fault, MessageInvalid

TAG_BYTES_MAX: Final = 4
LENGTH_BYTES_MAX: Final = 3
DEPTH_MAX: Final = 8
OBJECTS_MAX: Final = 256
_MORE_TAG: Final = 0x1F
_CONSTRUCTED: Final = 0x20
_HIGH_BIT: Final = 0x80
_HEX = re.compile("(?:[0-9A-F]{2})*")


@dataclass(frozen=True, slots=True)
class Tlv:
    """One object: a tag in upper-case hex, and its value or, for a constructed tag, its objects.

    `length_bytes` is how many bytes the length took beyond the first, so that what was read is written alike; 0 is the
    short form, and what is built anew takes as many as it needs.
    """

    tag: str
    value: bytes = b""
    children: tuple["Tlv", ...] = ()
    length_bytes: int = 0

    @property
    def constructed(self) -> bool:
        """Whether the tag says that objects are inside."""
        return bool(int(self.tag[:2], 16) & _CONSTRUCTED)

    def __repr__(self) -> str:
        """The tag alone: values may be card data."""
        return f"Tlv({self.tag})"


def parse_tlv(text: str, path: str = "55") -> tuple[Tlv, ...]:
    """Read an element of hex digits. Raises MessageInvalid with a path such as `55.9F26`."""
    if _HEX.fullmatch(text) is None:
        raise MessageInvalid(Fault.BAD_CONTENT, path, "the value is not upper-case hex")
    return _Parser().parse(bytes.fromhex(text), path, 0)


def build_tlv(objects: Iterable[Tlv]) -> str:
    """Write an element of hex digits. Raises MessageInvalid."""
    return _build(objects, "55").hex().upper()


def find_tlv(objects: Sequence[Tlv], tag: str) -> Tlv | None:
    """The first object of a tag, at whatever depth; None when there is none."""
    for each in objects:
        if each.tag == tag:
            return each
        if (inside := find_tlv(each.children, tag)) is not None:
            return inside
    return None


class _Parser:
    def __init__(self) -> None:
        self._count = 0

    def parse(self, data: bytes, path: str, depth: int) -> tuple[Tlv, ...]:
        if depth > DEPTH_MAX:
            raise MessageInvalid(Fault.BAD_CONTENT, path, f"objects lie deeper than {DEPTH_MAX} levels")
        objects: list[Tlv] = []
        seen: set[str] = set()
        place = 0
        while place < len(data):
            found, place = self._parse_one(data, place, path, depth)
            if found.tag in seen:
                raise MessageInvalid(Fault.BAD_CONTENT, f"{path}.{found.tag}", "this tag came before")
            seen.add(found.tag)
            objects.append(found)
        return tuple(objects)

    def _parse_one(self, data: bytes, place: int, path: str, depth: int) -> tuple[Tlv, int]:
        self._count += 1
        if self._count > OBJECTS_MAX:
            raise MessageInvalid(Fault.BAD_CONTENT, path, f"more than {OBJECTS_MAX} objects")
        tag, place = _read_tag(data, place, path)
        path = f"{path}.{tag}"
        length, length_bytes, place = _read_length(data, place, path)
        value = data[place : place + length]
        if len(value) != length:
            raise MessageInvalid(Fault.TOO_SHORT, path, "the data end within the value")
        found = Tlv(tag, value, (), length_bytes)
        if found.constructed:
            found = Tlv(tag, b"", self.parse(value, path, depth + 1), length_bytes)
        return found, place + length


def _read_tag(data: bytes, place: int, path: str) -> tuple[str, int]:
    start = place
    if data[place] in {0x00, 0xFF}:
        raise MessageInvalid(Fault.BAD_CONTENT, path, "a filling byte stands where a tag should")
    if data[place] & _MORE_TAG == _MORE_TAG:
        place += 1
        while place < len(data) and data[place] & _HIGH_BIT and place - start < TAG_BYTES_MAX:
            place += 1
    place += 1
    if place > len(data):
        raise MessageInvalid(Fault.TOO_SHORT, path, "the data end within a tag")
    if place - start > TAG_BYTES_MAX:
        raise MessageInvalid(Fault.BAD_CONTENT, path, f"a tag has more than {TAG_BYTES_MAX} bytes")
    return data[start:place].hex().upper(), place


def _read_length(data: bytes, place: int, path: str) -> tuple[int, int, int]:
    if place >= len(data):
        raise MessageInvalid(Fault.TOO_SHORT, path, "the data end before the length")
    first = data[place]
    place += 1
    if not first & _HIGH_BIT:
        return first, 0, place
    count = first & ~_HIGH_BIT
    if not 1 <= count <= LENGTH_BYTES_MAX:
        raise MessageInvalid(Fault.BAD_LENGTH, path, f"a length has one to {LENGTH_BYTES_MAX} bytes after its first")
    written = data[place : place + count]
    if len(written) != count:
        raise MessageInvalid(Fault.TOO_SHORT, path, "the data end within the length")
    return int.from_bytes(written, "big"), count, place + count


def _build(objects: Iterable[Tlv], path: str) -> bytes:
    parts = []
    for each in objects:
        inside = f"{path}.{each.tag}"
        tag = _written_tag(each.tag, inside)
        value = _build(each.children, inside) if each.constructed else each.value
        parts += [tag, _written_length(len(value), each.length_bytes, inside), value]
    return b"".join(parts)


def _written_tag(tag: str, path: str) -> bytes:
    try:
        written = bytes.fromhex(tag)
        _, end = _read_tag(written, 0, path)
    except (ValueError, IndexError):
        end = -1
        written = b""
    if end != len(written):
        raise MessageInvalid(Fault.BAD_CONTENT, path, "that is no tag")
    return written


def _written_length(length: int, length_bytes: int, path: str) -> bytes:
    needed = 0 if length < _HIGH_BIT else (length.bit_length() + 7) // 8
    count = max(needed, length_bytes)
    if count > LENGTH_BYTES_MAX:
        raise MessageInvalid(Fault.BAD_LENGTH, path, f"{length} bytes are more than a length can say")
    if count == 0:
        return bytes([length])
    return bytes([_HIGH_BIT | count]) + length.to_bytes(count, "big")
