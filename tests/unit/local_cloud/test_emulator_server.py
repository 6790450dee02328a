"""The emulator's responses leave in one piece, in order, and whole before the connection closes."""

import asyncio
from collections.abc import Callable

from local_cloud.emulator_server import JoinedWrites


class Wire(asyncio.Transport):
    """Records what reaches the connection."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 40000)})
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed, "written after the close"
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def after_a_turn(act: Callable[[JoinedWrites], None]) -> Wire:
    """Act on a wrapped connection and let the loop turn once."""

    async def run() -> Wire:
        wire = Wire()
        act(JoinedWrites(wire, asyncio.get_running_loop()))
        await asyncio.sleep(0)
        return wire

    return asyncio.run(run())


def test_head_and_body_are_sent_at_once() -> None:
    """The client is woken once for a response."""

    def respond(connection: JoinedWrites) -> None:
        connection.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
        connection.write(b"{}")

    assert after_a_turn(respond).sent == [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"]


def test_nothing_is_sent_twice_in_later_turns() -> None:
    """A streamed body goes on where it stopped, each turn's part by itself."""

    async def run() -> list[bytes]:
        wire = Wire()
        connection = JoinedWrites(wire, asyncio.get_running_loop())
        for part in (b"one", b"two"):
            connection.write(part)
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return wire.sent

    assert asyncio.run(run()) == [b"one", b"two"]


def test_a_close_sends_what_was_written_before() -> None:
    """`connection: close` must not cost the response."""

    def respond_and_close(connection: JoinedWrites) -> None:
        connection.write(b"head")
        connection.write(b"body")
        connection.close()

    wire = after_a_turn(respond_and_close)
    assert wire.sent == [b"headbody"]
    assert wire.closed


def test_a_client_that_has_gone_gets_nothing() -> None:
    """What was kept for it is dropped, and nothing breaks."""

    async def run() -> list[bytes]:
        wire = Wire()
        JoinedWrites(wire, asyncio.get_running_loop()).write(b"late")
        wire.close()
        await asyncio.sleep(0)
        return wire.sent

    assert asyncio.run(run()) == []


def test_everything_else_is_the_connections_own() -> None:
    """The server asks the connection who its client is."""

    def ask(connection: JoinedWrites) -> None:
        assert connection.get_extra_info("peername") == ("127.0.0.1", 40000)
        assert not connection.is_closing()

    after_a_turn(ask)
