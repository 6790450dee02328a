"""Takes reversals (14xx), completions (122x) and advices (112x) from cardholders: stored first, acknowledged then.

An acknowledgement says that the network has it and will deliver it, not that the bank has acted on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from postrail.domain.errors import Permanent
from switch.ecosystem import RangeTable
from switch.iso8583.message import Message
from switch.network.advice_writer import AdviceWriter, StoreIsFull
from switch.network.authorizations import MALFUNCTION, Decision
from switch.network.checks import FORMAT_ERROR, INVALID_AMOUNT, NO_ROUTE, PresentedCard
from switch.network.counters import NetworkCounters
from switch.network.duplicates import DuplicateWindow, is_same_card
from switch.network.issuers import Issuer
from switch.network.keys import fingerprint, message_key, original_key
from switch.network.payloads import PayloadCipher, seal_message
from switch.network.store import NewAdvice

REVERSED: Final = "400"
ACCEPTED: Final = "000"
DUPLICATE: Final = "913"
NOT_TRACED: Final = "914"

_REVERSAL: Final = "14"
_COMPLETION: Final = "122"
_PARTIAL: Final = "401"
_FUNCTIONS: Final = frozenset({"400", _PARTIAL})
_ORIGINAL_AMOUNTS: Final = 30
_NO_REASON: Final = "0000"
_CUSTOMER: Final = "4000"


@dataclass(frozen=True, slots=True)
class Told:
    """A message of a cardholder about a payment. `card` and `lookup` are empty when it names no card."""

    message: Message
    card: PresentedCard | None
    lookup: bytes

    @property
    def is_reversal(self) -> bool:
        """Whether it undoes something."""
        return self.message.mti[:2] == _REVERSAL

    @property
    def accepted(self) -> str:
        """The action code that acknowledges it."""
        return REVERSED if self.is_reversal else ACCEPTED


class Advices:
    """Decides for one network."""

    def __init__(
        self,
        ranges: RangeTable,
        issuers: Mapping[str, Issuer],
        writer: AdviceWriter,
        window: DuplicateWindow,
        *,
        cipher: PayloadCipher,
        counters: NetworkCounters,
    ) -> None:
        self._ranges = ranges
        self._issuers = issuers
        self._writer = writer
        self._window = window
        self._cipher = cipher
        self._counters = counters

    def judge(self, told: Told) -> Decision | NewAdvice:
        """What needs no storing: a decision; otherwise what is to be stored."""
        message = told.message
        if refusal := _check(message):
            return Decision(refusal)
        key = message_key(message)
        original = original_key(message) or key
        known = self._window.find(original) if original != key else None
        if known is not None and (known.left_nothing or (told.lookup and not is_same_card(known, told.lookup))):
            # There is nothing to undo or complete: it was refused, or this one was, under the key of another card's.
            self._counters.not_passed_on += 1
            return Decision(REVERSED if told.is_reversal else NOT_TRACED)
        found = self._ranges.find(told.card.pan) if told.card else None
        bank_id = found[0].id if found else known.bank_id if known else ""
        if bank_id not in self._issuers:
            return Decision(NO_ROUTE)
        return NewAdvice(
            bank_id=bank_id,
            advice_key=key,
            original_key=original,
            fingerprint=fingerprint(message, told.lookup),
            message_type=f"{message.mti[:3]}0",
            reason=message.get(25) or (_CUSTOMER if told.is_reversal else _NO_REASON),
            payload=seal_message(self._cipher, _as_first(message), key),
        )

    async def store(self, told: Told, advice: NewAdvice) -> Decision:
        """The decision, once the message is stored or cannot be."""
        if not self._writer.well:
            return Decision(MALFUNCTION)
        try:
            kept = await self._writer.keep(advice)
        except StoreIsFull:
            self._counters.refused_at_bound += 1
            return Decision(MALFUNCTION)
        except Permanent:
            return Decision(FORMAT_ERROR)
        if not kept:
            self._counters.conflicts += 1
        return Decision(told.accepted if kept else DUPLICATE)


def _as_first(message: Message) -> Message:
    """The message under the MTI of its first transmission: whether it is sent again is for the queue to say."""
    return Message(f"{message.mti[:3]}0", message.fields)


def _check(message: Message) -> str | None:
    """What is wrong with its form."""
    if message.mti[:2] == _REVERSAL:
        if original_key(message) is None or message.get(24) not in _FUNCTIONS:
            return FORMAT_ERROR
        if message.get(24) == _PARTIAL and not message.get(_ORIGINAL_AMOUNTS):
            return FORMAT_ERROR
        return None
    if message.mti[:3] == _COMPLETION and original_key(message) is None:
        return FORMAT_ERROR
    return None if message.get(4).strip("0") else INVALID_AMOUNT
