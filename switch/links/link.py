"""One link to a peer: it connects, signs on, echoes when idle, and comes back when it was lost."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from postrail.adapters.aws.observability import logger
from switch.iso8583.message import Message, is_request
from switch.iso8583.wire import Rejected, Wire
from switch.links.backoff import Backoff
from switch.links.connection import Connection
from switch.links.counters import Counters
from switch.links.errors import LinkDown
from switch.links.sign_on import LinkLife, LinkState


@dataclass(frozen=True, slots=True)
class Target:
    """Where a link leads, and how long connecting may take."""

    host: str
    port: int
    connect_seconds: float
    read_seconds: float
    tls: ssl.SSLContext | None = None


class LinkOwner(Protocol):
    """Who is told what comes over a link."""

    def link_changed(self, link: "Link") -> None:
        """It came up, or is up no more."""
        ...

    def link_lost(self, link: "Link") -> None:
        """Its connection is gone, and what was on the way over it."""
        ...

    def answer_received(self, link: "Link", message: Message) -> None:
        """A message that is not network management came."""
        ...

    def answer_rejected(self, link: "Link", rejected: Rejected) -> None:
        """Something came that cannot be read."""
        ...

    def management_received(self, link: "Link", request: Message) -> Message:
        """The answer to an 1804 of the peer that is not the link's own to answer."""
        ...


class Link:
    """A connection that is kept. `up` says whether requests may go over it."""

    def __init__(
        self, name: str, target: Target, owner: LinkOwner, wire: Wire, life: LinkLife, counters: Counters
    ) -> None:
        self.name = name
        self._target = target
        self._owner = owner
        self._wire = wire
        self._life = life
        self._counters = counters
        self._backoff = Backoff()
        self._connection: Connection | None = None
        self._closed: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tick_at = 0.0
        self._stopping = asyncio.Event()
        self._was_up = False

    @property
    def up(self) -> bool:
        """Whether requests may be sent over it."""
        return self._was_up

    @property
    def writable(self) -> bool:
        """Whether the peer reads what is sent to it."""
        return self._connection is not None and self._connection.writable

    @property
    def state(self) -> LinkState:
        """Where it is in its life."""
        return self._life.state

    @property
    def failure(self) -> str:
        """Why it is down, empty when it is not."""
        return self._life.failure

    def send(self, message: Message) -> None:
        """Send a message. Raises LinkDown, MessageInvalid."""
        if self._connection is None:
            raise LinkDown(f"link {self.name} is down")
        self._connection.send(message)

    async def keep(self) -> None:
        """Connect, and connect again whenever it was lost, until `stop`."""
        while not self._stopping.is_set():
            await self._live_once()
            if not self._stopping.is_set():
                wait = self._backoff.next_seconds()
                logger.info("link is down", link=self.name, reason=self.failure, retry_seconds=round(wait, 3))
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), wait)

    async def stop(self) -> None:
        """Sign off, wait for the answer, close. `keep` ends."""
        self._stopping.set()
        if self._connection is not None:
            self._step(lambda: self._life.sign_off(_now()))
        if self._connection is not None and self._closed is not None:
            await asyncio.shield(self._closed)

    def abort(self, reason: str) -> None:
        """Close at once, whatever is on the way."""
        self._stopping.set()
        if self._connection is not None:
            self._connection.abort(reason)

    async def _live_once(self) -> None:
        target = self._target
        loop = asyncio.get_running_loop()
        self._closed = loop.create_future()
        try:
            async with asyncio.timeout(target.connect_seconds):
                await loop.create_connection(
                    lambda: Connection(self, self._wire, self._counters, read_seconds=target.read_seconds),
                    target.host,
                    target.port,
                    ssl=target.tls,
                )
        except TimeoutError:
            self._life.unreachable(f"no connection in {target.connect_seconds:g} s")
        except OSError as error:
            # ssl.SSLError is one too
            self._life.unreachable(error.strerror or type(error).__name__)
        else:
            await self._closed
        self._closed = None

    # ConnectionOwner

    def connection_opened(self, connection: Connection) -> None:
        """Begin to sign on."""
        if self._stopping.is_set():
            connection.abort("stopping")
        self._connection = connection
        self._step(lambda: self._life.connected(_now()))

    def message_received(self, connection: Connection, message: Message) -> None:
        """Sort what came: network management is the link's own, the rest its owner's."""
        if message.mti[1] != "8":
            self._owner.answer_received(self, message)
        elif is_request(message.mti):
            self._manage(connection, message)
        elif self._life.answered(message):
            self._step(list)
        else:
            self._counters.unhandled += 1

    def message_rejected(self, connection: Connection, rejected: Rejected) -> None:
        """Hand it on; a request that cannot be read is answered."""
        logger.warning("message rejected", link=self.name, peer=connection.peer, fault=rejected.error.fault)
        if rejected.answer is not None:
            with suppress(LinkDown):
                connection.send(rejected.answer)
        self._owner.answer_rejected(self, rejected)

    def writing_changed(self, connection: Connection, writable: bool) -> None:
        """Asked for by `writable`, when somebody wants to send."""

    def connection_closed(self, connection: Connection, reason: str) -> None:  # noqa: ARG002 - a link has but one
        """Give up what was on the way over it."""
        self._connection = None
        self._life.lost(reason)
        self._follow()
        self._owner.link_lost(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def _manage(self, connection: Connection, request: Message) -> None:
        answer = self._life.asked(request) or self._owner.management_received(self, request)
        with suppress(LinkDown):
            connection.send(answer)
        self._step(list)

    def _step(self, take: Callable[[], list[Message]]) -> None:
        """Let the state machine take a step, send what it wants sent, and follow its state."""
        connection = self._connection
        messages = take()
        if connection is None:
            return
        with suppress(LinkDown):
            for message in messages:
                connection.send(message)
        self._follow()
        if self._life.state is LinkState.DOWN:
            connection.close(self._life.failure)
        else:
            self._tick_later()

    def _tick_later(self) -> None:
        due = self._life.next_tick()
        if self._timer is not None:
            if due >= self._tick_at:
                return
            self._timer.cancel()
        self._tick_at = due
        self._timer = asyncio.get_running_loop().call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._connection is not None:
            self._life.heard(self._connection.heard_at)
            self._step(lambda: self._life.tick(_now()))

    def _follow(self) -> None:
        if self._life.up is not self._was_up:
            self._was_up = self._life.up
            if self._was_up:
                self._backoff.reset()
            self._owner.link_changed(self)


def _now() -> float:
    return asyncio.get_running_loop().time()
