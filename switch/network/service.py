"""A card network at work: every request of a cardholder is answered, once, whatever banks and database do.

The road of an authorization: known again (`duplicates`), checked (`checks`, `directory`), asked of its bank
(`authorizations`), remembered, answered. It costs the database nothing. What must outlive the process, a reversal or an
advice, is stored before the answer that promises it (`advice_writer`), and delivered by `store_and_forward`.
"""

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol

from postrail.adapters.aws.observability import logger
from postrail.adapters.system import SystemClock
from postrail.domain.errors import Permanent, Retryable
from postrail.ports import Clock
from switch.correlation import correlation_of
from switch.ecosystem import Bank, Network, RangeTable
from switch.hsm.ports import Hsm
from switch.iso8583.message import Message, MessageInvalid
from switch.issuing.ports import PanLookup
from switch.links.errors import LinkDown
from switch.meter import LatencySample, PartyFigures, sort_answers
from switch.network import management
from switch.network.advice_writer import AdviceWriter
from switch.network.advices import Advices, Told
from switch.network.authorizations import IN_PROGRESS, INOPERATIVE, MALFUNCTION, Authorizations, Decision, Inquiry
from switch.network.checks import FORMAT_ERROR, read_card
from switch.network.counters import NetworkCounters
from switch.network.directory import CardDirectory
from switch.network.duplicates import Claimed, DuplicateWindow, Entry, compose_answer, settle, wait_for
from switch.network.issuers import ConnectIssuer, Issuer
from switch.network.keys import Stans, message_key
from switch.network.payloads import PayloadCipher
from switch.network.reversals import Reversals
from switch.network.stand_in import StandIn
from switch.network.store import NetworkStore, NewAdvice
from switch.network.store_and_forward import StoreAndForward
from switch.network.tasks import EndlessTask, describe_error

DUPLICATE: Final = "913"
NOT_SUPPORTED: Final = "902"

PURGE_SECONDS: Final = 60.0
KEPT_SECONDS: Final = 7 * 86_400.0
WAITING_TO_BE_STORED_MAX: Final = 10_000
STOP_MARGIN_SECONDS: Final = 2.0
FIRST_SIGN_ON_SECONDS: Final = 2.0
"""Who is let in before banks are there is refused for nothing."""

_AUTHORIZATION: Final = "110"
_ADVICES: Final = frozenset({"112", "122", "142"})


class CardholderConnection(Protocol):
    """Where a request came from, and its answer goes (`switch.links.connection.Connection`)."""

    def send(self, message: Message) -> None:
        """Raises LinkDown, MessageInvalid."""
        ...


