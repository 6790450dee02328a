"""How a message is known again, and which message another one speaks of."""

from typing import Final

from postrail.domain.authorization import content_fingerprint
from switch.iso8583.message import Message, message_class
from switch.iso8583.subfields import parse_original

PARTIAL_REVERSAL: Final = "401"


def message_key(message: Message) -> str:
    """Acquirer (DE 32), STAN (11), local time (12), terminal (41) and class: alike in a message and its repetitions.

    DE 7 is not part of it: a repetition is transmitted again.
    """
    get = message.fields.get
    return f"{get(32, '')}:{get(11, '')}:{get(12, '')}:{get(41, '')}:{message_class(message.mti)}"


def original_key(message: Message) -> str:
    """The key of the message that DE 56 names; its terminal is the message's own. Raises MessageInvalid."""
    original = parse_original(message.get(56))
    return f"{original.acquirer}:{original.stan}:{original.local_time}:{message.get(41)}:{message_class(original.mti)}"


def authorization_fingerprint(message: Message, pan_lookup: bytes) -> str:
    """What two copies of one payment must agree in: whose card, what for, how much, at whom. 32 hex digits.

    The same for a request and for the advice that a network sends when it has decided in the bank's stead.
    """
    get = message.fields.get
    return content_fingerprint(pan_lookup.hex(), get(3, "")[:2], get(4), get(49), get(24), get(42, "").strip(), get(56))


def reversal_fingerprint(message: Message) -> str:
    """What two copies of one reversal must agree in. 32 hex digits."""
    get = message.fields.get
    partial = (get(4), get(30)) if get(24) == PARTIAL_REVERSAL else (None, None)
    return content_fingerprint(get(56), get(41), get(24), *partial)


def completion_fingerprint(message: Message) -> str:
    """What two copies of one completion must agree in. 32 hex digits."""
    get = message.fields.get
    return content_fingerprint(get(56), get(41), get(4), get(49))
