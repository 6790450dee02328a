"""Cardholders for the bench of the switch: many terminals, each with a connection of its own, in one process.

Two kinds of load. Saturating: as soon as an answer comes the next payment leaves, so many on the way at a time. Paced:
payments leave by the clock whatever the answers do, and each is timed from when it should have left, so that a switch
that stalls is charged for everybody who waited.
"""

import asyncio
import itertools
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from typing import Final

from switch.iso8583.message import Message
from switch.iso8583.wire import Rejected, Wire

CONNECTS_AT_ONCE: Final = 50
_TICK_SECONDS: Final = 0.001
_STAN_MAX: Final = 999_999


@dataclass(frozen=True, slots=True)
class Load:
    """What one process of cardholders does. `rate` payments a second, or None to saturate with `in_flight`.

    `cards` are card numbers and expiries (YYMM) from a published test range. `wait_seconds` is how long an answer may
    take before the payment counts as lost.
    """

    host: str
    port: int
    dialect: str
    framing: str
    connections: int
    cards: Sequence[tuple[str, str]] = field(repr=False)
    seconds: float
    rate: float | None
    in_flight: int
    currency: str
    wait_seconds: float = 15.0
    first_terminal: int = 0


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What the cardholders saw. Latencies in milliseconds, one for each answer; the span in seconds."""

    sent: int
    answered: int
    approved: int
    action_codes: dict[str, int]
    latencies_ms: "array[float]"
    seconds: float
    connections: int

    @property
    def lost(self) -> int:
        """Payments that nobody answered."""
        return self.sent - self.answered


def play_cardholders(load: Load) -> LoadResult:
    """Open the connections, send for the time asked, and wait for what is still on the way."""
    factory = None
    if sys.platform != "win32" and find_spec("uvloop") is not None:
        import uvloop  # noqa: PLC0415

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_Cardholders(load).play())


class _Terminal(asyncio.Protocol):
    """One connection, one payment on it at a time."""

    def __init__(self, crowd: "_Cardholders", number: int) -> None:
        self.number = number
        self.name = f"T{number:07d}"
        self.stan = ""
        self.due = 0.0
        self._crowd = crowd
        self._reader = crowd.wire.reader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        for received in self._reader.feed(data):
            if isinstance(received, Message):
                self._crowd.take(self, received)
            elif isinstance(received, Rejected):
                raise received.error

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._transport = None

    def pay(self, message: bytes) -> None:
        if self._transport is not None:
            self._transport.write(message)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class _Cardholders:
    def __init__(self, load: Load) -> None:
        from switch.iso8583.dialect import load_dialect  # noqa: PLC0415
        from switch.iso8583.framing import FramingKind  # noqa: PLC0415

        self._load = load
        self.wire = Wire(load_dialect(load.dialect), FramingKind(load.framing))
        self._idle: deque[_Terminal] = deque()
        self._latencies = array("d")
        self._codes: Counter[str] = Counter()
        self._sent = 0
        self._answered = 0
        self._all_answered = asyncio.Event()
        self._ended = False
        self._ends_at = 0.0
        self._last_answer_at = 0.0
        self._payments = _payments(load)

    async def play(self) -> LoadResult:
        terminals = await self._connect()
        self._idle.extend(terminals)
        begun = time.perf_counter()
        self._ends_at = begun + self._load.seconds
        if self._load.rate is None:
            await self._saturate()
        else:
            await self._keep_pace(self._load.rate, begun)
        await self._await_rest()
        for terminal in terminals:
            terminal.close()
        return LoadResult(
            sent=self._sent,
            answered=self._answered,
            approved=sum(number for code, number in self._codes.items() if code.startswith("00")),
            action_codes=dict(self._codes),
            latencies_ms=self._latencies,
            seconds=max(self._last_answer_at, begun + 1e-9) - begun,
            connections=len(terminals),
        )

    def take(self, terminal: _Terminal, answer: Message) -> None:
        """An answer: count it, and when saturating send the next payment at once."""
        if answer.get(11) != terminal.stan or answer.mti != "1110":
            return
        terminal.stan = ""
        now = time.perf_counter()
        self._last_answer_at = now
        self._latencies.append((now - terminal.due) * 1000)
        self._codes[answer.get(39)] += 1
        self._answered += 1
        self._idle.append(terminal)
        if self._load.rate is None and now < self._ends_at:
            self._send(now)
        elif self._ended and self._answered == self._sent:
            self._all_answered.set()

    def _send(self, due: float) -> None:
        terminal = self._idle.popleft()
        message = next(self._payments)
        terminal.stan = message.fields[11]
        terminal.due = due
        message.fields[41] = terminal.name
        self._sent += 1
        terminal.pay(self.wire.encode(message))

    async def _connect(self) -> list[_Terminal]:
        loop = asyncio.get_running_loop()
        terminals: list[_Terminal] = []
        first, last = self._load.first_terminal, self._load.first_terminal + self._load.connections
        for start in range(first, last, CONNECTS_AT_ONCE):
            some = range(start, min(start + CONNECTS_AT_ONCE, last))
            pairs = await asyncio.gather(
                *(
                    loop.create_connection(partial(_Terminal, self, number), self._load.host, self._load.port)
                    for number in some
                )
            )
            terminals += [protocol for _, protocol in pairs]
        return terminals

    async def _saturate(self) -> None:
        for _ in range(min(self._load.in_flight, len(self._idle))):
            self._send(time.perf_counter())
        await asyncio.sleep(self._load.seconds)

    async def _keep_pace(self, rate: float, begun: float) -> None:
        planned = int(rate * self._load.seconds)
        number = 0
        while number < planned:
            now = time.perf_counter()
            while number < planned and begun + number / rate <= now and self._idle:
                self._send(begun + number / rate)
                number += 1
            await asyncio.sleep(_TICK_SECONDS)

    async def _await_rest(self) -> None:
        self._ended = True
        if self._answered < self._sent:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_answered.wait(), self._load.wait_seconds)


def _payments(load: Load) -> Iterator[Message]:
    """Purchases without end: cards in turn, small amounts."""
    for number in itertools.count():
        pan, expiry = load.cards[number % len(load.cards)]
        yield make_purchase(number, pan, expiry, currency=load.currency)


def make_purchase(number: int, pan: str, expiry: str, *, currency: str) -> Message:
    """The purchase with this number: now, of a small amount in minor units, at no terminal (DE 41) yet.

    `expiry` is YYMM, `currency` the numeric code.
    """
    local = datetime.now(UTC).strftime("%y%m%d%H%M%S")
    return Message(
        "1100",
        {
            2: pan,
            3: "000000",
            4: f"{100 + number % 900:012d}",
            7: local[2:],
            11: f"{number % _STAN_MAX + 1:06d}",
            12: local,
            14: expiry,
            22: "510101511344",
            24: "100",
            26: "5411",
            32: "900100",
            37: f"{number % 10**12:012d}",
            42: "BENCH0000000001",
            43: "CORNER SHOP\\HIGH STREET 1\\LEEDS\\LS1 4DY   GBR",
            49: currency,
        },
    )
