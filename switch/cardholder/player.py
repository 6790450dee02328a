"""Plays a scenario at a stage, and says at every step what was said, and what was not as expected."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Protocol

from postrail.domain.iso4217 import currency_by_code
from switch.cardholder.books import AccountView
from switch.cardholder.card import HeldCard
from switch.cardholder.faulty_line import LineState
from switch.cardholder.scenarios import (
    ABSENT,
    PRESENT,
    SAME,
    AccountState,
    Delivered,
    Ledger,
    Line,
    Post,
    Records,
    Scenario,
    Send,
    parse_money,
)
from switch.cardholder.terminal import Terminal
from switch.cardholder.till import Exchange, Till
from switch.iso8583.message import Message
from switch.links.errors import LinkError

COMES_TRUE_SECONDS: Final = 10.0
"""How long something expected of the books may take: reversals are delivered after their answer."""
LOOK_SECONDS: Final = 0.05

_SHOWN_AS: Final = {"balance": "balance_minor", "held": "held_minor", "available": "available_minor"}


class Stage(Protocol):
    """Where a scenario is played: a network, its banks, and cards to pay with."""

    till: Till
    cards: Mapping[str, HeldCard]

    async def accounts(self) -> Mapping[str, AccountView]:
        """The accounts behind the cards, by the cards' names."""
        ...

    async def records(self) -> Mapping[str, int]:
        """What banks have recorded."""
        ...

    async def delivered(self) -> Mapping[str, int]:
        """What networks have delivered to banks, by message type."""
        ...

    async def post_approved(self) -> int:
        """Let the pipeline post what banks approved; how many payments."""
        ...

    async def change_line(self, bank_id: str, state: LineState) -> None:
        """Let the line to a bank fail, or be whole again."""
        ...


@dataclass(slots=True)
class StepReport:
    """One step: what was said, how accounts stood afterwards, and what was not as expected."""

    number: int
    title: str
    exchanges: list[Exchange] = field(default_factory=list)
    accounts: Mapping[str, AccountView] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Said:
    """A message that later steps may be about."""

    sent: Message
    answer: Message | None


