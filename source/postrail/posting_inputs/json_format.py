"""The posting input as one JSON object: for banks whose core takes structured input."""

from typing import Final

import orjson

from postrail.contracts.events import PaymentApproved
from postrail.domain.instants import format_instant
from postrail.domain.money import decimal_text
from postrail.domain.posting import Leg, Posting

FORMAT_ID: Final = "postrail-posting-input/1"
"""Names the layout; another layout gets another number."""


class JsonPostingInput:
    """Builds the JSON posting input: UTF-8, one line, keys in a fixed order, amounts exact."""

    name = "json"

    def build(self, posting: Posting, booking: PaymentApproved) -> bytes:
        """The posting input of one payment. Each amount stands in minor units and as decimal text, never a float."""
        authorization, enrichment = booking.authorization, booking.enrichment
        account, billing, merchant = enrichment.account, enrichment.billing, authorization.merchant
        return orjson.dumps(
            {
                "format": FORMAT_ID,
                "transaction_id": posting.transaction_id,
                "sequence_id": posting.sequence_id,
                "payment_id": posting.payment_id,
                "payment_key": posting.payment_key,
                "occurred_at": format_instant(authorization.authorized_at, microseconds=True),
                "description": posting.description,
                "account": {
                    "account_id": account.account_id,
                    "iban": account.iban,
                    "sort_code": account.sort_code,
                    "branch": account.branch,
                    "holder_name": account.holder_name,
                    "product": account.product,
                },
                "card_token": authorization.card.token,
                "transaction_type": authorization.transaction_type,
                "amount": _amount(authorization.amount_minor, authorization.currency),
                "billed": _amount(billing.amount_minor, billing.currency),
                "rate": billing.rate,
                "merchant": {
                    "acceptor_id": merchant.acceptor_id,
                    "name": enrichment.merchant.name,
                    "category": merchant.mcc,
                    "country": merchant.country,
                },
                "acquirer_id": authorization.acquirer_id,
                "stan": authorization.stan,
                "rrn": authorization.rrn,
                "approval_code": authorization.approval_code,
                "rules": {"rule_set": booking.decision.rule_set, "version": booking.decision.version},
                "legs": [_leg(leg) for leg in posting.legs],
            }
        )


def _amount(amount_minor: int, currency: str) -> dict[str, int | str]:
    return {"minor": amount_minor, "currency": currency, "decimal": decimal_text(amount_minor, currency)}


def _leg(leg: Leg) -> dict[str, int | str]:
    account_id, direction, amount_minor, currency = leg
    return {
        "account_id": account_id,
        "direction": str(direction),
        "minor": amount_minor,
        "currency": currency,
        "decimal": decimal_text(amount_minor, currency),
    }
