"""The parts that payment events are made of: authorization, enrichment, decision, legs."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from postrail.contracts.base import (
    AccountId,
    AmountMinor,
    CardToken,
    Contract,
    CountryCode,
    CurrencyCode,
    DecimalText,
    Id,
    Instant,
    Text,
    YearMonth,
)
from postrail.domain.money import Rounding
from postrail.domain.posting import Direction, PartKind


class EntryMode(StrEnum):
    """How the card's data were read (ISO 8583:1993 DE 22, position 7)."""

    CHIP = "chip"
    CONTACTLESS = "contactless"
    MAGNETIC_STRIPE = "magnetic_stripe"
    MANUAL = "manual"
    ECOMMERCE = "ecommerce"
    CREDENTIAL_ON_FILE = "credential_on_file"


class Card(Contract):
    """The card, known by its token only."""

    token: CardToken = Field(description="numeric, 13 to 19 digits, fails Luhn; never a clear card number (DE 2)")
    expiry: YearMonth = Field(description="last month of validity, YYYY-MM (DE 14)")
    sequence_number: Annotated[str, Field(pattern=r"^[0-9]{2,3}$")] | None = Field(
        default=None, description="card sequence number (DE 23)"
    )
    issuer_country: CountryCode | None = Field(default=None, description="country of the issuer (DE 20)")


class Merchant(Contract):
    """The card acceptor."""

    acceptor_id: Annotated[str, Field(min_length=1, max_length=15)] = Field(description="DE 42, without padding")
    name: Annotated[str, Field(min_length=1, max_length=60)] = Field(description="as on the wire (DE 43)")
    city: Annotated[str, Field(min_length=1, max_length=35)] | None = None
    country: CountryCode
    mcc: Annotated[str, Field(pattern=r"^[0-9]{4}$")] = Field(description="merchant category, ISO 18245 (DE 26)")


class Authorization(Contract):
    """An approved authorization in neutral terms; ISO 8583:1993 data elements in the descriptions."""

    payment_id: Id = Field(description="made by the producer: pay_ and a UUIDv7 in hex")
    idempotency_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{8,64}$")] | None = Field(
        default=None, description="the caller's own key; takes the place of the acquirer's fields in deduplication"
    )
    message_type: Annotated[str, Field(pattern=r"^1[12][0-9]{2}$")] = Field(description="MTI, e.g. 1100")
    transaction_type: Annotated[str, Field(pattern=r"^[0-9]{2}$")] = Field(
        description="DE 3 positions 1-2: 00 purchase, 01 cash, 09 purchase with cashback, 20 refund"
    )
    acquirer_id: Annotated[str, Field(pattern=r"^[0-9]{1,11}$")] = Field(description="DE 32")
    stan: Annotated[str, Field(pattern=r"^[0-9]{6}$")] = Field(description="DE 11")
    rrn: Annotated[str, Field(pattern=r"^[A-Za-z0-9 ]{12}$")] = Field(description="DE 37")
    terminal_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,8}$")] = Field(description="DE 41, without padding")
    transmission_at: Instant = Field(description="DE 7 with its year, UTC")
    authorized_at: Instant = Field(description="when the issuer approved")
    card: Card
    amount_minor: AmountMinor = Field(description="minor units of `currency` (DE 4)")
    currency: CurrencyCode = Field(description="transaction currency, alpha-3 (DE 49)")
    action_code: Annotated[str, Field(pattern=r"^00[0-7]$")] = Field(description="approved: 000 to 007 (DE 39)")
    approval_code: Annotated[str, Field(pattern=r"^[A-Za-z0-9 ]{6}$")] = Field(description="DE 38")
    entry_mode: EntryMode
    merchant: Merchant
    hold_id: Id | None = Field(
        default=None, description="the hold that the issuer placed for it: the posting captures it, and ends it"
    )


class AccountDetails(Contract):
    """The customer account that a card draws on."""

    account_id: AccountId = Field(description="the ledger's account")
    iban: Annotated[str, Field(pattern=r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$")]
    sort_code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]
    branch: Text
    holder_name: Text
    product: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{2,31}$")]
    currency: CurrencyCode
    status: Annotated[str, Field(pattern=r"^(open|frozen|closed)$")]
    country: CountryCode


class MerchantDetails(Contract):
    """The acceptor as a customer should read it."""

    name: Text = Field(description="cleaned: no store numbers, no processor prefixes, title case")
    category: Text = Field(description="meaning of the MCC")


class Billing(Contract):
    """The amount in the account's currency, and how it came about."""

    amount_minor: AmountMinor
    currency: CurrencyCode
    rate: DecimalText | None = Field(default=None, description="account currency units for one transaction unit")
    rate_date: Annotated[str, Field(pattern=r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}$")] | None = None
    rate_source: Text | None = None
    rounding: Rounding | None = None


class Enrichment(Contract):
    """What the issuer knows and the network does not."""

    account: AccountDetails
    merchant: MerchantDetails
    billing: Billing
    description: Text = Field(description="the line on the customer's statement")


class RuleOutcome(StrEnum):
    """What a rule, and a whole rule set, can say. Warnings do not block."""

    APPROVE = "approve"
    WARN = "warn"
    REFER = "refer"
    REJECT = "reject"


class RuleHit(Contract):
    """One rule that matched."""

    rule_id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{2,63}$")]
    outcome: RuleOutcome
    reason: Text


class Decision(Contract):
    """A decision that can be explained and run again: version, matches, inputs."""

    rule_set: Text
    version: Text
    outcome: RuleOutcome = Field(description="approve, refer or reject")
    matched: tuple[RuleHit, ...] = ()
    inputs: dict[str, str | int | bool | None] = Field(description="what the conditions saw")
    decided_at: Instant


class LegData(Contract):
    """One side of a movement."""

    account_id: AccountId
    direction: Direction
    amount_minor: Annotated[int, Field(gt=0, lt=2**63)]
    currency: CurrencyCode


class PartData(Contract):
    """One part of a posting sequence: a balanced set of legs and why it exists."""

    kind: PartKind
    legs: Annotated[tuple[LegData, ...], Field(min_length=2, max_length=16)]
