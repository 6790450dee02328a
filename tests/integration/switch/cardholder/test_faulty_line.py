"""A line that fails as it is told, between links and a server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.integration.switch.links.peers import approve, eventually, linked, make_request, run, serving

from switch.cardholder.faulty_line import FaultyLine, LineState
from switch.iso8583.framing import FramingKind
from switch.iso8583.message import Message
from switch.links.errors import AnswerTimedOut, PeerAway
from switch.links.group import LinkGroup


@asynccontextmanager
async def over_a_line(heard: list[Message], late: list[Message]) -> AsyncIterator[tuple[LinkGroup, FaultyLine]]:
    def receive(connection: object, message: Message) -> None:
        heard.append(message)
        approve(connection, message)  # type: ignore[arg-type]

    async with serving(receive) as server:
        line = FaultyLine("127.0.0.1", server.port, FramingKind.BINARY_2)
        await line.start()
        try:
            async with linked(line.port, on_late=late.append) as group:
                yield group, line
        finally:
            await line.stop()


def test_what_each_state_does_to_a_payment() -> None:
    """Whole, silent, late and deaf: what the bank hears, and what comes back when."""
    heard: list[Message] = []
    late: list[Message] = []

    async def ask(group: LinkGroup, stan: int) -> Message:
        return await group.request(make_request(stan=stan), 0.1)

    async def test() -> None:
        async with over_a_line(heard, late) as (group, line):
            assert (await ask(group, 1))[39] == "000"
            for stan, state in ((2, LineState.SILENT), (3, LineState.LATE), (4, LineState.DEAF)):
                await line.become(state)
                with pytest.raises(AnswerTimedOut):
                    await ask(group, stan)
            await line.become(LineState.WHOLE)
            assert await eventually(lambda: len(late) == 1)
            assert late[0][11] == "000003"
            assert [message[11] for message in heard] == ["000001", "000002", "000003"]
            assert (await ask(group, 5))[39] == "000"

    run(test())


def test_a_line_that_is_down_cuts_off_and_lets_nobody_in() -> None:
    """The links fall; when it is whole they come back."""

    async def test() -> None:
        async with over_a_line([], []) as (group, line):
            await line.become(LineState.DOWN)
            assert await eventually(lambda: not group.up)
            with pytest.raises(PeerAway):
                await group.request(make_request(), 0.1)
            await asyncio.sleep(0.3)
            assert not group.up
            await line.become(LineState.WHOLE)
            assert await group.wait_up(5.0)
            assert (await group.request(make_request(), 1.0))[39] == "000"

    run(test())
