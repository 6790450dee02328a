"""Peers on loopback for the tests of links: messages, a wire, a server, a bare socket that misbehaves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from switch.iso8583.dialect import load_dialect
from switch.iso8583.framing import FramingKind
from switch.iso8583.message import Message
from switch.iso8583.wire import Wire
from switch.links.connection import Connection
from switch.links.group import LinkGroup
from switch.links.server import MessageServer

PATIENCE_SECONDS = 5.0
"""How long a test waits for what must come; it fails then."""

ECHOED = (3, 4, 7, 11, 12, 32, 37, 41, 42, 49)

WIRE = Wire(load_dialect("iso8583-1993-ascii"), FramingKind.BINARY_2)


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run an asynchronous test, bounded."""

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test

    asyncio.run(bounded())


def make_request(mti: str = "1100", stan: int = 1, terminal: str = "TERM0001") -> Message:
    """A request as a terminal sends it, with a test card number."""
    return Message(
        mti,
        {
            2: "4761340000000019",
            3: "000000",
            4: "000000001000",
            7: "1121010203",
            11: f"{stan:06d}",
            12: "261121010203",
            14: "2812",
            22: "211201213144",
            24: "400" if mti.startswith("14") else "100",
            26: "5411",
            32: "900001",
            37: f"{stan:012d}",
            41: terminal,
            42: "ACCEPTOR0000001",
            49: "826",
        }
        | ({25: "4000", 56: f"1100{stan:06d}26112101020306900001"} if mti.startswith("14") else {}),
    )


def make_answer(request: Message, action_code: str = "000") -> Message:
    """The approval of a request."""
    fields = {number: request[number] for number in ECHOED if number in request.fields}
    return request.answer(fields | {39: action_code})


def approve(connection: Connection, message: Message) -> None:
    """A service that approves everything at once."""
    connection.send(make_answer(message))


@asynccontextmanager
async def serving(
    receive: Callable[[Connection, Message], None] = approve, **given: Any
) -> AsyncIterator[MessageServer]:
    """A server on a free port."""
    settings: dict[str, Any] = {
        "peer_kind": "network",
        "connections_max": 10,
        "in_flight_per_connection_max": 100,
        "read_seconds": 10.0,
    }
    server = MessageServer(given.pop("wire", WIRE), receive, **settings | given)
    await server.start("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.stop(0.1)


@asynccontextmanager
async def linked(port: int, **given: Any) -> AsyncIterator[LinkGroup]:
    """Links to a port, of which one at least is up (unless `wait` is false)."""
    settings: dict[str, Any] = {
        "links": 1,
        "echo_seconds": 5.0,
        "read_seconds": 10.0,
        "connect_seconds": 2.0,
        "in_flight_max": 1_000,
        "on_late": lambda _: None,
    }
    wait = given.pop("wait", True)
    settings |= given
    group = LinkGroup("bank", "127.0.0.1", port, settings.pop("wire", WIRE), **settings)
    await group.start()
    try:
        if wait:
            assert await group.wait_up(PATIENCE_SECONDS, links=settings["links"]), group.failure
        yield group
    finally:
        await group.stop(0.1)


class Peer:
    """A bare socket that speaks, or misspeaks, as a test tells it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._messages = WIRE.reader()
        self._waiting: list[Any] = []

    async def send(self, *messages: Message) -> None:
        """Send messages in one write."""
        await self.send_bytes(b"".join(WIRE.encode(message) for message in messages))

    async def send_bytes(self, data: bytes) -> None:
        """Send anything."""
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self) -> Message:
        """The next message. Raises EOFError when the connection ends first."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self._waiting:
                data = await self.reader.read(65_536)
                if not data:
                    raise EOFError
                self._waiting += self._messages.feed(data)
        return self._waiting.pop(0)

    async def ended(self) -> bool:
        """Whether the other side closes the connection."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while await self.reader.read(65_536):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return True


@asynccontextmanager
async def connected(port: int, **given: Any) -> AsyncIterator[Peer]:
    """A bare connection to a port."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **given)
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def listening(serve: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[int]:
    """The port of a peer that does what `serve` says with each connection."""
    writers: list[asyncio.StreamWriter] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await serve(Peer(reader, writer))
        except (EOFError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()


async def eventually(holds: Callable[[], bool]) -> bool:
    """Whether something comes to hold in time."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not holds():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.005)
    except TimeoutError:
        return False
    return True
