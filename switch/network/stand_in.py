"""Approves small purchases in the stead of a bank that is away, within the limits that the bank has set for a range.

Only purchases, in the bank's currency, without a PIN (only the issuer can verify one), with a card that the network
knows and that is not on its negative file. The decision, what the card has used of its day, and the advice (1120) that
tells the bank are one transaction, committed before the cardholder hears of it.
"""

from dataclasses import dataclass, field
from secrets import randbelow
from typing import Final

from postrail.domain.iso4217 import currency_by_code
from switch.ecosystem import Bank, NumberRange, Service
from switch.iso8583.message import Message
from switch.network.checks import service_of
from switch.network.keys import fingerprint, message_key
from switch.network.payloads import PayloadCipher, seal_message
from switch.network.store import NetworkStore, StandInRequest

APPROVED: Final = "000"
EXCEEDS_AMOUNT: Final = "121"
EXCEEDS_FREQUENCY: Final = "123"
DUPLICATE: Final = "913"

ISSUER_SIGNED_OFF: Final = "1001"
ISSUER_TIMED_OUT: Final = "1002"
ISSUER_UNAVAILABLE: Final = "1003"
"""Message reasons (DE 25, ISO 8583:1993: 1000 to 1499 say why an advice was sent and no request)."""

_PIN: Final = 52
_REFUSALS: Final = {"over_count": EXCEEDS_FREQUENCY, "over_amount": EXCEEDS_AMOUNT, "conflict": DUPLICATE}


@dataclass(frozen=True, slots=True)
class StandInDecision:
    """What the cardholder is told: DE 39, and what goes with it."""

    action_code: str
    extra: dict[int, str] = field(default_factory=dict)


class StandIn:
    """Decides for one network."""

    def __init__(self, store: NetworkStore, institution_id: str, *, cipher: PayloadCipher) -> None:
        """`institution_id` is the network's own: it is the authorizing agent (DE 58)."""
        self._store = store
        self._institution_id = institution_id
        self._cipher = cipher

    async def decide(
        self, request: Message, card: bytes, bank: Bank, numbers: NumberRange, *, reason: str
    ) -> StandInDecision | None:
        """The decision on a request that the bank cannot be asked; None when nobody may decide in its stead.

        `request` has passed the checks and carries DE 2; `card` is the keyed hash of its number; `reason` is DE 25 of
        the advice. Raises Retryable when nothing was decided.
        """
        limits = numbers.stand_in
        if (
            limits is None
            or service_of(request) is not Service.PURCHASE
            or _PIN in request.fields
            or request.get(49) != currency_by_code(bank.currency).numeric
        ):
            return None
        amount = int(request[4])
        if amount > limits.per_payment_minor:
            return StandInDecision(EXCEEDS_AMOUNT)
        code = f"{randbelow(1_000_000):06}"
        advice = self._advice(request, code, reason)
        key = message_key(request)
        verdict = await self._store.approve_in_stead(
            StandInRequest(
                bank_id=bank.id,
                key=key,
                fingerprint=fingerprint(request, card),
                card=card,
                payload=seal_message(self._cipher, advice, key),
                approval_code=code,
                reason=reason,
                amount_minor=amount,
                day_minor_max=limits.per_day_minor,
                day_count_max=limits.per_day_count,
            )
        )
        if verdict.outcome in {"approved", "known"} and verdict.approval_code:
            return StandInDecision(APPROVED, {38: verdict.approval_code})
        return StandInDecision(verdict.action_code or _REFUSALS.get(verdict.outcome, DUPLICATE))

    def _advice(self, request: Message, approval_code: str, reason: str) -> Message:
        """The 1120: the request, what was decided, why, and who did."""
        decided = {25: reason, 33: self._institution_id, 38: approval_code, 39: APPROVED, 58: self._institution_id}
        return Message("1120", request.fields | decided)
