"""The fuzz run's side of the wire: lines that send spoiled messages, and neighbours who go about their business.

After every handful of spoiled messages a line sends an echo (1804) of its own and waits for the answer: that it comes
shows that everything before it was read, and that nothing of it hurt its neighbour. Frames whose length is a lie go
alone, at the end: they must be answered by closing the line.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count as count_up
from itertools import islice, takewhile
from typing import Final

from postrail.bench.mutations import mutants
from postrail.domain.money import Money
from switch.cardholder.card import HeldCard
from switch.cardholder.terminal import Place, Terminal
from switch.iso8583.framing import FrameReader, Framing, FramingKind
from switch.iso8583.message import Message, response_mti
from switch.iso8583.wire import Wire
from switch.links.management import ECHO, SIGN_OFF, SIGN_ON, ManagementComposer, utc_now

FAULTS_MAX: Final = 2
"""Things that are wrong with one message: with more of them most would not come further than the bitmap."""
TOGETHER: Final = 40
"""Spoiled messages between two echoes."""
MESSAGE_BYTES_MAX: Final = 8_192
"""Of the switch; what is longer is sent all the same, and must close the line."""
ANSWER_SECONDS_MAX: Final = 30.0
BROKEN_FRAME_EVERY: Final = 25
"""One in so many handfuls is followed by a frame whose header is nonsense."""
PAY_EVERY_SECONDS: Final = 0.05
_READ_BYTES: Final = 65_536
_FRAME_BYTES_MAX: Final = 65_535
_CHIP_DATA: Final = "9F260811223344556677889F2701809F10070601120390A0009F37041A2B3C4D9F360200019505008004E000"
"""DE 55: a cryptogram and what it is over, as BER-TLV."""


class NeighbourLost(Exception):
    """A valid message was not answered, or its line was closed without a reason."""


@dataclass(frozen=True, slots=True)
class Target:
    """Who is sent spoiled messages. `signs_on`: it talks only to who has signed on."""

    name: str
    host: str
    port: int
    wire: Wire
    framing: FramingKind
    signs_on: bool = False


@dataclass(slots=True)
class Counts:
    """What the lines have seen. `closed` are lines that ended on a broken frame, as they must."""

    sent: int = 0
    answered: int = 0
    closed: int = 0
    neighbours_sent: int = 0
    neighbours_answered: int = 0
    payments_refused: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)


class Line:
    """A connection that takes anything, and knows which answer it waits for."""

    def __init__(self, target: Target, counts: Counts) -> None:
        self._target = target
        self._counts = counts
        self._frames = FrameReader(Framing(target.framing, _FRAME_BYTES_MAX))
        self._framing = Framing(target.framing, _FRAME_BYTES_MAX)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        """Connect. Raises OSError."""
        self._reader, self._writer = await asyncio.open_connection(self._target.host, self._target.port)

    def frame(self, body: bytes) -> bytes:
        """A message, spoiled or not, in a frame that tells its length truly; cut to what a header can tell."""
        return self._framing.write(body[: self._framing.frame_bytes_max])

    def write(self, body: bytes) -> None:
        """Send a message, spoiled or not, in a frame of its own."""
        self._write(self.frame(body))

    def _write(self, data: bytes) -> None:
        if self._writer is not None:
            self._writer.write(data)

    async def ask(self, message: Message) -> Message:
        """Send a valid message and wait for its answer; others that come meanwhile are counted.

        Raises NeighbourLost.
        """
        self._counts.neighbours_sent += 1
        self._write(self._target.wire.encode(message))
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                answer = await self._await_answer(message)
        except TimeoutError as error:
            raise NeighbourLost(f"{self._target.name}: a {message.mti} got no answer") from error
        except (EOFError, OSError) as error:
            raise NeighbourLost(f"{self._target.name}: a line was closed under a {message.mti}") from error
        self._counts.neighbours_answered += 1
        return answer

    async def break_with(self, frame: bytes) -> None:
        """Send a frame that cannot be read, and nothing after it: the line must be closed. Raises NeighbourLost."""
        self._write(frame)
        if self._writer is not None and not self._writer.is_closing():
            with suppress(OSError):
                self._writer.write_eof()
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                with suppress(EOFError, OSError):
                    while True:
                        self._counts.answered += len(await self._read())
        except TimeoutError as error:
            raise NeighbourLost(f"{self._target.name}: a broken frame did not close its line") from error
        self._counts.closed += 1
        self.close()

    def close(self) -> None:
        """Without ado."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def _await_answer(self, message: Message) -> Message:
        if self._writer is not None:
            await self._writer.drain()
        wanted = response_mti(message.mti), message[11]
        # Read is only what begins like the answer: the rest is counted, however it looks.
        start = self._target.wire.encode(message.answer({11: wanted[1], 39: "800"}))[self._framing.header_bytes :][:2]
        while True:
            found = None
            for body in await self._read():
                received = self._target.wire.read_frame(body) if body.startswith(start) else None
                if isinstance(received, Message) and (received.mti, received.get(11)) == wanted:
                    found = received
                else:
                    self._counts.answered += 1
            if found is not None:
                return found

    async def _read(self) -> list[bytes]:
        """Raises EOFError when the other side has closed."""
        data = await self._reader.read(_READ_BYTES) if self._reader is not None else b""
        if not data:
            raise EOFError
        return self._frames.feed(data)


