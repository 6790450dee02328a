"""Decides on one authorization: checks it, asks the issuer, and knows what to say when the issuer does not.

Whatever happens there is a decision. One that follows a request which the bank may have approved is given only after
the reversal of that request is stored.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from postrail.adapters.aws.observability import logger
from postrail.domain.errors import Retryable
from switch.ecosystem import Bank, Network, NumberRange, RangeTable
from switch.hsm.ports import Hsm, PinRefused
from switch.iso8583.message import Message, MessageInvalid
from switch.links.errors import AnswerInvalid, AnswerTimedOut, DuplicateInFlight, PeerAway, TooManyInFlight
from switch.network import stand_in
from switch.network.checks import FORMAT_ERROR, NO_ROUTE, PresentedCard, check_card, check_number, check_request
from switch.network.counters import NetworkCounters
from switch.network.directory import Absent, CardDirectory
from switch.network.duplicates import Entry
from switch.network.issuers import Issuer
from switch.network.reversals import INVALID_RESPONSE, TIMED_OUT, Reversals

PIN_KEY_ERROR: Final = "128"
INOPERATIVE: Final = "907"
MALFUNCTION: Final = "909"
ISSUER_SIGNED_OFF: Final = "910"
ISSUER_TIMED_OUT: Final = "911"
ISSUER_UNAVAILABLE: Final = "912"
IN_PROGRESS: Final = "923"
PARTIAL: Final = "002"

_PIN: Final = 52
_TURNS_MAX: Final = 50
_TURN_SECONDS: Final = 0.02
_PASSED_BACK: Final = (38, 44, 48, 54, 55, 58)
"""What an issuer's answer tells the cardholder beside the action code: approval, texts, balances, chip data, agent."""


