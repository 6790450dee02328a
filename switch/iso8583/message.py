"""A message between peers, whatever its dialect, and what can be wrong with one.

Inside the switch every message speaks ISO 8583:1993: the dialect at a link's end turns others into it and back.

MessageInvalid
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

MTI: Final = 0
"""The message type's place where fields are numbered."""


class Fault(StrEnum):
    """What is wrong with a message. Stable: they are counted and shown."""

    TOO_LONG = "too_long"
    TOO_SHORT = "too_short"
    TRAILING_BYTES = "trailing_bytes"
    BAD_MTI = "bad_mti"
    BAD_BITMAP = "bad_bitmap"
    BAD_LENGTH = "bad_length"
    BAD_CONTENT = "bad_content"
    UNKNOWN_FIELD = "unknown_field"
    MISSING_FIELD = "missing_field"
    MAC_INVALID = "mac_invalid"


@dataclass(slots=True, repr=False)
class Message:
    """One message. `fields` maps data element numbers to text; binary elements are upper-case hex.

    `header` is what stood before the message type on the wire (a TPDU, say); an answer carries it back.
    """

    mti: str
    fields: dict[int, str] = field(default_factory=dict)
    header: bytes = b""

    def __repr__(self) -> str:
        """Type and element numbers alone: what is printed must not hold card data."""
        return f"Message({self.mti!r}, fields {sorted(self.fields)})"

    def __getitem__(self, number: int) -> str:
        """A data element. Raises KeyError when it is absent."""
        return self.fields[number]

    def get(self, number: int, default: str = "") -> str:
        """A data element, or `default`."""
        return self.fields.get(number, default)

    def answer(self, fields: Mapping[int, str]) -> "Message":
        """The response to this request: its response MTI, its header, and `fields`."""
        return Message(response_mti(self.mti), dict(fields), self.header)


class MessageInvalid(ValueError):
    """A message that cannot be read or written. Says where: `path` is a data element such as `55.9F26`, `t` or `p`.

    `partial` is what could be read before the fault, enough for an answer when it holds a message type; its card data
    are there too, so it must not be logged.
    """

    def __init__(self, fault: Fault, path: str, detail: str, partial: Message | None = None) -> None:
        super().__init__(f"field {path}: {detail}" if path else detail)
        self.fault = fault
        self.path = path
        self.detail = detail
        self.partial = partial


def is_request(mti: str) -> bool:
    """Whether an MTI asks for an answer: its third digit is even and below 4 (ISO 8583:1993, message function)."""
    return mti[2] in "02"


def is_response(mti: str) -> bool:
    """Whether an MTI answers a request or an advice."""
    return mti[2] in "13"


def is_repeat(mti: str) -> bool:
    """Whether an MTI says that the message was sent before: its last digit is odd."""
    return mti[3] in "135"


def response_mti(mti: str) -> str:
    """The MTI that answers, of the same originator: 1100 and 1101 -> 1110, 1420 and 1421 -> 1430, 1804 -> 1814."""
    return f"{mti[:2]}{int(mti[2]) + 1}{int(mti[3]) & ~1}"


def repeat_mti(mti: str) -> str:
    """The MTI of a repetition: 1420 -> 1421."""
    return mti if is_repeat(mti) else f"{mti[:3]}{int(mti[3]) + 1}"


def message_class(mti: str) -> str:
    """Version and class of an MTI: 1100, 1110, 1120 -> "11". A reversal that shares its STAN is of another class."""
    return mti[:2]
