"""What goes over the API: requests and answers. The one source of the OpenAPI documents."""

from typing import Annotated

from pydantic import Field

from postrail.contracts.base import (
    AccountId,
    AmountMinor,
    CardToken,
    Contract,
    CountryCode,
    CurrencyCode,
    Id,
    Instant,
    Text,
    YearMonth,
)
from postrail.domain.money import AMOUNT_MINOR_MAX
from switch.ecosystem import Identifier, Service
from switch.issuing.lifecycle import BlockReason, CardStatus

LastFour = Annotated[str, Field(pattern=r"^[0-9]{4}$")]
Subject = Annotated[str, Field(min_length=1, max_length=128)]
ProductName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{2,31}$")]
LimitCount = Annotated[int, Field(gt=0, le=100_000)]
LimitMinor = Annotated[int, Field(ge=0, le=AMOUNT_MINOR_MAX)]


class CreateAccount(Contract):
    """Opens an account in the bank's currency. A customer opens his own; an operator opens anybody's."""

    name: Text = Field(description="the holder, as on statements; kept from the customer's first account on")
    product: ProductName = Field(default="debit-standard", description="one of config/products")
    subject: Subject | None = Field(
        default=None, description="operators only, and needed from them: the customer's `sub`"
    )
    opening_balance_minor: LimitMinor = Field(
        default=0, description="operators only: money that the account starts with, minor units"
    )
    overdraft_limit_minor: LimitMinor = Field(
        default=0, description="operators only: how far available money may go below zero, minor units"
    )


class AccountCreated(Contract):
    """The account."""

    account_id: AccountId
    customer_id: Id
    iban: str
    sort_code: str
    branch: Text
    holder_name: Text
    product: ProductName
    currency: CurrencyCode
    country: CountryCode
    status: str


class BalanceQuery(Contract):
    """Which account."""

    account_id: AccountId


class BalanceView(Contract):
    """Minor units of `currency`. `available = total - held`; `locked` is the part of held that disputes hold."""

    account_id: AccountId
    currency: CurrencyCode
    status: str
    total_minor: int
    held_minor: int
    locked_minor: int
    available_minor: int
    overdraft_limit_minor: int | None
    as_of: Instant


class CardLimits(Contract):
    """What the card may be used for at most, in minor units of the account's currency; null is no limit."""

    payment_limit_minor: AmountMinor | None = None
    day_limit_minor: AmountMinor | None = None
    day_limit_count: LimitCount | None = None
    hour_limit_count: LimitCount | None = None


class OrderCard(Contract):
    """Orders a card on an account."""

    account_id: AccountId
    network_id: Identifier | None = Field(default=None, description="default: the bank's first network")
    services: Annotated[tuple[Service, ...], Field(min_length=1, max_length=len(Service))] | None = Field(
        default=None, description="default: all that the bank's range offers"
    )
    limits: CardLimits = CardLimits()


class CardOrdered(Contract):
    """The card that was ordered."""

    card_token: CardToken
    last_four: LastFour
    expiry: YearMonth
    status: CardStatus
    account_id: AccountId
    network_id: Identifier
    pan: str | None = Field(
        default=None, description="the card number: shown once, to the scope card:number, never on a repetition"
    )


class CardQuery(Contract):
    """Which card."""

    card_token: CardToken


class CardView(Contract):
    """A card as its customer and bank see it."""

    card_token: CardToken
    last_four: LastFour
    expiry: YearMonth
    status: CardStatus
    status_reason: BlockReason | None
    account_id: AccountId
    network_id: Identifier | None
    product: ProductName
    services: tuple[Service, ...]
    limits: CardLimits
    ordered_at: Instant
    changed_at: Instant


class CardsQuery(Contract):
    """Which account's cards."""

    account_id: AccountId


class CardList(Contract):
    """An account's cards, newest first."""

    cards: tuple[CardView, ...]


class BlockCard(Contract):
    """Blocks a card for good."""

    card_token: CardToken
    reason: BlockReason


class CreateCustomerAccount(Contract):
    """Makes a bank's customer known to a network."""

    network_id: Identifier
    customer_id: Id
    subject: Subject
    name: Text


class CustomerAccountCreated(Contract):
    """The customer at the network."""

    network_id: Identifier
    customer_id: Id
    bank_id: Identifier


class CreateCard(Contract):
    """Asks a network to produce a card and to route its payments. The card number itself does not travel."""

    network_id: Identifier
    customer_id: Id
    card_token: CardToken
    pan_lookup: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="HMAC-SHA-256 of the number under the vault's lookup key, hex"
    )
    last_four: LastFour
    expiry: YearMonth
    services: Annotated[tuple[Service, ...], Field(min_length=1, max_length=len(Service))]


class NetworkCard(Contract):
    """The card at the network: in_production, ready, blocked or expired."""

    network_id: Identifier
    card_token: CardToken
    status: CardStatus


class BlockNetworkCard(Contract):
    """Keeps a network from routing and standing in for a card."""

    card_token: CardToken
