"""Cardholders who pay, cancel and complete while the switch is being killed, and remember what they were told."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.faults.switch.stage import NETWORK, RESPONSE_SECONDS, Stage

from postrail.domain.money import Money
from switch.bank.keys import message_key
from switch.bootstrap import build_terminal_line
from switch.cardholder.card import HeldCard
from switch.cardholder.terminal import Place, Terminal
from switch.cardholder.till import ACKNOWLEDGED, Outcome, Patience, Till
from switch.iso8583.message import Message
from switch.issuing.card_sample import SampleCard
from switch.links.errors import PeerAway

TERMINALS = 12
PAUSE_SECONDS_MAX = 0.06
LINE_SECONDS_MAX = 60.0
CASH_FEE_PERCENT = 1
"""Of the sample cards' product, in config/products."""
_PATIENCE = Patience(answer_seconds=RESPONSE_SECONDS + 1.0, retry_seconds=0.2, attempts_max=60)


@dataclass
class Payment:
    """One payment as its cardholder knows it. Amounts in minor units. No card number is shown."""

    kind: str
    request: Message = field(repr=False)
    card: SampleCard
    amount: int
    told: str = "not sent"
    """DE 39 of the answer, or what happened instead."""
    undone: int = 0
    """What the cardholder took back, acknowledged."""
    completed: int | None = None
    """What a pre-authorisation came to, acknowledged."""

    @property
    def key(self) -> str:
        """How the bank knows it."""
        return message_key(self.request)

    @property
    def approved(self) -> bool:
        """Whether the cardholder has seen an approval."""
        return self.told == "000"

    @property
    def debit(self) -> int:
        """What it comes to in the end: what the account must have lost when everything is posted."""
        if not self.approved or self.undone == self.amount:
            return 0
        match self.kind:
            case "refund":
                return -self.amount
            case "cash":
                return self.amount + self.amount * CASH_FEE_PERCENT // 100
            case "pre_authorisation":
                return self.completed or 0
        return self.amount - self.undone

    @property
    def held(self) -> int:
        """What must still be held when everything is posted: an open pre-authorisation."""
        is_open = self.kind == "pre_authorisation" and self.approved and self.completed is None
        return self.amount - self.undone if is_open else 0


@dataclass
class Crowd:
    """All cardholders of one run, and everything they did."""

    stage: Stage
    seed: int
    payments: list[Payment] = field(default_factory=list)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def told(self) -> Counter[str]:
        """How often cardholders were told what."""
        return Counter(payment.told for payment in self.payments)

    async def play(self, disturb: Callable[[], None], *, before: int, after: int) -> None:
        """Pay on and on; `disturb` once `before` payments were made, stop when `after` more were made after it."""
        async with asyncio.timeout(180):
            tasks = [asyncio.create_task(self._pay_on(number)) for number in range(TERMINALS)]
            try:
                await self._until(before, tasks)
                await asyncio.to_thread(disturb)
                await self._until(len(self.payments) + after, tasks)
                self._stopping.set()
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()

    async def _until(self, count: int, tasks: list[asyncio.Task[None]]) -> None:
        while len(self.payments) < count:
            for task in tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.005)

    async def _pay_on(self, number: int) -> None:
        chance = random.Random(self.seed * 1_000 + number)
        line = await build_terminal_line(NETWORK, self.stage.settings, on_late=lambda _: None)
        await line.start()
        terminal = Terminal(Place(terminal_id=f"T{number:07d}"), now=lambda: datetime.now(UTC))
        till = Till(terminal, line, _PATIENCE)
        try:
            while not self._stopping.is_set():
                if not await line.wait_up(LINE_SECONDS_MAX):
                    raise AssertionError(f"terminal {number} found no network: {line.failure}")
                await self._pay(chance, terminal, till)
                await asyncio.sleep(chance.random() * PAUSE_SECONDS_MAX)
        finally:
            await line.stop(0.5)

    async def _pay(self, chance: random.Random, terminal: Terminal, till: Till) -> None:
        card = chance.choice(self.stage.cards)
        held = HeldCard(card.pan, card.expiry[2:4] + card.expiry[5:7])
        kind = chance.choices(["purchase", "cash", "refund", "pre_authorisation"], weights=[55, 10, 12, 23])[0]
        amount = Money(chance.randint(1, 60) * 100, "GBP")
        compose = {
            "purchase": terminal.purchase,
            "cash": terminal.cash_withdrawal,
            "refund": terminal.refund,
            "pre_authorisation": terminal.pre_authorisation,
        }[kind]
        payment = Payment(kind, compose(held, amount), card, amount.amount_minor, told="on the way")
        self.payments.append(payment)
        try:
            outcome = await till.ask(payment.request)
        except PeerAway:
            payment.told = "not sent"
            return
        payment.told = _told(outcome)
        if payment.approved:
            await self._go_on(chance, terminal, till, payment)

    async def _go_on(self, chance: random.Random, terminal: Terminal, till: Till, payment: Payment) -> None:
        """What follows an approval: often nothing, or a completion, or it is taken back, wholly or in part."""
        dice = chance.random()
        if payment.kind == "pre_authorisation" and dice < 0.6:
            amount = chance.choice([payment.amount, payment.amount - 50])
            await _insist(till, terminal.completion(payment.request, Money(amount, "GBP")))
            payment.completed = amount
        elif dice > 0.85:
            await _insist(till, terminal.reversal(payment.request))
            payment.undone = payment.amount
        elif dice > 0.78 and payment.kind == "purchase":
            left = Money(payment.amount - 40, "GBP")
            await _insist(till, terminal.reversal(payment.request, left=left))
            payment.undone = 40


def _told(outcome: Outcome) -> str:
    if outcome.answer is not None:
        return outcome.action_code
    if not outcome.undone:
        raise AssertionError(f"the reversal of a payment was never acknowledged: {outcome.exchanges[-1].failure}")
    return "undone"


async def _insist(till: Till, advice: Message) -> None:
    outcome = await till.insist(advice)
    if outcome.action_code not in ACKNOWLEDGED:
        raise AssertionError(f"a {advice.mti} was never acknowledged: {outcome.action_code or 'no answer'}")
