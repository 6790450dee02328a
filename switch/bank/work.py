"""A message on its way through the bank, and what is answered to it in the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from switch.bank.answers import Action
from switch.bank.decide import PinVerdict
from switch.bank.requests import Request
from switch.iso8583.message import Message


class Peer(Protocol):
    """The connection that a message came over (`switch.links.server.ServerConnection`)."""

    def send(self, message: Message) -> None:
        """Send an answer. Raises LinkDown and MessageInvalid."""
        ...

    def give_up(self) -> None:
        """No answer will be sent to one of the requests in flight."""
        ...


class Answer(NamedTuple):
    """The action code (DE 39), and what is said beside it."""

    action_code: str
    extra: Mapping[int, str] | None = None


@dataclass(slots=True)
class Asked:
    """A payment that the bank was asked for or told of. `offered_at` is a monotonic time in seconds."""

    peer: Peer
    message: Message
    request: Request
    offered_at: float
    pin: PinVerdict = PinVerdict.ABSENT


@dataclass(slots=True)
class FollowUp:
    """A completion or a reversal: it speaks of another message, `original_key`."""

    peer: Peer
    message: Message
    key: str
    original_key: str
    fingerprint: str
    offered_at: float


@dataclass(slots=True)
class BankCounters:
    """What the bank has done since it started."""

    answered: dict[str, int] = field(default_factory=dict)
    repeats: int = 0
    retries: int = 0
    unanswered: int = 0
    turned_away: int = 0
    stale: int = 0

    def count(self, action_code: str) -> None:
        """One answer more with this code."""
        self.answered[action_code] = self.answered.get(action_code, 0) + 1


DUPLICATE: Final = Answer(Action.DUPLICATE)
MALFUNCTION: Final = Answer(Action.MALFUNCTION)
