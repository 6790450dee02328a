"""The posting input as one JSON object: for banks whose core takes structured input."""

from typing import Final

import orjson

from postrail.contracts.events import PaymentApproved
from postrail.contracts.payment import Authorization
from postrail.domain.money import Money
from postrail.domain.posting import Leg, Posting

FORMAT_ID: Final = "postrail-posting-input/1"
"""Names the layout; another layout gets another number."""


class JsonPostingInput:
    """Builds the JSON posting input: UTF-8, one line, keys in a fixed order, amounts exact."""

    name = "json"

    def build(self, posting: Posting, booking: PaymentApproved) -> bytes:
        """The posting input of one payment. Each amount stands in minor units and as decimal text, never a float."""
        authorization, enrichment = booking.authorization, booking.enrichment
        account, billing = enrichment.account, enrichment.billing
        return orjson.dumps(
            {
                "format": FORMAT_ID,
                "transaction_id": posting.transaction_id,
                "sequence_id": posting.sequence_id,
                "payment_id": posting.payment_id,
                "payment_key": posting.payment_key,
                "occurred_at": _instant(authorization),
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
                "amount": _amount(Money(authorization.amount_minor, authorization.currency)),
                "billed": _amount(Money(billing.amount_minor, billing.currency)),
                "rate": billing.rate,
                "merchant": {
                    "acceptor_id": authorization.merchant.acceptor_id,
                    "name": enrichment.merchant.name,
                    "category": authorization.merchant.mcc,
                    "country": authorization.merchant.country,
                },
                "acquirer_id": authorization.acquirer_id,
                "stan": authorization.stan,
                "rrn": authorization.rrn,
                "approval_code": authorization.approval_code,
                "rules": {"rule_set": booking.decision.rule_set, "version": booking.decision.version},
                "legs": [_leg(leg) for leg in posting.legs],
            }
        )


def _instant(authorization: Authorization) -> str:
    return authorization.authorized_at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _amount(money: Money) -> dict[str, int | str]:
    return {"minor": money.amount_minor, "currency": money.currency, "decimal": format(money.to_decimal(), "f")}


def _leg(leg: Leg) -> dict[str, int | str]:
    return {
        "account_id": leg.account_id,
        "direction": leg.direction.value,
        **_amount(Money(leg.amount_minor, leg.currency)),
    }
