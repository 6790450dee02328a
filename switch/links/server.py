"""The listening side of the switch: a network to its terminals, a bank to its networks.

Network management is answered here; everything else goes to whoever serves, who answers with `Connection.send` when it
is ready, in any order. How much may be asked before answers go out is bounded per connection: at the bound nothing more
is read from it, and the peer's own buffers fill.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final

from postrail.adapters.aws.observability import logger
from switch.correlation import correlation_of
from switch.iso8583.message import Message
from switch.iso8583.wire import Rejected, Wire
from switch.links.connection import Connection, Hold
from switch.links.counters import Counters
from switch.links.errors import LinkDown
from switch.links.management import (
    ACCEPTED,
    ACQUIRER_NOT_SIGNED_ON,
    ECHO,
    INOPERATIVE,
    MALFUNCTION,
    NOT_SUPPORTED,
    SIGN_OFF,
    SIGN_ON,
    ManagementComposer,
    answer_management,
    turn_away,
    utc_now,
)

BACKLOG: Final = 1_024
"""Connections that the operating system may hold before they are taken."""
HANDSHAKE_SECONDS_MAX: Final = 10.0
"""How long a peer may take to show its certificate."""
CLOSE_SECONDS_MAX: Final = 1.0
"""How long peers may take to close their side."""

Receive = Callable[["ServerConnection", Message], None]
Manage = Callable[[Connection, Message], Message | None]


class ServerConnection(Connection):
    """A connection that a peer made to us: it counts what was asked and not yet answered."""

    def __init__(
        self, owner: "MessageServer", wire: Wire, counters: Counters, *, read_seconds: float, in_flight_max: int
    ) -> None:
        super().__init__(owner, wire, counters, read_seconds=read_seconds)
        self._server = owner
        self._in_flight_max = in_flight_max
        self.in_flight = 0
        self.signed_on = False

    def send(self, message: Message) -> None:
        """Send an answer; it makes room for another request. Raises LinkDown, MessageInvalid."""
        try:
            super().send(message)
        finally:
            # An answer that cannot be written is none, but it will not come any more either.
            if message.mti[2] in "13":
                self._settle()

    def reply(self, message: Message) -> None:
        """Send what answers no request in flight; a peer that is gone needs no answer."""
        with suppress(LinkDown):
            super().send(message)

    def give_up(self) -> None:
        """One request in flight will not be answered: its peer is to time out."""
        self._settle()

    def _settle(self) -> None:
        if self.in_flight:
            self.in_flight -= 1
            if self.in_flight == self._in_flight_max - 1:
                self.release(Hold.IN_FLIGHT)
            if not self.in_flight:
                self._server.connection_answered()

    def begin(self) -> None:
        """One request more is in flight."""
        self.in_flight += 1
        if self.in_flight >= self._in_flight_max:
            self.hold(Hold.IN_FLIGHT)


class MessageServer:
    """Takes connections and hands their requests to `receive`."""

    def __init__(  # noqa: PLR0913 - a server's settings are what operators know from other switches
        self,
        wire: Wire,
        receive: Receive,
        *,
        peer_kind: str,
        connections_max: int,
        in_flight_per_connection_max: int,
        read_seconds: float,
        require_sign_on: bool = False,
        tls: ssl.SSLContext | None = None,
        manage: Manage | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        """`receive` gets each request with its connection; it must not wait. What it raises is answered 909.

        `peer_kind` names the peers in logs. `require_sign_on`: requests before a sign-on (1804, DE 24 801) are answered
        905. `manage` is asked first about every 1804; what it returns is sent, None leaves the answer to the server.
        """
        self._wire = wire
        self._receive = receive
        self._peer_kind = peer_kind
        self._connections_max = connections_max
        self._in_flight_max = in_flight_per_connection_max
        self._read_seconds = read_seconds
        self._require_sign_on = require_sign_on
        self._tls = tls
        self._manage = manage
        self._composer = ManagementComposer(now=now or utc_now)
        self._server: asyncio.Server | None = None
        self._connections: set[ServerConnection] = set()
        self._draining = False
        self._empty = asyncio.Event()
        self._answered = asyncio.Event()
        self.counters = Counters()

    @property
    def port(self) -> int:
        """The port that it listens on; 0 when it does not."""
        return self._server.sockets[0].getsockname()[1] if self._server and self._server.sockets else 0

    @property
    def connections(self) -> int:
        """How many peers are connected."""
        return len(self._connections)

    @property
    def in_flight(self) -> int:
        """How many requests wait for their answers."""
        return sum(connection.in_flight for connection in self._connections)

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes any free one. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._draining = False
        self._server = await loop.create_server(
            self._build,
            host,
            port,
            ssl=self._tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS_MAX if self._tls else None,
            backlog=BACKLOG,
        )

    async def stop(self, drain_seconds: float) -> None:
        """Take no connection and no request more, wait for what is in flight, then close.

        Peers that have signed on are told (1804, DE 24 802). What is still in flight after `drain_seconds` is not
        answered: its peers time out and reverse it.
        """
        if self._server is None:
            return
        self._draining = True
        self._server.close()
        for connection in self._connections:
            if connection.signed_on:
                connection.reply(self._composer.compose(SIGN_OFF))
        self._answered.clear()
        if self.in_flight:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._answered.wait(), drain_seconds)
        for connection in list(self._connections):
            connection.close("the switch stops")
        self._empty.clear()
        if self._connections:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), CLOSE_SECONDS_MAX)
        for connection in list(self._connections):
            connection.abort("the switch stops")
        self._server = None

    def _build(self) -> ServerConnection:
        return ServerConnection(
            self, self._wire, self.counters, read_seconds=self._read_seconds, in_flight_max=self._in_flight_max
        )

    # ConnectionOwner

    def connection_opened(self, connection: Connection) -> None:
        """A peer has connected; beyond the bound it is sent away."""
        if self._draining or len(self._connections) >= self._connections_max:
            self.counters.refused += 1
            connection.abort("there are as many connections as may be")
            return
        if isinstance(connection, ServerConnection):
            self._connections.add(connection)

    def message_received(self, connection: Connection, message: Message) -> None:
        """A peer has sent a message."""
        if not isinstance(connection, ServerConnection):
            return
        mti = message.mti
        if mti[2] not in "02":
            # Answers to our own sign-off end here too: nothing waits for them.
            if mti[1] != "8":
                self.counters.unhandled += 1
        elif mti[1] == "8":
            connection.reply(self._answer_management(connection, message))
        elif self._draining:
            self.counters.refused += 1
            connection.reply(turn_away(message, INOPERATIVE))
        elif self._require_sign_on and not connection.signed_on:
            self.counters.refused += 1
            connection.reply(turn_away(message, ACQUIRER_NOT_SIGNED_ON))
        else:
            self._hand_over(connection, message)

    def message_rejected(self, connection: Connection, rejected: Rejected) -> None:
        """A peer has sent what cannot be read."""
        logger.warning("message rejected", peer_kind=self._peer_kind, peer=connection.peer, fault=rejected.error.fault)
        if rejected.answer is not None and isinstance(connection, ServerConnection):
            connection.reply(rejected.answer)

    def writing_changed(self, connection: Connection, writable: bool) -> None:
        """A peer that does not read its answers is not asked for more requests."""
        if writable:
            connection.release(Hold.UNREAD)
        else:
            connection.hold(Hold.UNREAD)

    def connection_closed(self, connection: Connection, reason: str) -> None:
        """A peer is gone; what it asked is answered to nobody."""
        if isinstance(connection, ServerConnection) and connection in self._connections:
            self._connections.discard(connection)
            logger.debug("connection closed", peer_kind=self._peer_kind, peer=connection.peer, reason=reason)
            self.connection_answered()
            if not self._connections:
                self._empty.set()

    def connection_answered(self) -> None:
        """A connection has nothing in flight any more."""
        if self._draining and not self.in_flight:
            self._answered.set()

    def _hand_over(self, connection: ServerConnection, message: Message) -> None:
        connection.begin()
        try:
            self._receive(connection, message)
        except Exception as error:  # noqa: BLE001 - one message must not end a connection that many payments share
            logger.error(
                "a message could not be worked on",
                mti=message.mti,
                error=type(error).__name__,
                correlation_id=correlation_of(message),
            )
            with suppress(LinkDown):
                connection.send(turn_away(message, MALFUNCTION))

    def _answer_management(self, connection: ServerConnection, request: Message) -> Message:
        answer = self._manage(connection, request) if self._manage is not None else None
        function = request.get(24)
        if answer is None:
            known = function in {SIGN_ON, SIGN_OFF, ECHO}
            answer = answer_management(request, ACCEPTED if known else NOT_SUPPORTED)
        if answer.get(39) == ACCEPTED and function in {SIGN_ON, SIGN_OFF}:
            connection.signed_on = function == SIGN_ON
        return answer
