"""The issuing bank: takes messages from its networks, decides in micro-batches, and answers what was committed.

An answer leaves only after its transaction. When the database cannot, the answer is 909, and no money is held; when it
is not known whether it could, there is no answer at all: the network times out, and its reversal puts things right.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from postrail.adapters.aws.observability import IDS_PER_LINE_MAX, logger
from postrail.domain.errors import Permanent, Retryable
from postrail.ports import Clock, IdSource
from switch.bank.answers import Action, compose
from switch.bank.authorize import Authorizer
from switch.bank.batches import MicroBatches
from switch.bank.billing import Biller
from switch.bank.completions import Completer, read_completion
from switch.bank.fraud import FraudCheck
from switch.bank.keys import completion_fingerprint, message_key, original_key, reversal_fingerprint
from switch.bank.pins import PinChecker
from switch.bank.policy import BankPolicy
from switch.bank.relay import ApprovalsTable, Relay
from switch.bank.requests import NotActionable, read_request
from switch.bank.reversals import AmbiguousBatch, Reverser, read_undone_amount
from switch.bank.settle import Settler
from switch.bank.store import BankDatabase, OutcomeUnknown
from switch.bank.work import MALFUNCTION, Answer, Asked, BankCounters, FollowUp, Peer
from switch.correlation import correlation_of
from switch.ecosystem import Bank
from switch.hsm.ports import Hsm
from switch.iso8583.message import Message, MessageInvalid
from switch.issuing.ports import PanLookup
from switch.links.errors import LinkDown
from switch.meter import LatencySample

RETRY_SECONDS: Final = 0.05
_AUTHORIZATION: Final = frozenset({"110", "112"})
_FINANCIAL_ADVICE: Final = "122"
_REVERSAL: Final = "142"

Work = TypeVar("Work", Asked, FollowUp)


class BankService:
    """One bank. `receive` is what a `MessageServer` calls."""

    def __init__(  # noqa: PLR0913 - everything that the bank works with is given to it
        self,
        bank: Bank,
        database: BankDatabase,
        *,
        lookup: PanLookup,
        biller: Biller,
        fraud: FraudCheck,
        hsm: Hsm | None,
        table: ApprovalsTable | None,
        ids: IdSource,
        clock: Clock,
        policy: BankPolicy | None = None,
    ) -> None:
        """Without an `hsm` a PIN cannot be verified (909); without a `table` approvals wait in the database."""
        self._bank = bank
        self._database = database
        self._lookup = lookup
        self._biller = biller
        self._clock = clock
        self._policy = policy = policy or BankPolicy()
        self._authorizer = Authorizer(bank, database, biller=biller, fraud=fraud, ids=ids, now=clock.now, policy=policy)
        self._completer = Completer(bank, database, ids=ids, now=clock.now, policy=policy)
        self._reverser = Reverser(bank, database, clock=clock)
        self._settler = Settler(bank, database, ids=ids, clock=clock, round_seconds=policy.settle_seconds)
        self._relay = Relay(bank, database, table)
        self._pins = PinChecker(bank, database, hsm, checks_max=policy.pin_checks_max)
        self._authorizations: MicroBatches[Asked] = self._lane(self._authorize, _names_of_asked, policy.batches_at_once)
        self._completions: MicroBatches[FollowUp] = self._lane(self._complete, _names_of_follow_up, 1)
        self._reversals: MicroBatches[FollowUp] = self._lane(self._reverse, _names_of_follow_up, 1)
        self._preparing: set[asyncio.Task[None]] = set()
        self.counters = BankCounters()
        self.latencies = LatencySample()
        """From the arrival of payments to their answers, in seconds."""

    @property
    def well(self) -> bool:
        """Whether the last transaction could be made: the bank can authorise."""
        return self._database.well

    def details(self) -> dict[str, object]:
        """Counts for health checks and people; no card data."""
        counters = self.counters
        return {
            "bank": self._bank.id,
            "answered": dict(counters.answered),
            "waiting": self._authorizations.waiting + self._completions.waiting + self._reversals.waiting,
            "batches": self._authorizations.counters.batches,
            "batched": self._authorizations.counters.items,
            "retries": counters.retries,
            "unanswered": counters.unanswered,
            "turned_away": counters.turned_away,
            "relayed": self._relay.relayed,
            "relay_is_well": self._relay.well,
            "unrelayed": self._relay.waiting,
            "settled": self._settler.settled,
        }

    async def start(self) -> None:
        """Connect, and take up what an earlier process left. Raises Retryable when there is no database."""
        await self._database.start()
        self._relay.start()
        self._settler.start()

    async def stop(self) -> None:
        """Finish what was begun, within `drain_seconds`; what is left is in the database, or its peers time out."""
        for task in list(self._preparing):
            with suppress(asyncio.CancelledError):
                await task
        for lane in (self._authorizations, self._completions, self._reversals):
            if not await lane.drain(self._policy.drain_seconds):
                logger.warning("the bank stops with messages unanswered", bank=self._bank.id, waiting=lane.waiting)
        await self._relay.stop()
        await self._settler.stop()
        await self._database.stop()

    async def count_unrelayed(self) -> int:
        """How many approvals the pipeline was not told of yet. Raises Retryable."""
        return await self._relay.count_waiting()

    def receive(self, peer: Peer, message: Message) -> None:
        """Take a message; its answer goes to `peer` when it is decided. Neither raises nor waits."""
        try:
            self._dispatch(peer, message)
        except NotActionable as refusal:
            self._log_refusal(message, detail=str(refusal))
            self._answer(peer, message, Answer(refusal.action_code))
        except MessageInvalid as error:
            self._answer(peer, message, Answer(Action.FORMAT_ERROR))
            self._log_refusal(message, fault=error.fault, at=error.path)

    def _log_refusal(self, message: Message, **why: object) -> None:
        logger.info(
            "message refused", bank=self._bank.id, mti=message.mti, correlation_id=correlation_of(message), extra=why
        )

    def _dispatch(self, peer: Peer, message: Message) -> None:
        kind, now = message.mti[:3], asyncio.get_running_loop().time()
        if kind in _AUTHORIZATION or (kind == _FINANCIAL_ADVICE and 56 not in message.fields):
            request = read_request(message, lookup=self._lookup, now=self._clock.now(), home_country=self._bank.country)
            asked = Asked(peer, message, request, now)
            if self._is_prepared(asked):
                self._offer(self._authorizations, asked)
            else:
                self._prepare_first(asked)
        elif kind in {_FINANCIAL_ADVICE, _REVERSAL}:
            follow_up = FollowUp(
                peer, message, message_key(message), original_key(message), reversal_fingerprint(message), now
            )
            if kind == _REVERSAL:
                read_undone_amount(message)
                self._offer(self._reversals, follow_up)
            else:
                follow_up.fingerprint = completion_fingerprint(message)
                read_completion(follow_up, self._clock.now())
                self._offer(self._completions, follow_up)
        else:
            self._answer(peer, message, Answer(Action.NOT_SUPPORTED))

    def _is_prepared(self, asked: Asked) -> bool:
        """Whether nothing has to be asked elsewhere before the decision: no PIN to verify, no rate to fetch."""
        request = asked.request
        needs_pin = request.has_pin and not request.is_advice
        return not needs_pin and self._biller.rates.is_known(request.currency, self._bank.currency)

    def _prepare_first(self, asked: Asked) -> None:
        if len(self._preparing) >= self._policy.waiting_max:
            self._turn_away(asked)
            return
        task = asyncio.get_running_loop().create_task(self._prepare(asked))
        self._preparing.add(task)
        task.add_done_callback(self._preparing.discard)

    async def _prepare(self, asked: Asked) -> None:
        request = asked.request
        try:
            if request.has_pin and not request.is_advice:
                asked.pin = await self._pins.check(asked)
            if not request.is_advice:
                await self._biller.rates.learn([(request.currency, self._bank.currency)])
        except (Retryable, Permanent) as error:
            logger.warning(
                "a request could not be prepared",
                bank=self._bank.id,
                error_text=str(error),
                correlation_id=correlation_of(asked.message),
            )
            self._answer(asked.peer, asked.message, MALFUNCTION)
            return
        self._offer(self._authorizations, asked)

    def _offer(self, lane: MicroBatches[Work], work: Work) -> None:
        if not lane.offer(work):
            self._turn_away(work)

    def _turn_away(self, work: Asked | FollowUp) -> None:
        self.counters.turned_away += 1
        self._answer(work.peer, work.message, Answer(Action.INOPERATIVE))

    def _lane(
        self,
        work: Callable[[list[Work]], Awaitable[None]],
        names: Callable[[Work], tuple[Hashable, ...]],
        at_once: int,
    ) -> MicroBatches[Work]:
        return MicroBatches(
            work,
            names=names,
            count_max=self._policy.batch_count_max,
            at_once=at_once,
            linger_ms=self._policy.linger_ms,
            waiting_max=self._policy.waiting_max,
        )

    async def _authorize(self, batch: list[Asked]) -> None:
        await self._work(batch, self._authorizer.authorize)
        self._relay.wake()

    async def _complete(self, batch: list[FollowUp]) -> None:
        await self._work(batch, self._completer.complete)
        self._relay.wake()

    async def _reverse(self, batch: list[FollowUp]) -> None:
        await self._work(batch, self._reverser.reverse)
        self._settler.wake()

    async def _work(self, batch: list[Work], decide: Callable[[Sequence[Work]], Awaitable[list[Answer]]]) -> None:
        """Decide on a batch and answer; what the database does not take is tried again, then each for itself."""
        batch = self._without_stale(batch)
        known = True
        for attempt in range(self._policy.attempts_max if batch else 0):
            if attempt:
                self.counters.retries += 1
                await asyncio.sleep(RETRY_SECONDS * attempt)
            try:
                answers = await decide(batch)
            except OutcomeUnknown:
                # The next attempt finds by its key what was committed.
                known = False
            except Retryable as error:
                logger.warning(
                    "a batch is tried again",
                    bank=self._bank.id,
                    error_text=str(error),
                    correlation_ids=_correlations(batch),
                )
            except (Permanent, AmbiguousBatch) as error:
                await self._work_singly(batch, decide, error)
                return
            except Exception as error:  # noqa: BLE001 - a defect must not leave its messages without an answer
                logger.error(
                    "unexpected error",
                    bank=self._bank.id,
                    error=type(error).__name__,
                    correlation_ids=_correlations(batch),
                )
                self._answer_all(batch, MALFUNCTION if known else None)
                return
            else:
                now = asyncio.get_running_loop().time()
                for work, answer in zip(batch, answers, strict=True):
                    self._answer(work.peer, work.message, answer)
                    self.latencies.add(now - work.offered_at)
                return
        self._answer_all(batch, MALFUNCTION if known else None)

    async def _work_singly(
        self, batch: list[Work], decide: Callable[[Sequence[Work]], Awaitable[list[Answer]]], error: Exception
    ) -> None:
        """One message spoils the batch: each for itself, so that the others are decided."""
        if len(batch) == 1:
            logger.error(
                "a message cannot be decided on",
                bank=self._bank.id,
                error=type(error).__name__,
                correlation_id=correlation_of(batch[0].message),
            )
            self._answer_all(batch, MALFUNCTION)
            return
        for work in batch:
            await self._work([work], decide)

    def _without_stale(self, batch: list[Work]) -> list[Work]:
        """Without what nobody waits for any more: approving it would only call for a reversal."""
        oldest = asyncio.get_running_loop().time() - self._policy.wait_seconds_max
        if batch and batch[0].offered_at >= oldest and all(work.offered_at >= oldest for work in batch):
            return batch
        for work in batch:
            if work.offered_at < oldest:
                self._turn_away(work)
        return [work for work in batch if work.offered_at >= oldest]

    def _answer_all(self, batch: Sequence[Work], answer: Answer | None) -> None:
        for work in batch:
            if answer is not None:
                self._answer(work.peer, work.message, answer)
            else:
                self.counters.unanswered += 1
                work.peer.give_up()

    def _answer(self, peer: Peer, message: Message, answer: Answer) -> None:
        self.counters.count(answer.action_code)
        try:
            peer.send(compose(message, answer.action_code, answer.extra))
        except LinkDown:
            # Decided all the same: the network asks again, or reverses.
            self.counters.unanswered += 1
        except MessageInvalid as error:
            self.counters.unanswered += 1
            logger.error(
                "an answer cannot be written",
                bank=self._bank.id,
                fault=error.fault,
                at=error.path,
                correlation_id=correlation_of(message),
            )


def _correlations(batch: Sequence[Asked | FollowUp]) -> list[str]:
    """The correlation ids of a batch, as many as a log line takes."""
    return [correlation_of(work.message) for work in batch[:IDS_PER_LINE_MAX]]


def _names_of_asked(asked: Asked) -> tuple[Hashable, ...]:
    return (asked.request.key, asked.request.pan_lookup)


def _names_of_follow_up(follow_up: FollowUp) -> tuple[Hashable, ...]:
    return (follow_up.key, follow_up.original_key)
