"""All links to one peer, as one: requests go round robin over those that are up, answers come over any.

What waits for answers is bounded. A link that is lost comes back by itself; until then the others carry on.
"""

import asyncio
import ssl
from collections.abc import Callable
from datetime import datetime
from random import randrange
from typing import Final

from postrail.adapters.aws.observability import logger
from switch.iso8583.message import Message, is_response
from switch.iso8583.wire import Rejected, Wire
from switch.links.counters import Counters
from switch.links.errors import LinkDown, PeerAway, TooManyInFlight
from switch.links.link import Link, Target
from switch.links.management import NOT_SUPPORTED, ManagementComposer, answer_management, utc_now
from switch.links.matching import MatchingKey, PendingAnswers, default_key
from switch.links.sign_on import LinkLife, LinkState, LinkTiming

DRAIN_SECONDS: Final = 5.0
SIGN_OFF_SECONDS_MAX: Final = 1.0
"""How long the peer may take to answer a sign-off."""


def ignore_state(_: bool) -> None:
    """Nobody asks whether the peer is there."""


def refuse_management(_: Message) -> Message | None:
    """Nothing but sign-on, sign-off and echo is known here."""
    return None


class LinkGroup:
    """The links to one peer."""

    def __init__(  # noqa: PLR0913 - a link's settings are what operators know from other switches
        self,
        peer_id: str,
        host: str,
        port: int,
        wire: Wire,
        *,
        links: int,
        echo_seconds: float,
        read_seconds: float,
        connect_seconds: float,
        in_flight_max: int,
        tls: ssl.SSLContext | None = None,
        on_late: Callable[[Message], None],
        on_state: Callable[[bool], None] = ignore_state,
        manage: Callable[[Message], Message | None] = refuse_management,
        sign_on: bool = True,
        institution_id: str = "",
        key: MatchingKey = default_key,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """`links` connections to host and port.

        An echo goes out after `echo_seconds` without a sound from the peer; after `read_seconds` the link is dead.
        `on_late` gets answers that came after their time, `on_state` whether the peer is there whenever that changes,
        `manage` network management requests of the peer other than sign-on, sign-off and echo. None of them may raise.
        `institution_id` (DE 33) says in network management who we are. `key` tells which request an answer belongs to.
        """
        self.peer_id = peer_id
        self._manage = manage
        self._on_state = on_state
        self.counters = Counters()
        self._pending = PendingAnswers(self.counters, in_flight_max=in_flight_max, on_late=on_late, key=key)
        target = Target(host, port, connect_seconds, read_seconds, tls)
        timing = LinkTiming(echo_seconds, read_seconds, connect_seconds)
        first_stan = randrange(999_999)
        composer = ManagementComposer(now=now, institution_id=institution_id, first_stan=first_stan)
        self._links = [
            Link(f"{peer_id}-{number}", target, self, wire, LinkLife(timing, composer, sign_on=sign_on), self.counters)
            for number in range(1, links + 1)
        ]
        self._up: list[Link] = []
        self._turn = 0
        self._was_up = False
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()

    @property
    def up(self) -> bool:
        """Whether a request could be sent now."""
        return bool(self._up) and not self._stopping

    @property
    def links_up(self) -> int:
        """How many links are up."""
        return len(self._up)

    @property
    def signed_off(self) -> bool:
        """Whether the peer is connected but has signed off: it is away on purpose."""
        return not self._up and any(link.state is LinkState.SIGNED_OFF for link in self._links)

    @property
    def failure(self) -> str:
        """Why the first link that is down is down; empty when none is."""
        return next((link.failure for link in self._links if link.failure), "")

    async def start(self) -> None:
        """Begin to connect; returns at once. See `wait_up`."""
        self._stopping = False
        self._tasks = [asyncio.create_task(link.keep(), name=f"link-{link.name}") for link in self._links]

    async def wait_up(self, seconds: float, *, links: int = 1) -> bool:
        """Wait until so many links are up; whether they are."""
        try:
            async with asyncio.timeout(seconds):
                while len(self._up) < links:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self, drain_seconds: float = DRAIN_SECONDS) -> None:
        """Send nothing more, wait up to `drain_seconds` for answers, sign off, close.

        Whoever still waits then gets AnswerLost.
        """
        self._stopping = True
        await self._pending.drain(drain_seconds)
        if self._tasks:
            leaving = [asyncio.create_task(link.stop()) for link in self._links]
            await asyncio.wait(leaving, timeout=SIGN_OFF_SECONDS_MAX)
            for task in (*leaving, *self._tasks):
                task.cancel()
            await asyncio.gather(*leaving, *self._tasks, return_exceptions=True)
        for link in self._links:
            link.abort("stopped")
        self._tasks = []

    async def request(self, message: Message, seconds: float) -> Message:
        """Send a request and wait for its answer.

        Raises PeerAway, TooManyInFlight, DuplicateInFlight and MessageInvalid when nothing was sent; AnswerTimedOut
        (AnswerLost when its link is gone) and AnswerInvalid when it was, and what the peer did is not known.
        """
        return await self.begin_request(message, seconds)

    def begin_request(self, message: Message, seconds: float) -> asyncio.Future[Message]:
        """`request` without a coroutine: the answer to come. Cancel it to wait no longer. Raises and fails alike."""
        if self._stopping:
            raise PeerAway(f"the links to {self.peer_id} are being closed")
        key = self._pending.admit(message)
        return self._pending.wait(key, self._send(message), seconds)

    def _send(self, message: Message) -> Link:
        up = self._up
        if not up:
            raise PeerAway(f"no link to {self.peer_id} is up")
        for _ in range(len(up)):
            self._turn = (self._turn + 1) % len(up)
            link = up[self._turn]
            if not link.writable:
                continue
            try:
                link.send(message)
            except LinkDown:
                # it is on its way out of the list
                continue
            return link
        self.counters.refused += 1
        raise TooManyInFlight(f"{self.peer_id} does not read what is sent to it")

    # LinkOwner

    def link_changed(self, link: Link) -> None:
        """A link came up, or is up no more."""
        self._up = [each for each in self._links if each.up]
        self._changed.set()
        logger.info("link is up" if link.up else "link is not up", link=link.name)
        if bool(self._up) is not self._was_up:
            self._was_up = bool(self._up)
            self._on_state(self._was_up)

    def link_lost(self, link: Link) -> None:
        """The connection of a link is gone, and with it what was on the way."""
        self._pending.drop_link(link)

    def answer_received(self, link: Link, message: Message) -> None:
        """An answer, or something that nobody here asked for."""
        if is_response(message.mti):
            self._pending.settle(message)
        else:
            self.counters.unhandled += 1
            logger.warning("unexpected message", link=link.name, mti=message.mti)

    def answer_rejected(self, link: Link, rejected: Rejected) -> None:  # noqa: ARG002 - any link's answer will do
        """An answer that cannot be believed."""
        self._pending.spoil(rejected.error)

    def management_received(self, link: Link, request: Message) -> Message:  # noqa: ARG002 - whichever link it is
        """An 1804 that is not the link's own."""
        return self._manage(request) or answer_management(request, NOT_SUPPORTED)
