"""A line between a network and a bank that fails as it is told: for scenarios, so that what fails is not our own code.

It stands between the two as a relay of bytes in whole frames; neither knows of it.
"""

import asyncio
from collections import deque
from contextlib import suppress
from enum import StrEnum
from typing import Final

from switch.iso8583.framing import FrameReader, Framing, FramingKind

READ_BYTES: Final = 65_536
FRAME_BYTES_MAX: Final = 8_192
HELD_MAX: Final = 10_000
"""Answers that are kept back; what comes beyond is lost."""


class LineState(StrEnum):
    """How the line is."""

    WHOLE = "whole"
    """It carries everything."""
    SILENT = "silent"
    """The bank hears, and its answers are lost."""
    LATE = "late"
    """The bank hears, and its answers are kept back until the line is whole."""
    DEAF = "deaf"
    """What the network sends is lost."""
    DOWN = "down"
    """Nobody can connect, and who was connected is cut off."""


class FaultyLine:
    """A relay to one bank."""

    def __init__(self, host: str, port: int, framing: FramingKind) -> None:
        """`host` and `port` are the bank's."""
        self._host = host
        self._port = port
        self._framing = framing
        self._server: asyncio.Server | None = None
        self._held: deque[tuple[asyncio.StreamWriter, bytes]] = deque(maxlen=HELD_MAX)
        self._writers: set[asyncio.StreamWriter] = set()
        self.state = LineState.WHOLE

    @property
    def port(self) -> int:
        """Where the network connects."""
        return self._server.sockets[0].getsockname()[1] if self._server else 0

    async def start(self) -> None:
        """Listen on a free port of this machine."""
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Cut everything off."""
        self._cut()
        if self._server is not None:
            self._server.close()
            await asyncio.sleep(0)
            self._server = None

    async def become(self, state: LineState) -> None:
        """Fail in another way, or no more. A line that is whole again delivers what it kept back, in order."""
        self.state = state
        if state is LineState.DOWN:
            self._held.clear()
            self._cut()
        elif state is LineState.WHOLE:
            while self._held:
                writer, frame = self._held.popleft()
                writer.write(frame)

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.state is LineState.DOWN:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            bank_reader, bank_writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(bank_writer)
        ways = [
            asyncio.create_task(self._carry(reader, bank_writer, requests=True)),
            asyncio.create_task(self._carry(bank_reader, writer, requests=False)),
        ]
        with suppress(asyncio.CancelledError):
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (writer, bank_writer):
            self._writers.discard(end)
            end.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, requests: bool) -> None:
        framing = Framing(self._framing, FRAME_BYTES_MAX)
        frames = FrameReader(framing)
        with suppress(ConnectionError):
            while data := await reader.read(READ_BYTES):
                for body in frames.feed(data):
                    self._pass(writer, framing.write(body), requests=requests)
                await writer.drain()

    def _pass(self, writer: asyncio.StreamWriter, frame: bytes, *, requests: bool) -> None:
        if requests:
            if self.state is not LineState.DEAF:
                writer.write(frame)
        elif self.state is LineState.LATE:
            self._held.append((writer, frame))
        elif self.state is not LineState.SILENT:
            writer.write(frame)
