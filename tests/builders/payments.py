"""Makes payments for tests: one function per contract, each a valid default with fields to override.

The payment: a chip purchase of 25.50 EUR in Paris with a card of a GBP account, billed at 0.86.

`make_*` functions return validated models. Hypothesis strategies of the same things stand in
`tests.builders.strategies`.
"""

from datetime import UTC, datetime
from typing import Any

from postrail.contracts.events import (
    PaymentAccepted,
    PaymentApproved,
    PaymentEnriched,
    PaymentReferred,
    PaymentRejected,
    PaymentStandardised,
)
from postrail.contracts.payment import (
    AccountDetails,
    Authorization,
    Billing,
    Card,
    Decision,
    Enrichment,
    EntryMode,
    Merchant,
    MerchantDetails,
    RuleHit,
    RuleOutcome,
)
from postrail.domain.errors import ReasonCode
from postrail.domain.money import Rounding
from postrail.iso20022.advice import build_advice, complete_advice
from postrail.stages.deduplicate import fingerprint_of, payment_key_of

PAYMENT_ID = "pay_0197f0a0c0de7abc8def0123456789ab"
CARD_TOKEN = "9999990000000001"  # fails Luhn, as every token does
TRANSMITTED_AT = datetime(2026, 10, 1, 9, 15, 30, tzinfo=UTC)
AUTHORIZED_AT = datetime(2026, 10, 1, 9, 15, 31, 250_000, tzinfo=UTC)


def make_card(**overrides: Any) -> Card:
    """A British card, known by its token."""
    return Card(
        **{"token": CARD_TOKEN, "expiry": "2028-12", "sequence_number": "01", "issuer_country": "GB"} | overrides
    )


def make_merchant(**overrides: Any) -> Merchant:
    """A fast-food restaurant in Paris, its name as on the wire."""
    fields: dict[str, Any] = {
        "acceptor_id": "MERCH0000000001",
        "name": "CAFE CENTRAL",
        "city": "PARIS",
        "country": "FR",
        "mcc": "5814",
    }
    return Merchant(**fields | overrides)


def make_authorization(**overrides: Any) -> Authorization:
    """An approved chip purchase of 25.50 EUR. `card` and `merchant` may be dicts of overrides or models."""
    card, merchant = overrides.pop("card", {}), overrides.pop("merchant", {})
    fields: dict[str, Any] = {
        "payment_id": PAYMENT_ID,
        "message_type": "1100",
        "transaction_type": "00",
        "acquirer_id": "12345678901",
        "stan": "000123",
        "rrn": "627409000123",
        "terminal_id": "TERM0001",
        "transmission_at": TRANSMITTED_AT,
        "authorized_at": AUTHORIZED_AT,
        "card": make_card(**card) if isinstance(card, dict) else card,
        "amount_minor": 2550,
        "currency": "EUR",
        "action_code": "000",
        "approval_code": "A1B2C3",
        "entry_mode": EntryMode.CHIP,
        "merchant": make_merchant(**merchant) if isinstance(merchant, dict) else merchant,
    }
    return Authorization(**fields | overrides)


def make_account_details(**overrides: Any) -> AccountDetails:
    """An open British debit account in GBP."""
    fields: dict[str, Any] = {
        "account_id": "customer:000001:gbp",
        "iban": "GB33BUKB20201555555555",
        "sort_code": "202015",
        "branch": "London Holborn",
        "holder_name": "Ada Okafor",
        "product": "debit-standard",
        "currency": "GBP",
        "status": "open",
        "country": "GB",
    }
    return AccountDetails(**fields | overrides)


def make_billing(**overrides: Any) -> Billing:
    """25.50 EUR at 0.86: 21.93 GBP."""
    fields: dict[str, Any] = {
        "amount_minor": 2193,
        "currency": "GBP",
        "rate": "0.8600",
        "rate_date": "2026-10-01",
        "rate_source": "issuer-daily",
        "rounding": Rounding.HALF_EVEN,
    }
    return Billing(**fields | overrides)


def make_enrichment(**overrides: Any) -> Enrichment:
    """What the issuer knows of the default payment."""
    fields: dict[str, Any] = {
        "account": make_account_details(),
        "merchant": MerchantDetails(name="Cafe Central", category="Fast food"),
        "billing": make_billing(),
        "description": "Cafe Central, Paris (FR) 25.50 EUR @ 0.8600",
    }
    return Enrichment(**fields | overrides)


def make_decision(**overrides: Any) -> Decision:
    """An approval with one warning."""
    fields: dict[str, Any] = {
        "rule_set": "issuer-default",
        "version": "1",
        "outcome": RuleOutcome.APPROVE,
        "matched": (RuleHit(rule_id="foreign-transaction", outcome=RuleOutcome.WARN, reason="abroad"),),
        "inputs": {"amount_minor": 2550, "currency": "EUR", "foreign": True},
        "decided_at": AUTHORIZED_AT,
    }
    return Decision(**fields | overrides)


def make_accepted(authorization: Authorization | None = None, **overrides: Any) -> PaymentAccepted:
    """First sight of a payment."""
    authorization = authorization or make_authorization()
    fields: dict[str, Any] = {
        "authorization": authorization,
        "payment_key": payment_key_of(authorization),
        "fingerprint": fingerprint_of(authorization),
    }
    return PaymentAccepted(**fields | overrides)


def make_standardised(authorization: Authorization | None = None, **overrides: Any) -> PaymentStandardised:
    """The payment with its ISO 20022 advice."""
    accepted = make_accepted(authorization)
    return PaymentStandardised(**_fields(accepted) | {"message": build_advice(accepted.authorization)} | overrides)


def make_enriched(
    authorization: Authorization | None = None, enrichment: Enrichment | None = None, **overrides: Any
) -> PaymentEnriched:
    """The payment with account, merchant and billing, its message completed."""
    standardised = make_standardised(authorization)
    enrichment = enrichment or make_enrichment()
    message = complete_advice(standardised.message, standardised.authorization, enrichment)
    return PaymentEnriched(**_fields(standardised) | {"message": message, "enrichment": enrichment} | overrides)


def make_approved(
    authorization: Authorization | None = None,
    enrichment: Enrichment | None = None,
    decision: Decision | None = None,
    **overrides: Any,
) -> PaymentApproved:
    """The payment after the rules let it through."""
    enriched = make_enriched(authorization, enrichment)
    return PaymentApproved(**_fields(enriched) | {"decision": decision or make_decision()} | overrides)


def make_referred(
    authorization: Authorization | None = None, enrichment: Enrichment | None = None, **overrides: Any
) -> PaymentReferred:
    """The payment that a person must look at."""
    enriched = make_enriched(authorization, enrichment)
    decision = make_decision(outcome=RuleOutcome.REFER)
    return PaymentReferred(**_fields(enriched) | {"decision": decision} | overrides)


def make_rejected(authorization: Authorization | None = None, **overrides: Any) -> PaymentRejected:
    """A payment whose card belongs to no account."""
    accepted = make_accepted(authorization)
    fields: dict[str, Any] = {
        "authorization": accepted.authorization,
        "payment_key": accepted.payment_key,
        "stage": "enrich",
        "reason_code": ReasonCode.UNKNOWN_ACCOUNT,
        "reason": "no account belongs to this card token",
    }
    return PaymentRejected(**fields | overrides)


def _fields(model: PaymentAccepted) -> dict[str, Any]:
    return {name: getattr(model, name) for name in type(model).model_fields}
