"""What issuing, and those who work with card numbers, ask of the world."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class PanLookup(Protocol):
    """Turns a card number into what it is found by: no clear number is ever stored or compared."""

    def lookup(self, pan: str) -> bytes:
        """HMAC-SHA-256 of the digits under the vault's lookup key: 32 bytes, the same for ever."""
        ...


class IssuedCard(NamedTuple):
    """A card number and the token that stands for it everywhere else."""

    card_token: str
    pan: str
    expiry: str

    def __repr__(self) -> str:
        """The token alone: what is printed must not hold the number."""
        return f"IssuedCard(card_token={self.card_token!r})"


class CardVault(Protocol):
    """The only place that can turn a token back into a card number."""

    def keep(self, cards: Sequence[IssuedCard]) -> None:
        """Keep each card, encrypted. Keeping one again changes nothing; a token with another number is refused."""
        ...

    def reveal(self, card_token: str) -> IssuedCard | None:
        """The card of a token, None when there is none. Every call is recorded by who runs the vault."""
        ...