async def spoil(target: Target, corpus: Sequence[bytes], counts: Counts, *, seed: int, count: int) -> None:
    """Send `count` spoiled messages to a target, over one line after the other. Stops at the first neighbour lost."""
    chance = random.Random(seed)
    composer = ManagementComposer(now=utc_now, first_stan=chance.randrange(999_999))
    stream = mutants(seed, count, corpus, faults_max=FAULTS_MAX)
    line = Line(target, counts)
    try:
        await _greet(line, target, composer)
        while some := list(islice(stream, TOGETHER)):
            for mutant in some:
                if len(mutant) <= MESSAGE_BYTES_MAX:
                    line.write(mutant)
            await line.ask(composer.compose(ECHO))
            breaking = [line.frame(mutant) for mutant in some if len(mutant) > MESSAGE_BYTES_MAX]
            if not chance.randrange(BROKEN_FRAME_EVERY):
                breaking.append(chance.randbytes(chance.randint(1, 64)))
            for frame in breaking:
                await line.break_with(frame)
                line = Line(target, counts)
                await _greet(line, target, composer)
            counts.sent += len(some)
    except (NeighbourLost, OSError) as error:
        counts.lost.append(str(error) or type(error).__name__)
    finally:
        line.close()


async def _greet(line: Line, target: Target, composer: ManagementComposer) -> None:
    await line.open()
    if target.signs_on:
        await line.ask(composer.compose(SIGN_ON))


async def pay_beside(
    target: Target,
    cards: Sequence[HeldCard],
    currency: str,
    counts: Counts,
    *,
    terminal_id: str,
    stopping: asyncio.Event,
) -> None:
    """A terminal that pays small amounts, one after the other, until it is told to stop. Each must be approved."""
    terminal = Terminal(Place(terminal_id=terminal_id), now=utc_now)
    line = Line(target, counts)
    try:
        await line.open()
        for turn in takewhile(lambda _: not stopping.is_set(), count_up(1)):
            payment = terminal.purchase(cards[turn % len(cards)], Money(100 + turn % 900, currency))
            answer = await line.ask(payment)
            if answer.get(39) != "000":
                counts.payments_refused[answer.get(39)] += 1
            await asyncio.sleep(PAY_EVERY_SECONDS)
    except (NeighbourLost, OSError) as error:
        counts.lost.append(str(error) or type(error).__name__)
    finally:
        line.close()


def corpus_of(target: Target, cards: Sequence[HeldCard], currency: str) -> list[bytes]:
    """Valid messages to spoil, as the target's dialect writes them: every type that it takes, and answers too."""
    terminal = Terminal(Place(terminal_id="FUZZ0001"), now=utc_now)
    composer = ManagementComposer(now=utc_now)
    messages = [composer.compose(function) for function in (SIGN_ON, SIGN_OFF, ECHO)]
    for card in cards:
        amount = Money(2_500, currency)
        payment = terminal.purchase(card, amount)
        with_chip = terminal.purchase(card, amount)
        with_chip.fields |= {35: f"{card.pan}={card.expiry}2011000012300", 52: "0123456789ABCDEF", 55: _CHIP_DATA}
        estimated = terminal.pre_authorisation(card, amount)
        reversal = terminal.reversal(payment, left=Money(1_000, currency))
        messages += [
            payment,
            with_chip,
            terminal.cash_withdrawal(card, amount),
            terminal.refund(card, amount),
            estimated,
            terminal.completion(estimated, amount),
            reversal,
            terminal.repeat(reversal),
            payment.answer({11: payment[11], 39: "000", 38: "A1B2C3"}),
        ]
    framing = Framing(target.framing, _FRAME_BYTES_MAX)
    return [target.wire.encode(message)[framing.header_bytes :] for message in messages]