class NetworkService:
    """One network. `receive` and `manage` are for a `MessageServer`."""

    def __init__(  # noqa: PLR0913 - everything that the network works with is given to it
        self,
        network: Network,
        banks: Sequence[Bank],
        *,
        store: NetworkStore,
        connect: ConnectIssuer,
        pan_lookup: PanLookup,
        cipher: PayloadCipher,
        hsm: Hsm | None = None,
        clock: Clock | None = None,
        first_sign_on_seconds: float = FIRST_SIGN_ON_SECONDS,
    ) -> None:
        """`banks` are those that the network reaches; `connect` builds the links to each.

        `start` waits up to `first_sign_on_seconds` for banks to sign on, and goes on without those that do not.
        """
        now = (clock or SystemClock()).now
        self.network = network
        self.counters = NetworkCounters()
        self.latencies = LatencySample()
        """From the arrival of authorization requests to their answers, in seconds."""
        self._store = store
        self._pan_lookup = pan_lookup
        self._window = DuplicateWindow(
            network.duplicate_window_seconds, network.duplicate_window_count_max, time.monotonic
        )
        self._writer = AdviceWriter(
            store,
            delay_seconds=network.store_and_forward.initial_delay_seconds,
            waiting_max=WAITING_TO_BE_STORED_MAX,
            kept=self._wake_queue,
        )
        self._issuers: dict[str, Issuer] = {}
        for bank in banks:
            links = connect(bank, on_late=self._take_late, on_state=partial(self._take_state, bank.id))
            stored = StoreAndForward(network, bank, links, store, cipher=cipher, now=now, counters=self.counters)
            self._issuers[bank.id] = Issuer(bank, links, stored, clock=time.monotonic)
        ranges = RangeTable(tuple(banks))
        stans = Stans.from_clock(now().timestamp())
        self._authorizations = Authorizations(
            network,
            ranges,
            self._issuers,
            directory=CardDirectory(store.find_cards, clock=time.monotonic),
            stand_in=StandIn(store, network.institution_id, cipher=cipher),
            reversals=Reversals(self._writer, network.institution_id, cipher=cipher, stans=stans, now=now),
            hsm=hsm,
            now=now,
            counters=self.counters,
        )
        self._advices = Advices(
            ranges, self._issuers, self._writer, self._window, cipher=cipher, counters=self.counters
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._purge = EndlessTask("remove what is old", self._purge_now_and_then)
        self._stopping = False
        self._first_sign_on_seconds = first_sign_on_seconds
        self._all_up = asyncio.Event()

    async def start(self) -> None:
        """Begin: connect to the banks, deliver what an earlier process stored, take requests."""
        await self._writer.start()
        for issuer in self._issuers.values():
            await issuer.links.start()
            await issuer.stored.start()
        self._purge.start()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._first_sign_on_seconds):
                await self._all_up.wait()

    async def stop(self) -> None:
        """Refuse what is new, answer what was begun, leave the rest in the store."""
        self._stopping = True
        self._purge.cancel()
        await asyncio.gather(self._drain(), *(issuer.stored.stop() for issuer in self._issuers.values()))
        await asyncio.gather(*(issuer.links.stop() for issuer in self._issuers.values()))
        await self._writer.stop()

    async def _drain(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.network.response_seconds + STOP_MARGIN_SECONDS)

    @property
    def well(self) -> bool:
        """Whether it answers requests. A store or a bank that is away is no reason to end a network.

        What it answers then is a refusal, which cardholders are better off with than with nobody; what waits to be
        stored would be lost with its process. `details` tells of both.
        """
        return not self._stopping

    def details(self) -> Mapping[str, object]:
        """What it counts, for people and monitors; no card data."""
        return {
            **self.counters.as_dict(),
            "in_flight": len(self._tasks),
            "remembered": len(self._window),
            "waiting_to_be_stored": len(self._writer),
            "store_well": self._writer.well,
            "banks_up": {bank_id: issuer.links.up for bank_id, issuer in self._issuers.items()},
            "banks": {bank_id: _describe(issuer) for bank_id, issuer in self._issuers.items()},
        }

    def figures(self) -> PartyFigures:
        """The same in the terms of metrics (`switch.meter`)."""
        counters = self.counters
        approved, declined, undone = sort_answers(counters.answers)
        return PartyFigures(
            approved=approved,
            declined=declined,
            reversed=undone,
            timed_out=counters.timed_out,
            stand_in=counters.stand_in_approved + counters.stand_in_declined,
            links_up=sum(issuer.links.links_up for issuer in self._issuers.values()),
        )

    def manage(self, connection: CardholderConnection, request: Message) -> Message | None:  # noqa: ARG002
        """The answer to an 1804 that is the network's to give."""
        return management.manage(request)

    def receive(self, connection: CardholderConnection, message: Message) -> None:
        """Take one request or advice of a cardholder. The answer leaves on `connection`, sooner or later."""
        self.counters.received += 1
        kind = message.mti[:3]
        if kind == _AUTHORIZATION:
            self._take_authorization(connection, message)
        elif kind in _ADVICES:
            self._take_advice(connection, message)
        else:
            self._answer(connection, message, Decision(NOT_SUPPORTED))

    # authorizations

    def _take_authorization(self, connection: CardholderConnection, message: Message) -> None:
        card = read_card(message)
        if card is None:
            self._answer(connection, message, Decision(FORMAT_ERROR))
            return
        lookup = self._pan_lookup.lookup(card.pan)
        get = message.fields.get
        key = message_key(message)
        claimed, entry = self._window.claim(key, lookup, (get(3), get(4), get(49)))
        if claimed is not Claimed.NEW:
            self._answer_again(connection, message, claimed, entry)
            return
        if refusal := self._refuse_at_bound():
            self._window.forget(key, entry)
            self._answer(connection, message, Decision(refusal))
            return
        inquiry = Inquiry(message, card, lookup, entry)
        self._begin(self._authorize(connection, inquiry), connection, message, entry, inquiry)

    async def _authorize(self, connection: CardholderConnection, inquiry: Inquiry) -> None:
        begun = time.monotonic()
        self._finish(connection, inquiry.message, inquiry.entry, await self._authorizations.decide(inquiry))
        self.latencies.add(time.monotonic() - begun)

    async def _undo(self, connection: CardholderConnection, inquiry: Inquiry) -> None:
        try:
            await self._authorizations.undo(inquiry)
        except Permanent as error:
            logger.error(
                "a payment could not be undone",
                error_text=str(error),
                correlation_id=correlation_of(inquiry.message),
            )
        self._finish(connection, inquiry.message, inquiry.entry, Decision(MALFUNCTION))

    # advices and reversals

    def _take_advice(self, connection: CardholderConnection, message: Message) -> None:
        card = read_card(message) if 2 in message.fields or 35 in message.fields else None
        lookup = self._pan_lookup.lookup(card.pan) if card else b""
        told = Told(message, card, lookup)
        get = message.fields.get
        key = message_key(message)
        said = (message.mti[:3], get(3), get(4), get(49), get(24), get(30), get(56))
        claimed, entry = self._window.claim(key, lookup, said)
        if claimed is not Claimed.NEW:
            self._answer_again(connection, message, claimed, entry)
            return
        judged = self._advices.judge(told)
        if isinstance(judged, Decision):
            self._finish(connection, message, entry, judged)
        elif refusal := self._refuse_at_bound():
            self._window.forget(key, entry)
            self._answer(connection, message, Decision(refusal))
        else:
            self._begin(self._keep(connection, told, judged, entry), connection, message, entry)

    async def _keep(self, connection: CardholderConnection, told: Told, advice: NewAdvice, entry: Entry) -> None:
        decision = await self._advices.store(told, advice)
        if decision.action_code == MALFUNCTION:
            # not stored: its repetition is a new attempt
            self._window.forget(advice.advice_key, entry)
        self._finish(connection, told.message, entry, decision)

    # answers

    def _begin(
        self,
        work: Coroutine[Any, Any, None],
        connection: CardholderConnection,
        message: Message,
        entry: Entry,
        inquiry: Inquiry | None = None,
    ) -> None:
        """Work on a message beside others. Work that fails unforeseen is answered all the same, and undone."""
        task = asyncio.create_task(work)
        self._tasks.add(task)

        def finish(done: asyncio.Task[None]) -> None:
            self._tasks.discard(done)
            error = None if done.cancelled() else done.exception()
            if entry.action_code or (error is None and not done.cancelled()):
                return
            logger.error(
                "a message could not be worked on",
                mti=message.mti,
                error=describe_error(error),
                correlation_id=correlation_of(message),
            )
            if inquiry is not None and inquiry.entry.sent and not self._stopping:
                undoing = asyncio.create_task(self._undo(connection, inquiry))
                self._tasks.add(undoing)
                undoing.add_done_callback(self._tasks.discard)
            else:
                self._finish(connection, message, entry, Decision(MALFUNCTION))

        task.add_done_callback(finish)

    def _refuse_at_bound(self) -> str | None:
        """The action code that refuses something new now."""
        if self._stopping or len(self._tasks) >= self.network.in_flight_max:
            self.counters.refused_at_bound += 1
            return INOPERATIVE
        return None if self._writer.well else MALFUNCTION

    def _answer_again(self, connection: CardholderConnection, message: Message, claimed: Claimed, entry: Entry) -> None:
        """Answer what is known already: alike, when the answer is there, or 913 when it is another message."""
        if claimed is Claimed.CONFLICT:
            self.counters.conflicts += 1
            self._answer(connection, message, Decision(DUPLICATE))
            return
        self.counters.repeats += 1
        if claimed is Claimed.ANSWERED:
            self._answer(connection, message, Decision(entry.action_code, dict(entry.answer)))
        elif not wait_for(
            entry, lambda told: self._answer(connection, message, Decision(told.action_code, dict(told.answer)))
        ):
            self._answer(connection, message, Decision(IN_PROGRESS))

    def _finish(self, connection: CardholderConnection, message: Message, entry: Entry, decision: Decision) -> None:
        """Remember the decision, answer, and answer those who asked again meanwhile."""
        self._answer(connection, message, decision)
        settle(entry, decision.action_code, decision.extra)

    def _answer(self, connection: CardholderConnection, message: Message, decision: Decision) -> None:
        self.counters.answers[decision.action_code] += 1
        try:
            connection.send(compose_answer(message, decision.action_code, decision.extra))
        except LinkDown:
            self.counters.unanswerable += 1
        except MessageInvalid as error:
            logger.error(
                "an answer cannot be written",
                mti=message.mti,
                fault=error.fault,
                at=error.path,
                correlation_id=correlation_of(message),
            )
            with suppress(LinkDown, MessageInvalid):
                connection.send(compose_answer(message, decision.action_code))

    # what links and store tell

    def _take_state(self, bank_id: str, up: bool) -> None:
        if up:
            self._issuers[bank_id].stored.bank_is_back()
            if all(issuer.links.up for issuer in self._issuers.values()):
                self._all_up.set()

    def _wake_queue(self, bank_id: str) -> None:
        self._issuers[bank_id].stored.wake()

    def _take_late(self, answer: Message) -> None:
        """An answer came after its time. The reversal is stored since then: nothing is left but to count it."""
        if answer.mti[1] != "1":
            return
        if answer.get(39).startswith("0"):
            self.counters.late_approvals += 1
        else:
            self.counters.late_declines += 1

    async def _purge_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(PURGE_SECONDS)
            with suppress(Retryable, Permanent):
                await self._store.purge(KEPT_SECONDS)


def _describe(issuer: Issuer) -> Mapping[str, object]:
    links = issuer.links
    return {
        "up": links.up,
        "signed_off": links.signed_off,
        "silent": issuer.is_silent,
        "stored": issuer.stored.pending,
        "links": links.counters.as_dict(),
    }
