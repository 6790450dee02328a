"""One issuing bank as a network sees it: its links, what is stored for it, and whether it answers at all."""

from collections.abc import Callable
from typing import Final, Protocol

from switch.ecosystem import Bank
from switch.iso8583.message import Message
from switch.network.store_and_forward import IssuerLinks, StoreAndForward

SILENT_AFTER_COUNT: Final = 3
SILENT_SECONDS: Final = 30.0


class ConnectIssuer(Protocol):
    """Builds the links to a bank, not yet started."""

    def __call__(
        self, bank: Bank, *, on_late: Callable[[Message], None], on_state: Callable[[bool], None]
    ) -> IssuerLinks:
        """`on_late` gets answers after their time; `on_state` is told when the first link is up, or the last down."""
        ...


class Issuer:
    """A bank, its links and its queue."""

    def __init__(self, bank: Bank, links: IssuerLinks, stored: StoreAndForward, *, clock: Callable[[], float]) -> None:
        """`clock` is monotonic."""
        self.bank = bank
        self.links = links
        self.stored = stored
        self._clock = clock
        self._missed = 0
        self._missed_at = 0.0

    @property
    def is_silent(self) -> bool:
        """Whether it left the last few requests unanswered, lately: links that are up say little of a bank behind them.

        Payments that may be decided in its stead are then not sent to it for a while; others are, and find out.
        """
        return self._missed >= SILENT_AFTER_COUNT and self._clock() - self._missed_at < SILENT_SECONDS

    def answered(self) -> None:
        """It answered a request."""
        self._missed = 0

    def missed(self) -> None:
        """It did not answer in time."""
        self._missed += 1
        self._missed_at = self._clock()
