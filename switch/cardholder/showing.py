"""Messages for people: element, name and value, with card data masked as ISO 8583 sees them on paper."""

from typing import Any, Final, NamedTuple

from switch.iso8583.dialect import load_dialect
from switch.iso8583.masking import mask_value
from switch.iso8583.message import Message

CANONICAL: Final = "iso8583-1993-ascii"
"""Inside the switch all messages speak 1993; how they are written on the wire does not matter here."""


class Row(NamedTuple):
    """One element as it is shown."""

    number: int
    name: str
    value: str


def message_name(message: Message) -> str:
    """The message type in words."""
    known = load_dialect(CANONICAL).messages.get(message.mti)
    return known.name if known else "message"


def show_fields(message: Message) -> list[Row]:
    """All elements of a message in order; what tells of the card is masked."""
    elements = load_dialect(CANONICAL).elements
    rows = []
    for number in sorted(message.fields):
        element = elements.get(number)
        # what the dialect does not know cannot be said to be harmless
        value = mask_value(element, message[number]) if element else "*" * len(message[number])
        rows.append(Row(number, element.name if element else "unknown", value))
    return rows


def as_document(message: Message) -> dict[str, Any]:
    """A message as JSON: its type, and its elements by number, masked alike."""
    return {"mti": message.mti, "fields": {str(row.number): row.value for row in show_fields(message)}}
