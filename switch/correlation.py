"""The correlation id of a message's payment: what log lines of the switch and events of the pipeline share."""

from switch.iso8583.message import Message, MessageInvalid, message_class
from switch.iso8583.subfields import parse_original


def correlation_of_key(key: str) -> str:
    """The correlation id of a payment: the key by which bank, network, acquirer and terminal know it."""
    return f"iso:{key}"


def correlation_of(message: Message) -> str:
    """The correlation id of the payment that a message asks for, or speaks of (DE 56). Never fails.

    Of a message that cannot be read in full it is made of what is there.
    """
    get = message.fields.get
    acquirer, stan, local_time, mti = get(32, ""), get(11, ""), get(12, ""), message.mti
    if 56 in message.fields:
        try:
            original = parse_original(message.get(56))
        except MessageInvalid:
            pass
        else:
            acquirer, stan, local_time, mti = original.acquirer, original.stan, original.local_time, original.mti
    return correlation_of_key(f"{acquirer}:{stan}:{local_time}:{get(41, '')}:{message_class(mti)}")
