"""Delivers stored advices and reversals to one bank until it acknowledges them: in order, throttled, as repetitions.

The first attempt carries the MTI of the message, every other the MTI of its repetition (x121, x221, x421). What is not
answered is sent again after a wait that doubles. Up to `attempts_alarm` attempts nothing overtakes it; then an alarm is
raised and it steps aside until its time comes, with all that speaks of the same original. After `expire_seconds` the
attempt that fails is the last; the row stays for people to look at.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import takewhile
from typing import Final, Protocol

from postrail.adapters.aws.observability import logger
from postrail.domain.errors import Permanent, Retryable
from switch.correlation import correlation_of_key
from switch.ecosystem import Bank, Network
from switch.iso8583.message import Message, MessageInvalid, repeat_mti
from switch.links.counters import Counters
from switch.links.errors import AnswerInvalid, AnswerTimedOut, LinkError
from switch.network.counters import NetworkCounters
from switch.network.payloads import PayloadCipher, open_message
from switch.network.store import Delivery, FinishedAdvice, NetworkStore, StoredAdvice
from switch.network.tasks import EndlessTask

COUNT_SECONDS: Final = 10.0
POLL_SECONDS: Final = 2.0
"""How often a bank's queue is looked at without a reason: another process of this network may have put something in."""
AGAIN_SECONDS: Final = 1.0
TOGETHER_MAX: Final = 16

_ACKNOWLEDGED: Final = frozenset({"400", "900", "901"})
"""Beside 0xx."""
_NOT_TRACED: Final = frozenset({"601", "914"})
"""The original is not known. Of a reversal that is as good as done: the bank remembers it."""
_DUPLICATE: Final = "913"
_REVERSAL: Final = "1420"
_LATER: Final = frozenset({"906", "907", "909", "910", "911", "912", "916", "919", "920", "923"})
"""The bank cannot now."""


class IssuerLinks(Protocol):
    """The connections to one bank (`switch.links.group.LinkGroup`)."""

    @property
    def up(self) -> bool:
        """Whether a request can be sent now."""
        ...

    @property
    def links_up(self) -> int:
        """How many links are up."""
        ...

    @property
    def signed_off(self) -> bool:
        """Whether it is the bank that has signed off; otherwise it cannot be reached."""
        ...

    @property
    def counters(self) -> Counters:
        """What its links count."""
        ...

    async def start(self) -> None:
        """Begin to connect."""
        ...

    async def stop(self) -> None:
        """Sign off and close."""
        ...

    async def request(self, message: Message, seconds: float) -> Message:
        """Send, and wait for the answer. Raises what `switch.links.errors` lists, and MessageInvalid."""
        ...


class _NotNow(Exception):
    """Nothing was sent: there is no link, or no room on it."""


class _NotAcknowledged(Exception):
    """The bank did not acknowledge: the message is sent again."""