class Decision(NamedTuple):
    """What the cardholder is told: DE 39, and what goes with it."""

    action_code: str
    extra: Mapping[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A request under way. `lookup` is the keyed hash of the card's number; `entry` what is remembered of it."""

    message: Message
    card: PresentedCard
    lookup: bytes
    entry: Entry


class Authorizations:
    """Decides for one network."""

    def __init__(  # noqa: PLR0913 - what a decision needs, each from its own room
        self,
        network: Network,
        ranges: RangeTable,
        issuers: Mapping[str, Issuer],
        *,
        directory: CardDirectory,
        stand_in: "stand_in.StandIn",
        reversals: Reversals,
        hsm: Hsm | None,
        now: Callable[[], datetime],
        counters: NetworkCounters,
    ) -> None:
        self._network = network
        self._ranges = ranges
        self._issuers = issuers
        self._directory = directory
        self._stand_in = stand_in
        self._reversals = reversals
        self._hsm = hsm
        self._now = now
        self._counters = counters

    async def decide(self, inquiry: Inquiry) -> Decision:
        """The decision. Returns in little more than the network's response time, unless the store is away."""
        found = self._ranges.find(inquiry.card.pan)
        bank, numbers = found or (None, None)
        refusal = check_number(inquiry.card, numbers)
        if bank is None or numbers is None or refusal:
            return Decision(refusal or NO_ROUTE)
        if refusal := check_request(inquiry.message, numbers):
            return Decision(refusal)
        try:
            card = self._directory.cached(inquiry.lookup)
            if isinstance(card, Absent):
                card = await self._directory.find(inquiry.lookup)
        except Retryable:
            return Decision(MALFUNCTION)
        moment = self._now()
        refusal = check_card(inquiry.message, inquiry.card, card, bank, moment.date())
        if refusal or card is None:
            return Decision(refusal or FORMAT_ERROR)
        issuer = self._issuers[bank.id]
        inquiry.entry.bank_id = bank.id
        request = self._forwarded(inquiry, card.expiry, moment)
        if issuer.is_silent:
            decision = await self._decide_in_stead(request, inquiry, bank, numbers, stand_in.ISSUER_TIMED_OUT)
            if decision is not None:
                return decision
        refusal = await self._translate_pin(request, bank)
        return Decision(refusal) if refusal else await self._ask(request, inquiry, issuer, numbers)

    async def undo(self, inquiry: Inquiry) -> None:
        """Something unforeseen ended a decision: undo what the bank may have approved. Raises Permanent."""
        issuer = self._issuers.get(inquiry.entry.bank_id)
        if inquiry.entry.sent and issuer is not None:
            await self._undo(inquiry.message, inquiry, issuer.bank, INVALID_RESPONSE)

    def _forwarded(self, inquiry: Inquiry, expiry: str, moment: datetime) -> Message:
        """The request as the bank gets it: a transmission of the network's own, complete with number and month."""
        fields = inquiry.message.fields | {
            2: inquiry.card.pan,
            7: f"{moment:%m%d%H%M%S}",
            14: inquiry.card.expiry or expiry,
            33: self._network.institution_id,
        }
        # codes over the message belong to the link that it came over
        fields.pop(64, None)
        fields.pop(128, None)
        return Message(inquiry.message.mti, fields)

    async def _translate_pin(self, request: Message, bank: Bank) -> str | None:
        """Put the PIN block under the bank's key; the action code when that is impossible."""
        block = request.fields.get(_PIN)
        if block is None:
            return None
        from_key, to_key = self._network.listen.pin_key, bank.listen.pin_key
        if self._hsm is None or from_key is None or to_key is None:
            return PIN_KEY_ERROR
        try:
            translated = await self._hsm.translate_pin(block, request[2], from_key=from_key, to_key=to_key)
        except PinRefused as refused:
            return refused.action_code
        except Retryable:
            return MALFUNCTION
        request.fields[_PIN] = translated
        return None

    async def _ask(self, request: Message, inquiry: Inquiry, issuer: Issuer, numbers: NumberRange) -> Decision:
        inquiry.entry.sent = True
        try:
            answer = await self._request(request, issuer)
        except AnswerTimedOut:
            issuer.missed()
            return await self._give_up(request, inquiry, issuer.bank)
        except AnswerInvalid:
            return await self._distrust(request, inquiry, issuer.bank)
        except PeerAway:
            inquiry.entry.sent = False
            return await self._answer_for(request, inquiry, issuer, numbers)
        except (TooManyInFlight, DuplicateInFlight, MessageInvalid) as error:
            inquiry.entry.sent = False
            return Decision(self._why_not_sent(error, issuer.bank))
        self._counters.answered += 1
        issuer.answered()
        if not _is_believable(request, answer):
            return await self._distrust(request, inquiry, issuer.bank)
        extra: dict[int, str] = {number: answer.fields[number] for number in _PASSED_BACK if number in answer.fields}
        if answer[39] == PARTIAL and 4 in answer.fields:
            extra[4] = answer.fields[4]
        return Decision(answer[39], extra)

    async def _request(self, request: Message, issuer: Issuer) -> Message:
        """The bank's answer. Two acquirers may number their terminals and payments alike: one then waits for the other.

        Raises what the links raise.
        """
        for _ in range(_TURNS_MAX):
            try:
                return await issuer.links.request(request, self._network.response_seconds)
            except DuplicateInFlight:
                await asyncio.sleep(_TURN_SECONDS)
        return await issuer.links.request(request, self._network.response_seconds)

    async def _give_up(self, request: Message, inquiry: Inquiry, bank: Bank) -> Decision:
        """Whether the bank approved is not known: it must not have."""
        self._counters.timed_out += 1
        await self._undo(request, inquiry, bank, TIMED_OUT)
        return Decision(ISSUER_TIMED_OUT)

    async def _undo(self, request: Message, inquiry: Inquiry, bank: Bank, reason: str) -> None:
        await self._reversals.store(request, inquiry.lookup, bank, reason=reason)
        inquiry.entry.undone = True

    async def _distrust(self, request: Message, inquiry: Inquiry, bank: Bank) -> Decision:
        self._counters.invalid_answers += 1
        await self._undo(request, inquiry, bank, INVALID_RESPONSE)
        return Decision(MALFUNCTION)

    def _why_not_sent(self, error: Exception, bank: Bank) -> str:
        """The action code of a request that could not be sent over links that are up."""
        if isinstance(error, TooManyInFlight):
            self._counters.refused_at_bound += 1
            return INOPERATIVE
        if isinstance(error, MessageInvalid):
            logger.error("a request cannot be written for its bank", bank=bank.id, fault=error.fault, at=error.path)
            return FORMAT_ERROR
        return IN_PROGRESS

    async def _answer_for(self, request: Message, inquiry: Inquiry, issuer: Issuer, numbers: NumberRange) -> Decision:
        """The bank is not connected: nothing was sent."""
        signed_off = issuer.links.signed_off
        reason = stand_in.ISSUER_SIGNED_OFF if signed_off else stand_in.ISSUER_UNAVAILABLE
        decision = await self._decide_in_stead(request, inquiry, issuer.bank, numbers, reason)
        return decision or Decision(ISSUER_SIGNED_OFF if signed_off else ISSUER_UNAVAILABLE)

    async def _decide_in_stead(
        self, request: Message, inquiry: Inquiry, bank: Bank, numbers: NumberRange, reason: str
    ) -> Decision | None:
        try:
            decided = await self._stand_in.decide(request, inquiry.lookup, bank, numbers, reason=reason)
        except Retryable:
            # whether it was committed is not known; the answer is no, and the bank must not hear a yes
            await self._undo(request, inquiry, bank, INVALID_RESPONSE)
            return Decision(MALFUNCTION)
        if decided is None:
            return None
        if decided.action_code == stand_in.APPROVED:
            self._counters.stand_in_approved += 1
        else:
            self._counters.stand_in_declined += 1
        return Decision(decided.action_code, decided.extra)


def _is_believable(request: Message, answer: Message) -> bool:
    """Whether an answer is one to this request: an action code, and the request's amount and currency if any."""
    code = answer.get(39)
    if len(code) != 3 or not code.isdecimal():
        return False
    if answer.get(49, request[49]) != request[49]:
        return False
    return code == PARTIAL or answer.get(4, request[4]) == request[4]
