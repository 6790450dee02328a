"""The life of a link, as its initiator sees it, without input or output: messages and instants in, messages out.

    down -> signing_on -> up <-> echoing -> signing_off -> down
                          up <-> signed_off                         (the peer took itself out of service)

From every state it falls `down` when the peer is silent for too long; `failure` then says why. Whoever drives it sends
what its methods return, calls `tick` at `next_tick`, and closes the connection when the state is `down`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from switch.iso8583.message import Message
from switch.links.management import ACCEPTED, ECHO, SIGN_OFF, SIGN_ON, answer_management

_APPROVED: Final = (ACCEPTED, "000")
"""Some peers answer network management with the code of an approval."""


class LinkState(StrEnum):
    """Where a link is in its life."""

    DOWN = "down"
    SIGNING_ON = "signing_on"
    UP = "up"
    ECHOING = "echoing"
    SIGNED_OFF = "signed_off"
    SIGNING_OFF = "signing_off"


@dataclass(frozen=True, slots=True)
class LinkTiming:
    """Seconds: of idleness before an echo, of silence before a link is dead, and for an answer to a sign-on."""

    echo_seconds: float
    read_seconds: float
    sign_on_seconds: float


class Composer(Protocol):
    """Builds network management requests."""

    def compose(self, function_code: str) -> Message:
        """An 1804 with a trace number of its own."""
        ...


class LinkLife:
    """The state machine. Instants are seconds of any clock that only goes forward."""

    def __init__(self, timing: LinkTiming, composer: Composer, *, sign_on: bool = True) -> None:
        """`sign_on` false: for terminals, which networks do not ask to sign on."""
        self._timing = timing
        self._composer = composer
        self._signs_on = sign_on
        self._awaited: dict[str, str] = {}
        self._heard_at = 0.0
        self._asked_at = 0.0
        self._echoed_at = 0.0
        self.state = LinkState.DOWN
        self.failure = ""

    @property
    def up(self) -> bool:
        """Whether requests may be sent over it."""
        return self.state is LinkState.UP or self.state is LinkState.ECHOING

    def connected(self, now: float) -> list[Message]:
        """The connection is there."""
        self._awaited.clear()
        self._heard_at = self._echoed_at = now
        self.failure = ""
        if not self._signs_on:
            self.state = LinkState.UP
            return []
        self.state = LinkState.SIGNING_ON
        return [self._ask(SIGN_ON, now)]

    def heard(self, now: float) -> None:
        """Something came from the peer, whatever it is."""
        self._heard_at = now

    def answered(self, answer: Message) -> bool:
        """An 1814 came. False when nothing of ours waits for it."""
        function = self._awaited.pop(answer.get(11), None)
        if function is None:
            return False
        if function == ECHO:
            # An answer is a sign of life, whatever it says.
            if self.state is LinkState.ECHOING:
                self.state = LinkState.UP
        elif function == SIGN_OFF:
            self._fall("signed off")
        elif self.state is LinkState.SIGNING_ON:
            if answer.get(39) in _APPROVED:
                self.state = LinkState.UP
            else:
                self._fall(f"the peer refused the sign-on with {answer.get(39) or 'no action code'}")
        return True

    def asked(self, request: Message) -> Message | None:
        """An 1804 came from the peer: its answer, or None when it is not the link's to answer (a key change, say)."""
        function = request.get(24)
        if function == SIGN_OFF and self.up:
            self.state = LinkState.SIGNED_OFF
        elif function == SIGN_ON and self.state is LinkState.SIGNED_OFF:
            self.state = LinkState.UP
        elif function not in {SIGN_OFF, SIGN_ON, ECHO}:
            return None
        return answer_management(request)

    def sign_off(self, now: float) -> list[Message]:
        """Leave in good order."""
        if not self._signs_on or self.state in {LinkState.DOWN, LinkState.SIGNING_ON}:
            self._fall("signed off")
            return []
        self.state = LinkState.SIGNING_OFF
        return [self._ask(SIGN_OFF, now)]

    def unreachable(self, reason: str) -> None:
        """No connection could be made."""
        self._fall(reason)

    def lost(self, reason: str) -> None:
        """The connection is gone."""
        if self.state is not LinkState.DOWN:
            self._fall(reason)

    def next_tick(self) -> float:
        """When `tick` is due."""
        if self.state in {LinkState.SIGNING_ON, LinkState.SIGNING_OFF}:
            return self._asked_at + self._timing.sign_on_seconds
        dead_at = self._heard_at + self._timing.read_seconds
        idle_since = max(self._heard_at, self._echoed_at)
        return min(idle_since + self._timing.echo_seconds, dead_at)

    def tick(self, now: float) -> list[Message]:
        """Time has passed."""
        if self.state is LinkState.DOWN:
            return []
        if self.state in {LinkState.SIGNING_ON, LinkState.SIGNING_OFF}:
            if now >= self.next_tick():
                asked = "sign-on" if self.state is LinkState.SIGNING_ON else "sign-off"
                self._fall(f"no answer to the {asked} in {self._timing.sign_on_seconds:g} s")
            return []
        if now - self._heard_at >= self._timing.read_seconds:
            self._fall(f"nothing was heard for {self._timing.read_seconds:g} s")
            return []
        if self.state is LinkState.ECHOING and self._heard_at > self._echoed_at:
            self.state = LinkState.UP
        if now < self.next_tick():
            return []
        if self.state is LinkState.UP:
            self.state = LinkState.ECHOING
        self._echoed_at = now
        return [self._ask(ECHO, now)]

    def _ask(self, function: str, now: float) -> Message:
        # One request of a kind is awaited at a time: an older one is given up.
        self._awaited = {stan: kind for stan, kind in self._awaited.items() if kind != function}
        request = self._composer.compose(function)
        self._awaited[request[11]] = function
        self._asked_at = now
        return request

    def _fall(self, reason: str) -> None:
        self.state = LinkState.DOWN
        self.failure = reason
