"""One connection between peers: frames in, messages out, and bounds on what may pile up.

Answers are gathered for a turn of the event loop and written at once: a write costs a system call, a message does not.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from enum import IntFlag
from typing import Any, Final, Protocol

from switch.iso8583.message import Message, MessageInvalid
from switch.iso8583.wire import Received, Rejected, Wire
from switch.links.counters import Counters
from switch.links.errors import LinkDown

WRITE_HIGH_BYTES: Final = 256 * 1024
"""What the peer may leave unread before its owner is told."""
WRITE_BYTES_MAX: Final = 8 * 1024 * 1024
"""What the peer may leave unread before the connection is given up."""

CLOSE_SECONDS_MAX: Final = 2.0
"""How long a peer may take to read the last that was sent to it."""


class Hold(IntFlag):
    """Why nothing is read from a connection."""

    NOTHING = 0
    IN_FLIGHT = 1
    UNREAD = 2


class ConnectionOwner(Protocol):
    """Who is told what happens on a connection. Nothing here may raise: a connection is shared by many payments."""

    def connection_opened(self, connection: "Connection") -> None:
        """It is there."""
        ...

    def message_received(self, connection: "Connection", message: Message) -> None:
        """A message came."""
        ...

    def message_rejected(self, connection: "Connection", rejected: Rejected) -> None:
        """Something came that cannot be read."""
        ...

    def writing_changed(self, connection: "Connection", writable: bool) -> None:
        """The peer has left much unread, or has caught up."""
        ...

    def connection_closed(self, connection: "Connection", reason: str) -> None:
        """It is gone. Called once, and only after `connection_opened`."""
        ...


class Connection(asyncio.Protocol):
    """A connection that is framed, bounded and watched for silence."""

    def __init__(self, owner: ConnectionOwner, wire: Wire, counters: Counters, *, read_seconds: float) -> None:
        """`read_seconds` of silence, or of a message that does not become whole, end the connection."""
        self._owner = owner
        self._wire = wire
        self._reader = wire.reader()
        self._counters = counters
        self._read_seconds = read_seconds
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._gathered: list[bytes] = []
        self._backlog: deque[Received] = deque()
        self._holds = Hold.NOTHING
        self._partial_since: float | None = None
        self._held_at = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._reason = ""
        self._closing = False
        self.heard_at = 0.0
        self.peer = "?"
        self.subject = ""
        self.writable = True

    def send(self, message: Message) -> None:
        """Send a message, at the end of this turn of the event loop.

        Raises LinkDown when the connection is gone, MessageInvalid when the message cannot be written.
        """
        if self._transport is None or self._closing:
            raise LinkDown(f"the connection to {self.peer} is closed")
        gathered = self._gathered
        gathered.append(self._wire.encode(message))
        if len(gathered) == 1:
            self._loop.call_soon(self._flush)
        self._counters.tx += 1

    def close(self, reason: str = "closed") -> None:
        """Send what was given, then close. Nothing more is read."""
        if self._transport is None or self._closing:
            return
        self._flush()
        self._closing = True
        self._reason = self._reason or reason
        self._backlog.clear()
        self._transport.close()
        self._loop.call_later(CLOSE_SECONDS_MAX, self.abort, reason)

    def abort(self, reason: str) -> None:
        """Close at once; what was not sent is lost."""
        if self._transport is None:
            return
        self._closing = True
        self._reason = self._reason or reason
        self._backlog.clear()
        self._transport.abort()

    def hold(self, why: Hold) -> None:
        """Read nothing until it is released; what was read already waits."""
        if not self._holds and self._transport is not None:
            self._transport.pause_reading()
            self._held_at = self._loop.time()
        self._holds |= why

    def release(self, why: Hold) -> None:
        """Take up reading, unless something else holds it."""
        if not self._holds & why:
            return
        self._holds &= ~why
        if not self._holds and not self._closing and self._transport is not None:
            # not from here: who releases is in the midst of an answer
            self._loop.call_soon(self._resume)

    # asyncio.Protocol

    def connection_made(self, transport: Any) -> None:
        """The event loop has a connection."""
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        self.peer, self.subject = _name_peer(transport)
        now = self._loop.time()
        self.heard_at = now
        self._watch = self._loop.call_later(self._read_seconds, self._look)
        self._owner.connection_opened(self)

    def data_received(self, data: bytes) -> None:
        """The event loop has bytes."""
        self.heard_at = now = self._loop.time()
        reader = self._reader
        received = reader.feed(data)
        if not reader.mid_frame:
            self._partial_since = None
        elif received or self._partial_since is None:
            self._partial_since = now
        if received:
            if self._holds or self._backlog:
                # behind what waits already
                self._backlog.extend(received)
            else:
                self._deliver(received)
        if reader.broken is not None:
            self._counters.rejected += 1
            if not self._backlog:
                self.close(_broken(reader.broken))

    def eof_received(self) -> bool:
        """The peer sends no more: neither do we."""
        self._reason = self._reason or "the peer closed it"
        return False

    def pause_writing(self) -> None:
        """The peer does not read."""
        self.writable = False
        self._owner.writing_changed(self, False)

    def resume_writing(self) -> None:
        """The peer reads again."""
        self.writable = True
        self._owner.writing_changed(self, True)

    def connection_lost(self, exc: Exception | None) -> None:
        """The event loop has lost the connection."""
        self._closing = True
        self._transport = None
        self._gathered.clear()
        self._backlog.clear()
        if self._watch is not None:
            self._watch.cancel()
        reason = self._reason or (f"{type(exc).__name__}" if exc else "the peer closed it")
        self._owner.connection_closed(self, reason)

    def _deliver(self, received: Iterable[Received]) -> None:
        counters, owner = self._counters, self._owner
        for item in received:
            if self._holds:
                self._backlog.append(item)
            elif self._closing:
                return
            elif isinstance(item, Message):
                counters.rx += 1
                owner.message_received(self, item)
            elif isinstance(item, Rejected):
                counters.rx += 1
                counters.rejected += 1
                owner.message_rejected(self, item)

    def _resume(self) -> None:
        if self._holds or self._closing or self._transport is None:
            return
        waiting, self._backlog = self._backlog, deque()
        self._deliver(waiting)
        if self._holds or self._closing:
            return
        if self._reader.broken is not None:
            self.close(_broken(self._reader.broken))
        else:
            self._transport.resume_reading()

    def _flush(self) -> None:
        gathered = self._gathered
        if not gathered or self._transport is None:
            return
        self._gathered = []
        self._transport.write(gathered[0] if len(gathered) == 1 else b"".join(gathered))
        if not self.writable and self._transport.get_write_buffer_size() > WRITE_BYTES_MAX:
            self.abort("the peer does not read")

    def _look(self) -> None:
        """Whether the peer has fallen silent; a connection that we do not read from is not silent but stuck."""
        if self._transport is None:
            return
        since, reason = self.heard_at, "nothing was heard"
        if self._holds:
            since, reason = max(self._held_at, since), "nothing moved"
        elif self._partial_since is not None and self._partial_since < since:
            since, reason = self._partial_since, "a message did not become whole"
        left = since + self._read_seconds - self._loop.time()
        if left <= 0:
            self.abort(f"{reason} for {self._read_seconds:g} s")
        else:
            self._watch = self._loop.call_later(left, self._look)


def _broken(error: MessageInvalid) -> str:
    return f"its framing is broken ({error.fault})"


def _name_peer(transport: Any) -> tuple[str, str]:
    """Where a peer is, and the common name of its certificate, empty without one."""
    address = transport.get_extra_info("peername")
    where = f"{address[0]}:{address[1]}" if address else "?"
    certificate = transport.get_extra_info("peercert") or {}
    names = [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
    return where, names[0] if names else ""