class StoreAndForward:
    """One bank's queue."""

    def __init__(
        self,
        network: Network,
        bank: Bank,
        links: IssuerLinks,
        store: NetworkStore,
        *,
        cipher: PayloadCipher,
        now: Callable[[], datetime],
        counters: NetworkCounters,
    ) -> None:
        self._bank_id = bank.id
        self._institution_id = network.institution_id
        self._response_seconds = network.response_seconds
        self._rules = network.store_and_forward
        self._links = links
        self._store = store
        self._cipher = cipher
        self._now = now
        self._counters = counters
        self._wake = asyncio.Event()
        self._bank_is_back = False
        self._stopping = False
        self._store_is_away = False
        self._counted_at = 0.0
        self._task = EndlessTask(f"deliver to {bank.id}", self._run)
        self.pending = 0
        """How many messages waited for the bank when they were last counted, seconds ago."""

    async def start(self) -> None:
        """Begin to deliver what is stored."""
        self._task.start()

    async def stop(self) -> None:
        """Finish the message that is on its way, and end; the rest stays stored."""
        self._stopping = True
        self._wake.set()
        await self._task.stop()

    def wake(self) -> None:
        """Something was stored."""
        self._wake.set()

    def bank_is_back(self) -> None:
        """The bank has signed on: what was put off is due."""
        self._bank_is_back = True
        self._wake.set()

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            pause = POLL_SECONDS
            try:
                if self._links.up:
                    async with self._store.delivery(self._bank_id) as delivery:
                        if delivery is not None:
                            pause = await self._drain(delivery)
                await self._count_now_and_then()
                self._store_is_away = False
            except (Retryable, Permanent) as error:
                self._note_store_is_away(error)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _count_now_and_then(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._counted_at >= COUNT_SECONDS:
            self.pending = await self._store.count_pending(self._bank_id)
            self._counted_at = now

    async def _drain(self, delivery: Delivery) -> float:
        """Deliver what is due. Returns the seconds to the next look."""
        if self._bank_is_back:
            self._bank_is_back = False
            await delivery.hasten()
        while self._links.up and not self._stopping:
            waiting = await delivery.next_advices(
                attempts_alarm=self._rules.attempts_alarm,
                expire_seconds=self._rules.expire_seconds,
                count_max=TOGETHER_MAX,
            )
            due = list(takewhile(lambda advice: advice.wait_seconds <= 0, waiting))
            if not due:
                return min(POLL_SECONDS, waiting[0].wait_seconds) if waiting else POLL_SECONDS
            try:
                await self._deliver(delivery, due)
            except _NotNow:
                return AGAIN_SECONDS
        return POLL_SECONDS

    async def _deliver(self, delivery: Delivery, due: Sequence[StoredAdvice]) -> None:
        """Send each after the one before was acknowledged; stops at the first that is not. Raises _NotNow."""
        await delivery.begin_attempts(due)
        finished: list[FinishedAdvice] = []
        sent = 0
        try:
            for advice in due:
                if self._stopping:
                    return
                try:
                    finished.append(await self._send(advice))
                except _NotAcknowledged:
                    sent += 1
                    if advice.expired:
                        finished.append(self._give_up(advice))
                    else:
                        await delivery.put_off(advice.advice_id, self._wait_after(advice))
                    return
                sent += 1
                await asyncio.sleep(self._rules.between_messages_seconds)
        finally:
            if finished:
                await delivery.finish(finished)
            if sent < len(due):
                await delivery.take_back_attempts(due[sent:])

    async def _send(self, advice: StoredAdvice) -> FinishedAdvice:
        """One attempt. Raises _NotNow and _NotAcknowledged."""
        try:
            message = open_message(self._cipher, advice.payload, advice.advice_key)
        except Permanent as error:
            return self._refuse(advice, None, str(error))
        message.fields[7] = f"{self._now():%m%d%H%M%S}"
        message.fields[33] = self._institution_id
        if advice.attempts:
            message.mti = repeat_mti(message.mti)
            self._counters.retransmitted += 1
        try:
            answer = await self._links.request(message, self._response_seconds)
        except MessageInvalid as error:
            return self._refuse(advice, None, f"it cannot be written ({error.fault} at {error.path})")
        except (AnswerTimedOut, AnswerInvalid) as error:
            raise _NotAcknowledged from error
        except LinkError as error:
            raise _NotNow from error
        code = answer.get(39)
        if _is_acknowledged(advice, code):
            self._counters.delivered += 1
            return FinishedAdvice(advice.advice_id, "delivered", code)
        if code in _LATER or not code:
            raise _NotAcknowledged
        return self._refuse(advice, code, "the bank refuses it")

    def _wait_after(self, advice: StoredAdvice) -> float:
        """Seconds to the next attempt, after `advice.attempts` before and one now; raises the alarm when due."""
        attempts = advice.attempts + 1
        if attempts == self._rules.attempts_alarm:
            self._counters.alarms += 1
            logger.error(
                "a bank does not acknowledge a stored message",
                bank=self._bank_id,
                advice_id=advice.advice_id,
                correlation_id=correlation_of_key(advice.original_key),
                message_type=advice.message_type,
                attempts=attempts,
            )
        doublings = min(advice.attempts, 30)
        return min(self._rules.wait_seconds * 2.0**doublings, self._rules.wait_seconds_max)

    def _refuse(self, advice: StoredAdvice, code: str | None, why: str) -> FinishedAdvice:
        self._counters.refused_advices += 1
        logger.error(
            "a stored message is refused, look at network.advices",
            bank=self._bank_id,
            advice_id=advice.advice_id,
            correlation_id=correlation_of_key(advice.original_key),
            message_type=advice.message_type,
            action_code=code,
            why=why,
        )
        return FinishedAdvice(advice.advice_id, "refused", code)

    def _give_up(self, advice: StoredAdvice) -> FinishedAdvice:
        self._counters.expired_advices += 1
        logger.error(
            "a bank never acknowledged a stored message, look at network.advices",
            bank=self._bank_id,
            advice_id=advice.advice_id,
            correlation_id=correlation_of_key(advice.original_key),
            message_type=advice.message_type,
            attempts=advice.attempts,
        )
        return FinishedAdvice(advice.advice_id, "expired", None)

    def _note_store_is_away(self, error: Exception) -> None:
        if not self._store_is_away:
            logger.error("stored messages cannot be read", bank=self._bank_id, error_text=str(error))
        self._store_is_away = True


def _is_acknowledged(advice: StoredAdvice, code: str) -> bool:
    """Whether a bank's action code ends the matter. That a repetition is a duplicate says that it was received."""
    if code.startswith("0") or code in _ACKNOWLEDGED:
        return True
    if code == _DUPLICATE:
        return advice.attempts > 0
    return code in _NOT_TRACED and advice.message_type == _REVERSAL
