"""How a message is known again: its own key, the key of the original that it speaks of, and what must be alike."""

import hashlib
from dataclasses import dataclass

from switch.iso8583.message import Message, MessageInvalid, message_class
from switch.iso8583.subfields import OriginalData, build_original, parse_original


def message_key(message: Message) -> str:
    """Acquirer (DE 32), STAN (11), local time (12), terminal (41) and class: alike in a message and its repetitions."""
    get = message.fields.get
    return f"{get(32, '')}:{get(11, '')}:{get(12, '')}:{get(41, '')}:{message_class(message.mti)}"


def original_key(message: Message) -> str | None:
    """The key of the original that DE 56 names, None when it names none. Its terminal is the message's own."""
    try:
        original = parse_original(message.get(56))
    except MessageInvalid:
        return None
    terminal = message.get(41)
    return f"{original.acquirer}:{original.stan}:{original.local_time}:{terminal}:{message_class(original.mti)}"


def original_data(message: Message) -> str:
    """DE 56 of a message that speaks of this one, under the MTI of its first transmission. Raises MessageInvalid."""
    get = message.get
    return build_original(OriginalData(f"{message.mti[:3]}0", get(11), get(12), get(32)))


@dataclass(slots=True)
class Stans:
    """System trace audit numbers (DE 11) of messages that the network itself begins.

    Seeded by the clock, so that a restarted process goes on elsewhere: the time of the message (DE 12) is part of its
    key too, and the database refuses a key that was used for something else.
    """

    last: int

    @classmethod
    def from_clock(cls, seconds: float) -> "Stans":
        """A sequence that begins where no process that started at another second begins."""
        return cls(int(seconds * 1_000) * 7_919 % 1_000_000)

    def draw(self) -> str:
        """The next, 000001 to 999999."""
        self.last = self.last % 999_999 + 1
        return f"{self.last:06}"


def fingerprint(message: Message, card: bytes) -> bytes:
    """32 bytes over card and amounts: another message under a known key has another. `card` is a keyed hash."""
    get = message.fields.get
    said = "\x1f".join((get(3, "")[:2], get(4, ""), get(49, ""), get(24, ""), get(30, ""), get(56, "")))
    return hashlib.sha256(card + said.encode()).digest()
