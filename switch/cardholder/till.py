"""How a terminal goes about a payment: it waits for the answer so long and no longer, and undoes what it does not know.

What must arrive, a reversal or a completion, is sent until it is acknowledged: first as it is, then as its repetition.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from switch.cardholder.terminal import NO_ANSWER, Terminal
from switch.iso8583.message import Message
from switch.links.errors import AnswerInvalid, AnswerTimedOut, LinkError
from switch.links.group import LinkGroup

ATTEMPTS_MAX: Final = 10
RETRY_SECONDS: Final = 1.0
RETRY_SECONDS_MAX: Final = 15.0
ACKNOWLEDGED: Final = frozenset({"000", "400", "900", "901"})
"""DE 39 of an advice or a reversal that need not be sent again."""
_AGAIN: Final = frozenset({"903", "907", "909", "923"})
"""The network could not take it now: later it may."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A message that was sent, and what came of it: an answer, or the reason why there is none."""

    sent: Message
    answer: Message | None
    failure: str = ""


@dataclass(slots=True)
class Outcome:
    """All that was said about one message of the till, in order."""

    exchanges: list[Exchange] = field(default_factory=list)
    undone: bool = False
    """It was not answered, and a reversal of it was acknowledged."""

    @property
    def answer(self) -> Message | None:
        """The last answer to the message itself or a repetition of it, None when there was none."""
        kind = self.exchanges[0].sent.mti[:3] if self.exchanges else ""
        answers = [each.answer for each in self.exchanges if each.answer and each.sent.mti[:3] == kind]
        return answers[-1] if answers else None

    @property
    def action_code(self) -> str:
        """DE 39 of the answer, empty without one."""
        return self.answer.get(39) if self.answer else ""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a till waits, in seconds, and how often it sends what must arrive."""

    answer_seconds: float = 12.0
    retry_seconds: float = RETRY_SECONDS
    attempts_max: int = ATTEMPTS_MAX


DEFAULT_PATIENCE: Final = Patience()

Tell = Callable[[Exchange], None]


class Till:
    """A terminal at work over a line to its network."""

    def __init__(
        self, terminal: Terminal, line: LinkGroup, patience: Patience = DEFAULT_PATIENCE, *, tell: Tell = lambda _: None
    ) -> None:
        """`tell` gets every exchange as soon as it is over."""
        self.terminal = terminal
        self._line = line
        self._patience = patience
        self._tell = tell

    async def ask(self, request: Message) -> Outcome:
        """Send a request. Without an answer in time it is reversed, until the network acknowledges that.

        Raises PeerAway when there is no line to the network: then nothing was sent.
        """
        outcome = Outcome()
        try:
            await self._exchange(request, outcome)
        except (AnswerTimedOut, AnswerInvalid):
            await self.insist(self.terminal.reversal(request, reason=NO_ANSWER), outcome)
            last = outcome.exchanges[-1].answer
            outcome.undone = last is not None and last.get(39) in ACKNOWLEDGED
        return outcome

    async def insist(self, advice: Message, outcome: Outcome | None = None) -> Outcome:
        """Send a reversal, completion or advice until it is acknowledged, or has been sent as often as may be."""
        outcome = outcome if outcome is not None else Outcome()
        message, wait = advice, self._patience.retry_seconds
        for attempt in range(self._patience.attempts_max):
            if attempt:
                await asyncio.sleep(wait)
                wait = min(wait * 2, RETRY_SECONDS_MAX)
                message = self.terminal.repeat(advice)
            try:
                answer = await self._exchange(message, outcome)
            except LinkError:
                continue
            if answer.get(39) not in _AGAIN:
                break
        return outcome

    async def _exchange(self, message: Message, outcome: Outcome) -> Message:
        try:
            answer = await self._line.request(message, self._patience.answer_seconds)
        except LinkError as error:
            self._keep(outcome, Exchange(message, None, str(error)))
            raise
        self._keep(outcome, Exchange(message, answer))
        return answer

    def _keep(self, outcome: Outcome, exchange: Exchange) -> None:
        outcome.exchanges.append(exchange)
        self._tell(exchange)
