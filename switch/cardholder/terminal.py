"""What a terminal writes: messages of ISO 8583:1993, one after another, each with a trace number of its own.

No input or output: `till` sends what is written here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from postrail.domain.iso4217 import currency_by_code
from postrail.domain.money import Money
from switch.cardholder.card import HeldCard
from switch.iso8583.message import Message, repeat_mti
from switch.iso8583.pos_data import PosData
from switch.iso8583.subfields import Location, OriginalData, build_location, build_original
from switch.links.management import stans

PURCHASE: Final = "000000"
CASH: Final = "010000"
REFUND: Final = "200000"
"""Processing codes (DE 3): what is done, and accounts left to the issuer."""

ACCURATE: Final = "100"
ESTIMATED: Final = "101"
SAME_AMOUNT: Final = "201"
OTHER_AMOUNT: Final = "202"
FULL: Final = "400"
PARTIAL: Final = "401"
"""Function codes (DE 24)."""

CUSTOMER_CANCELLED: Final = "4000"
NO_ANSWER: Final = "4021"
"""Message reasons (DE 25) of reversals."""

CASH_MACHINE: Final = "6011"
"""Merchant category (ISO 18245) of automated cash disbursements."""

_OF_THE_ORIGINAL: Final = (2, 3, 4, 14, 22, 26, 32, 37, 41, 42, 43, 49)
"""What a message about another one takes over from it."""
_NO_AMOUNT: Final = "0" * 12
_ONLINE: Final = PosData(
    input_capability="6", authentication_capability="0", environment="5", cardholder_present="5", card_present="0",
    input_mode="6", authentication_method="0", authentication_entity="0", card_output="1", terminal_output="0",
    pin_capture="0",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where a terminal stands, and who is behind it."""

    terminal_id: str = "POSTRAIL"
    acceptor_id: str = "CORNERSHOP00001"
    acquirer_id: str = "920001"
    merchant_category: str = "5411"
    location: Location = field(
        default=Location(name="Corner Shop", street="1 High Street", city="London", postcode="EC1A 1AA", country="GBR")
    )


class Terminal:
    """A terminal and its trace numbers."""

    def __init__(self, place: Place, *, now: Callable[[], datetime], first_stan: int = 0) -> None:
        """`now` gives instants with a zone: DE 12 is their local time, DE 7 the same in UTC."""
        self._place = place
        self._now = now
        self._stans = stans(first_stan)

    def purchase(self, card: HeldCard, amount: Money, *, online: bool = False) -> Message:
        """1100 for goods. `online`: bought in a shop on the internet, where the card is not present."""
        return self._authorization(card, amount, PURCHASE, ACCURATE, pos=_ONLINE if online else PosData())

    def cash_withdrawal(self, card: HeldCard, amount: Money) -> Message:
        """1100 for cash from a machine."""
        return self._authorization(card, amount, CASH, ACCURATE, pos=PosData(environment="2"), category=CASH_MACHINE)

    def refund(self, card: HeldCard, amount: Money) -> Message:
        """1100 for money that goes back to the cardholder."""
        return self._authorization(card, amount, REFUND, ACCURATE)

    def pre_authorisation(self, card: HeldCard, amount: Money) -> Message:
        """1100 for an amount that is estimated: it is held, not posted."""
        return self._authorization(card, amount, PURCHASE, ESTIMATED)

    def completion(self, original: Message, amount: Money, approval: str = "") -> Message:
        """1220 that ends a pre-authorisation with what was really bought. `approval` is its DE 38."""
        amount_field = _amount(amount)
        same = (amount_field, _currency(amount)) == (original[4], original[49])
        fields = self._about(original) | {4: amount_field, 49: _currency(amount)}
        fields[24] = SAME_AMOUNT if same else OTHER_AMOUNT
        if not same:
            fields[30] = original[4] + _NO_AMOUNT
        if approval:
            fields[38] = approval
        return Message("1220", fields)

    def reversal(self, original: Message, *, reason: str = CUSTOMER_CANCELLED, left: Money | None = None) -> Message:
        """1420 that undoes a message: all of it, or all but `left`."""
        fields = self._about(original) | {24: FULL, 25: reason}
        if left is not None:
            fields |= {24: PARTIAL, 4: _amount(left), 30: original[4] + _NO_AMOUNT}
        return Message("1420", fields)

    def repeat(self, message: Message) -> Message:
        """The same message sent again: only its type and its time of transmission differ."""
        return Message(repeat_mti(message.mti), message.fields | {7: _transmission(self._now())})

    def _authorization(
        self,
        card: HeldCard,
        amount: Money,
        processing_code: str,
        function_code: str,
        *,
        pos: PosData | None = None,
        category: str = "",
    ) -> Message:
        place = self._place
        fields = self._begin() | {
            2: card.pan,
            3: processing_code,
            4: _amount(amount),
            14: card.expiry,
            22: str(pos or PosData()),
            24: function_code,
            26: category or place.merchant_category,
            32: place.acquirer_id,
            41: place.terminal_id,
            42: place.acceptor_id,
            43: build_location(place.location),
            49: _currency(amount),
        }
        return Message("1100", fields | {37: self._reference(fields[11])})

    def _about(self, original: Message) -> dict[int, str]:
        """What every message about another one says: what it takes over, and which one it is about."""
        fields = {number: original.fields[number] for number in _OF_THE_ORIGINAL if number in original.fields}
        named = OriginalData(f"{original.mti[:3]}0", original[11], original[12], original[32])
        return fields | self._begin() | {56: build_original(named)}

    def _begin(self) -> dict[int, str]:
        """A new trace number, and the time."""
        moment = self._now()
        return {7: _transmission(moment), 11: next(self._stans), 12: f"{moment:%y%m%d%H%M%S}"}

    def _reference(self, stan: str) -> str:
        """A retrieval reference number (DE 37): last digit of the year, day of the year, hour, trace number."""
        moment = self._now()
        return f"{moment:%y}"[1] + f"{moment:%j%H}{stan}"


def _amount(amount: Money) -> str:
    return f"{amount.amount_minor:012d}"


def _currency(amount: Money) -> str:
    return currency_by_code(amount.currency).numeric


def _transmission(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%m%d%H%M%S}"
