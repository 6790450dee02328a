"""What the bank says: action codes (ISO 8583:1993, DE 39) and the elements of a response."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from switch.iso8583.message import Message, response_mti
from switch.iso8583.subfields import AVAILABLE_BALANCE, AdditionalAmount, build_amounts


class Action(StrEnum):
    """The action codes that the bank gives."""

    APPROVED = "000"
    DO_NOT_HONOUR = "100"
    EXPIRED_CARD = "101"
    SUSPECTED_FRAUD = "102"
    RESTRICTED_CARD = "104"
    PIN_TRIES_EXCEEDED = "106"
    INVALID_AMOUNT = "110"
    PIN_REQUIRED = "112"
    NO_ACCOUNT = "114"
    NOT_SUPPORTED = "115"
    NOT_SUFFICIENT_FUNDS = "116"
    INCORRECT_PIN = "117"
    NO_CARD_RECORD = "118"
    NOT_PERMITTED = "119"
    EXCEEDS_AMOUNT_LIMIT = "121"
    EXCEEDS_FREQUENCY_LIMIT = "123"
    CARD_NOT_EFFECTIVE = "125"
    INVALID_PIN_BLOCK = "126"
    PIN_KEY_ERROR = "128"
    LOST_CARD = "208"
    STOLEN_CARD = "209"
    REVERSAL_ACCEPTED = "400"
    NO_LIABILITY = "900"
    FORMAT_ERROR = "904"
    INOPERATIVE = "907"
    MALFUNCTION = "909"
    DUPLICATE = "913"
    ORIGINAL_NOT_TRACED = "914"


_ECHOED: Final[tuple[int, ...]] = (3, 4, 7, 11, 12, 32, 37, 41, 42, 49)
_AMOUNT_MAX: Final = 10**12 - 1


def compose(message: Message, action_code: str, extra: Mapping[int, str] | None = None) -> Message:
    """The response to a message: its own elements come back, without the card's number, and `extra` beside them."""
    given = message.fields
    fields: dict[int, str] = {number: given[number] for number in _ECHOED if number in given}
    fields[39] = action_code
    if extra:
        fields.update(extra)
    return Message(response_mti(message.mti), fields, message.header)


def available_balance(available_minor: int, currency_numeric: str) -> str:
    """DE 54: what the account has available, in minor units of its currency."""
    shown = max(-_AMOUNT_MAX, min(_AMOUNT_MAX, available_minor))
    return build_amounts([AdditionalAmount("00", AVAILABLE_BALANCE, currency_numeric, shown)])