class Player:
    """Plays one scenario."""

    def __init__(
        self, scenario: Scenario, stage: Stage, *, tell: Callable[[StepReport], None] = lambda _: None
    ) -> None:
        """`tell` gets the report of each step when it is over."""
        self._scenario = scenario
        self._stage = stage
        self._tell = tell
        self._said: dict[str, _Said] = {}

    async def play(self) -> list[StepReport]:
        """All steps, in order; after a step that went wrong the rest is not played."""
        reports = []
        for number, step in enumerate(self._scenario.steps, start=1):
            report = await self._take(number, step)
            report.accounts = await self._stage.accounts()
            reports.append(report)
            self._tell(report)
            if report.failures:
                break
        return reports

    async def _take(self, number: int, step: Send | Line | Ledger | Records | Delivered | Post) -> StepReport:
        if isinstance(step, Send):
            return await self._send(number, step)
        if isinstance(step, Line):
            await self._stage.change_line(step.bank, step.line)
            return StepReport(number, f"the line to {step.bank} is {step.line}")
        if isinstance(step, Post):
            return StepReport(number, f"the pipeline posted {await self._stage.post_approved()}")
        if isinstance(step, Ledger):
            return await self._expect(number, "the ledger", lambda: self._check_ledger(step))
        if isinstance(step, Records):
            wanted = step.records.model_dump(exclude_none=True)
            return await self._expect(number, "the bank's records", lambda: self._check_counts(wanted, "records"))
        return await self._expect(number, "deliveries", lambda: self._check_counts(step.delivered, "delivered"))

    async def _send(self, number: int, step: Send) -> StepReport:
        message = self._compose(step)
        report = StepReport(number, f"{step.send} {step.amount or step.of or ''}".strip())
        if not step.unsent:
            report.exchanges = await self._exchange(message)
        answer = _answer_to(message, report.exchanges)
        if step.name is not None:
            self._said[step.name] = _Said(message, answer)
        if not step.unsent:
            earlier = self._said[step.of].answer if step.of is not None else None
            report.failures = _differences(step, answer, earlier)
        return report

    async def _exchange(self, message: Message) -> list[Exchange]:
        """What was said; a line to the network that fails is no exception here but a failed expectation."""
        till = self._stage.till
        try:
            outcome = await (till.ask(message) if message.mti[:3] == "110" else till.insist(message))
        except LinkError as error:
            return [Exchange(message, None, str(error))]
        return outcome.exchanges

    def _compose(self, step: Send) -> Message:
        terminal = self._stage.till.terminal
        message = self._compose_about(step, terminal) if step.of is not None else self._compose_new(step, terminal)
        for number, value in step.fields.items():
            if value is None:
                message.fields.pop(number, None)
            else:
                message.fields[number] = value
        return message

    def _compose_new(self, step: Send, terminal: Terminal) -> Message:
        card = self._stage.cards[step.card or ""]
        amount = parse_money(step.amount or "")
        match step.send:
            case "cash":
                return terminal.cash_withdrawal(card, amount)
            case "refund":
                return terminal.refund(card, amount)
            case "pre_authorisation":
                return terminal.pre_authorisation(card, amount)
            case _:
                return terminal.purchase(card, amount, online=step.send == "online_purchase")

    def _compose_about(self, step: Send, terminal: Terminal) -> Message:
        original = self._said[step.of or ""]
        match step.send:
            case "completion":
                approval = original.answer.get(38) if original.answer else ""
                return terminal.completion(original.sent, parse_money(step.amount or ""), approval)
            case "reversal":
                left = parse_money(step.left) if step.left is not None else None
                return terminal.reversal(original.sent, left=left)
            case _:
                return terminal.repeat(original.sent)

    async def _expect(self, number: int, title: str, check: Callable[[], Awaitable[list[str]]]) -> StepReport:
        """Wait until something comes true, or no longer."""
        failures = await check()
        try:
            async with asyncio.timeout(COMES_TRUE_SECONDS):
                while failures:
                    await asyncio.sleep(LOOK_SECONDS)
                    failures = await check()
        except TimeoutError:
            return StepReport(number, title, failures=failures)
        return StepReport(number, title)

    async def _check_ledger(self, step: Ledger) -> list[str]:
        accounts = await self._stage.accounts()
        return [
            difference
            for alias, wanted in step.ledger.items()
            for difference in _account_differences(alias, wanted, accounts.get(alias))
        ]

    async def _check_counts(self, wanted: Mapping[str, int], kind: str) -> list[str]:
        found = await (self._stage.records() if kind == "records" else self._stage.delivered())
        return [
            f"{name}: {found.get(name, 0)}, expected {count}"
            for name, count in wanted.items()
            if found.get(name, 0) != count
        ]


def _answer_to(message: Message, exchanges: list[Exchange]) -> Message | None:
    """The last answer to the message itself, not to a reversal that followed it."""
    answers = [each.answer for each in exchanges if each.answer and each.sent.mti[:3] == message.mti[:3]]
    return answers[-1] if answers else None


def _differences(step: Send, answer: Message | None, earlier: Message | None) -> list[str]:
    if step.expect is None:
        return [] if answer is None else [f"an answer came: {answer.mti} with {answer.get(39)}"]
    if answer is None:
        return ["no answer came"]
    found = []
    for element, wanted in step.expect.items():
        value = answer.mti if element == "mti" else answer.fields.get(element)
        if wanted == SAME:
            expected = earlier.fields.get(int(element)) if earlier is not None and element != "mti" else None
            fits = value == expected
        else:
            fits = value is not None if wanted == PRESENT else value is None if wanted == ABSENT else value == wanted
        if not fits:
            found.append(f"element {element}: {'absent' if value is None else value}, expected {wanted}")
    return found


def _account_differences(alias: str, wanted: AccountState, account: AccountView | None) -> list[str]:
    if account is None:
        return [f"{alias}: the ledger has no account"]
    exponent = currency_by_code(account.currency).exponent
    found = []
    for name, amount in wanted.model_dump(exclude_none=True).items():
        value = Decimal(getattr(account, _SHOWN_AS[name])).scaleb(-exponent)
        if value != amount:
            found.append(f"{alias}: {name} is {value}, expected {amount}")
    return found
