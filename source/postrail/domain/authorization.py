"""What makes two authorizations the same payment, and what makes them two versions of it."""

import hashlib
from datetime import datetime

from postrail.domain.instants import compact_second_of


def acquirer_key(
    *, acquirer_id: str, stan: str, transmission_at: datetime, terminal_id: str, message_class: str
) -> str:
    """The key by which an acquirer's message is known: DE 32, 11, 7 and 41 and the MTI's class.

    `transmission_at` is DE 7 with its year, so that the key stays unique when the ten wire digits come round
    again. The MTI's function and origin digits are left out: a repeat (1101) or an advice (1120) of a request is
    the same payment. Source: ISO 8583:1993, sections on message matching.
    """
    return f"acq:{acquirer_id}:{stan}:{compact_second_of(transmission_at)}:{terminal_id}:{message_class}"


def caller_key(idempotency_key: str) -> str:
    """The key of a payment whose producer named its own idempotency key."""
    return f"key:{idempotency_key}"


def message_class(message_type: str) -> str:
    """Class digit of an MTI with its version digit: "1100" -> "11", "1220" -> "12"."""
    return message_type[:2]


def is_advice(message_type: str) -> bool:
    """Whether an MTI tells of what has happened already: its function digit is 2 (ISO 8583:1993), as in 1120."""
    return message_type[2] == "2"


def content_fingerprint(*parts: str | int | None) -> str:
    """32 hex digits over the business content of a payment; `None` and the empty string differ.

    Two messages with one key and one fingerprint are a duplicate; with one key and two fingerprints, a conflict.
    """
    texts = ["\x00" if part is None else str(part) for part in parts]
    content = "".join([f"{len(text)}:{text};" for text in texts])
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
