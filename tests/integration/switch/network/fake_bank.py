"""A bank on a socket that does what a test tells it, and remembers what it got."""

import asyncio
from collections import Counter
from collections.abc import Callable

from tests.integration.switch.links.peers import WIRE, make_answer

from switch.iso8583.message import Message
from switch.iso8583.wire import Wire
from switch.links.connection import Connection
from switch.links.server import MessageServer

Reaction = Callable[[Message], Message | None]

_ACKNOWLEDGED = {"11": "000", "12": "000", "14": "400"}


def approve(message: Message) -> Message:
    """Yes to everything, as an issuer says it."""
    answer = make_answer(message, _ACKNOWLEDGED[message.mti[:2]])
    answer.fields[38] = "A00001"
    return answer


def decline(code: str) -> Reaction:
    """No to authorizations, with this action code; yes to the rest."""
    return lambda message: make_answer(message, code) if message.mti[:3] == "110" else approve(message)


def silent_on(*kinds: str) -> Reaction:
    """Not a word on these message types (their first three digits)."""
    return lambda message: None if message.mti[:3] in kinds else approve(message)


class FakeBank:
    """Listens; `react` gives the answer to a message, or None for silence. It can be changed at any time."""

    def __init__(self, wire: Wire = WIRE) -> None:
        self.react: Reaction = approve
        self.late_seconds = 0.0
        self.received: list[Message] = []
        self._wire = wire
        self._server: MessageServer | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen: on any port at first, on the same one after `stop`."""
        self._server = MessageServer(
            self._wire,
            self._receive,
            peer_kind="network",
            connections_max=10,
            in_flight_per_connection_max=10_000,
            read_seconds=30.0,
        )
        await self._server.start("127.0.0.1", self.port)
        self.port = self._server.port

    async def stop(self) -> None:
        """Gone, as if killed."""
        if self._server is not None:
            await self._server.stop(0.0)
            self._server = None

    def kinds(self) -> Counter[str]:
        """How many of each message type came."""
        return Counter(message.mti for message in self.received)

    def of(self, *mtis: str) -> list[Message]:
        """What came of these types, in its order."""
        return [message for message in self.received if message.mti in mtis]

    def _receive(self, connection: Connection, message: Message) -> None:
        self.received.append(message)
        answer = self.react(message)
        if answer is None:
            return
        if self.late_seconds and message.mti[:3] == "110":
            asyncio.get_running_loop().call_later(self.late_seconds, connection.send, answer)
        else:
            connection.send(answer)
