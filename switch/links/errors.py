"""What can go wrong between peers.

LinkError
├── LinkDown          the connection is gone, or its peer does not read
├── PeerAway          no link to the peer is up: nothing was sent
├── TooManyInFlight   too much waits for the peer already: nothing was sent
├── DuplicateInFlight a request with this key waits for its answer: nothing was sent
├── AnswerTimedOut    sent, and not answered in time: whether the peer acted on it is not known
│   └── AnswerLost    the same, known early: the link it was sent over is gone
└── AnswerInvalid     answered, but the answer cannot be believed (its MAC, its format)
"""

from postrail.domain.errors import PostrailError
from switch.iso8583.message import MessageInvalid


class LinkError(PostrailError):
    """Base of what goes wrong between peers. Texts hold no card data."""


class LinkDown(LinkError):
    """The connection is gone, or its peer does not read what is sent."""


class PeerAway(LinkError):
    """No link to the peer is up. Nothing was sent."""


class TooManyInFlight(LinkError):
    """As many requests as may be wait for the peer, or it does not read. Nothing was sent."""


class DuplicateInFlight(LinkError):
    """A request with the same key waits for its answer. Nothing was sent."""


class AnswerTimedOut(LinkError):
    """A request was sent and not answered in time. Whether the peer acted on it is not known."""


class AnswerLost(AnswerTimedOut):
    """The link that a request was sent over is gone. Whether the peer acted on it is not known."""


class AnswerInvalid(LinkError):
    """The answer to a request cannot be believed. `error` says why; its partial message must not be logged."""

    def __init__(self, error: MessageInvalid) -> None:
        super().__init__(f"the answer is invalid ({error.fault})")
        self.error = error
