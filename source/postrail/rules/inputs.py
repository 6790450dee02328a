"""What conditions can see of a payment: a flat set of named texts, integers and booleans. No floats.

The set is part of every decision, so that a decision can be run again without the payment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Final

from postrail.contracts.events import PaymentEnriched
from postrail.domain.instants import month_of

InputValue = str | int | bool | None
"""One value that a condition sees."""
Inputs = Mapping[str, InputValue]
"""All values of one payment by name."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The type of one input, whether it can be null, and what it means."""

    type: type[str] | type[int] | type[bool]
    meaning: str
    nullable: bool = False

    def kinds(self) -> tuple[object, ...]:
        """The types that a value of this input can have."""
        return (self.type, NoneType) if self.nullable else (self.type,)

    def accepts(self, value: InputValue) -> bool:
        """Whether `value` has this input's type; a boolean is no integer."""
        return self.nullable if value is None else type(value) is self.type


INPUTS: Final[dict[str, InputSpec]] = {
    "payment_id": InputSpec(str, "the payment"),
    "transaction_type": InputSpec(str, "DE 3 positions 1-2: 00 purchase, 01 cash, 09 cashback, 20 refund"),
    "amount_minor": InputSpec(int, "amount in minor units of `currency`"),
    "currency": InputSpec(str, "transaction currency, alpha-3"),
    "billing_minor": InputSpec(int, "amount in minor units of `billing_currency`"),
    "billing_currency": InputSpec(str, "the account's currency, alpha-3"),
    "converted": InputSpec(bool, "whether the amount was converted into the account's currency"),
    "issuer_country": InputSpec(str, "country of the issuer as on the wire (DE 20), alpha-2", nullable=True),
    "merchant_country": InputSpec(str, "country of the acceptor, alpha-2"),
    "account_country": InputSpec(str, "country of the account, alpha-2"),
    "foreign": InputSpec(bool, "whether the acceptor is outside the account's country"),
    "acceptor_id": InputSpec(str, "the acceptor (DE 42)"),
    "merchant_name": InputSpec(str, "the acceptor's cleaned name"),
    "mcc": InputSpec(str, "merchant category, four digits (ISO 18245)"),
    "entry_mode": InputSpec(str, "chip, contactless, magnetic_stripe, manual, ecommerce or credential_on_file"),
    "account_status": InputSpec(str, "open, frozen or closed"),
    "product": InputSpec(str, "product of the account, e.g. debit-standard"),
    "card_expiry": InputSpec(str, "last month of the card's validity, YYYY-MM"),
    "authorized_month": InputSpec(str, "month of the authorization, YYYY-MM, UTC"),
    "velocity_hour": InputSpec(int, "payments of this card in the clock hour of this one, this one included"),
}
"""Every input that a condition can name."""


def rule_inputs(payment: PaymentEnriched, *, velocity_hour: int) -> dict[str, InputValue]:
    """The inputs of one enriched payment. `velocity_hour` counts this payment too."""
    authorization, enrichment = payment.authorization, payment.enrichment
    account, billing, merchant = enrichment.account, enrichment.billing, authorization.merchant
    currency, billing_currency = authorization.currency, billing.currency
    merchant_country, account_country = merchant.country, account.country
    card = authorization.card
    return {
        "payment_id": authorization.payment_id,
        "transaction_type": authorization.transaction_type,
        "amount_minor": authorization.amount_minor,
        "currency": currency,
        "billing_minor": billing.amount_minor,
        "billing_currency": billing_currency,
        "converted": currency != billing_currency,
        "issuer_country": card.issuer_country,
        "merchant_country": merchant_country,
        "account_country": account_country,
        "foreign": merchant_country != account_country,
        "acceptor_id": merchant.acceptor_id,
        "merchant_name": enrichment.merchant.name,
        "mcc": merchant.mcc,
        "entry_mode": str(authorization.entry_mode),
        "account_status": account.status,
        "product": account.product,
        "card_expiry": card.expiry,
        "authorized_month": month_of(authorization.authorized_at),
        "velocity_hour": velocity_hour,
    }


def input_problem(name: str, value: InputValue) -> str | None:
    """Why `value` cannot be the input `name`, in one sentence; None when it can."""
    spec = INPUTS.get(name)
    if spec is None:
        return f"there is no input {name!r}"
    if spec.accepts(value):
        return None
    return f"the input {name} is {spec.type.__name__}{' or null' if spec.nullable else ''}, not {value!r}"
