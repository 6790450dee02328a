"""Undoes at the bank what the network refused without knowing what the bank had decided.

The reversal (1420) is stored before the cardholder is told; from then on it is delivered whatever happens.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from postrail.domain.errors import Permanent, ReasonCode
from switch.ecosystem import Bank
from switch.iso8583.message import Message
from switch.network.advice_writer import AdviceWriter
from switch.network.keys import Stans, fingerprint, message_key, original_data
from switch.network.payloads import PayloadCipher, seal_message
from switch.network.store import NewAdvice

TIMED_OUT: Final = "4021"
INVALID_RESPONSE: Final = "4020"
"""Message reasons (DE 25, ISO 8583:1993: 4000 to 4499 say why a reversal was sent)."""

FULL: Final = "400"
_TAKEN_OVER: Final = (2, 3, 4, 14, 22, 26, 32, 37, 41, 42, 43, 49)
_STANS_TRIED_MAX: Final = 5


class Reversals:
    """Makes and stores them for one network."""

    def __init__(
        self,
        writer: AdviceWriter,
        institution_id: str,
        *,
        cipher: PayloadCipher,
        stans: Stans,
        now: Callable[[], datetime],
    ) -> None:
        self._writer = writer
        self._institution_id = institution_id
        self._cipher = cipher
        self._stans = stans
        self._now = now

    async def store(self, request: Message, card: bytes, bank: Bank, *, reason: str) -> None:
        """Returns when the reversal of `request` is stored, however long the store is away.

        `card` is the keyed hash of the card's number. Raises Permanent when it can never be stored.
        """
        for _ in range(_STANS_TRIED_MAX):
            reversal = self.compose(request, reason)
            key = message_key(reversal)
            advice = NewAdvice(
                bank_id=bank.id,
                advice_key=key,
                original_key=message_key(request),
                fingerprint=fingerprint(reversal, card),
                message_type=reversal.mti,
                reason=reason,
                payload=seal_message(self._cipher, reversal, key),
            )
            if await self._writer.keep(advice, must=True):
                return
        raise Permanent(ReasonCode.INVALID_VALUE, "no free trace number for a reversal")

    def compose(self, request: Message, reason: str) -> Message:
        """The 1420 that undoes `request` wholly: a message of the network's own, about the acquirer's payment."""
        moment = self._now()
        fields: dict[int, str] = {number: request.fields[number] for number in _TAKEN_OVER if number in request.fields}
        fields[7] = f"{moment:%m%d%H%M%S}"
        fields[11] = self._stans.draw()
        fields[12] = f"{moment:%y%m%d%H%M%S}"
        fields[24] = FULL
        fields[25] = reason
        fields[33] = self._institution_id
        fields[56] = original_data(request)
        return Message("1420", fields)
