"""What a network checks before it asks the issuer: form and number of the card, its month, its use, the amount.

Pure: each check gives the action code (ISO 8583:1993 DE 39) that refuses, or nothing. The order of the functions, and
the order in each, is the order of precedence.
"""

from datetime import date
from typing import Final, NamedTuple

from postrail.domain.card import passes_luhn
from postrail.domain.iso4217 import UnknownCurrency, currency_by_numeric
from switch.ecosystem import Bank, NumberRange, Service
from switch.iso8583.message import Message
from switch.network.directory import NetworkCard

EXPIRED: Final = "101"
RESTRICTED: Final = "104"
INVALID_AMOUNT: Final = "110"
INVALID_NUMBER: Final = "111"
NOT_SUPPORTED: Final = "115"
NO_CARD: Final = "118"
NOT_PERMITTED: Final = "119"
NOT_EFFECTIVE: Final = "125"
FORMAT_ERROR: Final = "904"
NO_ROUTE: Final = "908"

_PAN_LENGTHS: Final = range(13, 20)
_ACCURATE: Final = "100"
_ESTIMATED: Final = "101"
_SERVICES: Final = {"00": Service.PURCHASE, "01": Service.CASH, "20": Service.REFUND}
_CARD_NOT_PRESENT_ELECTRONIC: Final = "5"
"""DE 22 position 5, cardholder presence: the order came over an electronic channel."""


class PresentedCard(NamedTuple):
    """A card as a terminal shows it. `expiry` is YYMM, or empty."""

    pan: str
    expiry: str

    def __repr__(self) -> str:
        """No number."""
        return "PresentedCard()"


def read_card(message: Message) -> PresentedCard | None:
    """The card of DE 2 and 14, or else of track 2 (DE 35, ISO/IEC 7813). None when they disagree, or there is none."""
    pan, expiry = message.get(2), message.get(14)
    if track := message.get(35):
        track_pan, _, rest = track.replace("D", "=").partition("=")
        track_expiry = rest[:4]
        if (pan and pan != track_pan) or (expiry and track_expiry.isdecimal() and expiry != track_expiry):
            return None
        pan = pan or track_pan
        expiry = expiry or (track_expiry if track_expiry.isdecimal() else "")
    if len(pan) not in _PAN_LENGTHS or not pan.isdecimal():
        return None
    return PresentedCard(pan, expiry)


def service_of(message: Message) -> Service | None:
    """What a message wants to do with the card, None when the network does not do that."""
    service = _SERVICES.get(message.get(3)[:2])
    function = message.get(24)
    if service is Service.PURCHASE and function == _ESTIMATED:
        return Service.PRE_AUTHORISATION
    return service if function == _ACCURATE else None


def check_number(card: PresentedCard, numbers: NumberRange | None) -> str | None:
    """What is wrong with the card's number; `numbers` is the range that it lies in, if any."""
    if not passes_luhn(card.pan):
        return INVALID_NUMBER
    if numbers is None:
        return NO_ROUTE
    return None if len(card.pan) == numbers.pan_length else INVALID_NUMBER


def check_request(message: Message, numbers: NumberRange) -> str | None:
    """What is wrong with a request before its card is looked up."""
    if not message.get(4).strip("0"):
        return INVALID_AMOUNT
    try:
        currency_by_numeric(message.get(49))
    except UnknownCurrency:
        return INVALID_AMOUNT
    service = service_of(message)
    if service is None:
        return NOT_SUPPORTED
    if service not in numbers.services or (_is_ecommerce(message) and Service.ECOMMERCE not in numbers.services):
        return NOT_PERMITTED
    return None


def check_card(message: Message, shown: PresentedCard, card: NetworkCard | None, bank: Bank, today: date) -> str | None:
    """What is wrong with the card for this request. A card is good to the end of the month that it names."""
    if card is None or card.bank_id != bank.id:
        return NO_CARD
    if card.status == "in_production":
        return NOT_EFFECTIVE
    if card.status == "expired" or (shown.expiry and shown.expiry != card.expiry) or _is_over(card.expiry, today):
        return EXPIRED
    if card.status != "ready":
        return RESTRICTED
    service = service_of(message)
    if service not in card.services or (_is_ecommerce(message) and Service.ECOMMERCE not in card.services):
        return NOT_PERMITTED
    return None


def _is_over(expiry: str, today: date) -> bool:
    return expiry < f"{today:%y%m}"


def _is_ecommerce(message: Message) -> bool:
    return message.get(22)[4:5] == _CARD_NOT_PRESENT_ELECTRONIC
