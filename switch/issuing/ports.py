"""What issuing, and those who work with card numbers, ask of the world."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from postrail.contracts.payment import AccountDetails
from switch.issuing.contracts import CreateCard, CreateCustomerAccount, CustomerAccountCreated, NetworkCard


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


class CardNetworks(Protocol):
    """The networks, as a bank asks them to produce its cards. Each call may be repeated: it is done once."""

    def create_customer_account(self, bank_id: str, request: CreateCustomerAccount) -> CustomerAccountCreated:
        """Make a customer known. Raises IssuingRefused and Retryable."""
        ...

    def create_card(self, bank_id: str, request: CreateCard) -> NetworkCard:
        """Have a card produced and its payments routed. Raises IssuingRefused and Retryable."""
        ...

    def block_card(self, bank_id: str, card_token: str) -> NetworkCard:
        """Have no payment of a card routed any more. Raises IssuingRefused(CARD_NOT_FOUND) and Retryable."""
        ...


class CardReference(Protocol):
    """Where the pipeline finds the account of a card."""

    def put(self, card_token: str, account: AccountDetails) -> None:
        """Tell it; again is fine. Raises Retryable."""
        ...


class CardNotice(NamedTuple):
    """What a customer is told: a card is finished."""

    card_token: str
    customer_id: str
    bank_id: str
    network_id: str
    last_four: str
    expiry: str


class CustomerNotices(Protocol):
    """How customers are told."""

    def publish(self, notices: Sequence[CardNotice]) -> set[str]:
        """Send up to ten; returns the tokens of those that were taken. Raises Retryable when none was."""
        ...
