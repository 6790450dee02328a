"""apply_rules: decides for each enriched payment whether it is posted, refused, or looked at by a person."""

from collections.abc import Sequence
from typing import Any, Final

from postrail.contracts.events import PaymentApproved, PaymentEnriched, PaymentReferred, PaymentRejected
from postrail.contracts.payment import Decision, RuleOutcome
from postrail.domain.errors import ReasonCode
from postrail.ports import CardUse, Clock, VelocityBook
from postrail.rules import RuleSet, decide, rule_inputs
from postrail.rules.decisions import deciding_reason

STAGE: Final = "apply_rules"
"""Name of this stage in the events that it refuses with."""


def apply_rules(
    payments: Sequence[PaymentEnriched], *, rules: RuleSet, velocity: VelocityBook, clock: Clock
) -> list[PaymentApproved | PaymentRejected | PaymentReferred]:
    """Decide on each payment; outcomes align with payments and carry the decision.

    One call to `velocity` for the batch. The card's hour is that of the authorization, so a payment that is late,
    or comes again, counts in the hour in which it was made. Raises what `velocity` raises (Retryable).
    """
    uses = [
        CardUse(
            card_token=payment.authorization.card.token,
            payment_id=payment.authorization.payment_id,
            at=payment.authorization.authorized_at,
        )
        for payment in payments
    ]
    counts = velocity.observe(uses) if uses else []
    decided_at = clock.now()
    return [
        _outcome(payment, decide(rules, rule_inputs(payment, velocity_hour=count), decided_at=decided_at))
        for payment, count in zip(payments, counts, strict=True)
    ]


def _outcome(payment: PaymentEnriched, decision: Decision) -> PaymentApproved | PaymentRejected | PaymentReferred:
    if decision.outcome is RuleOutcome.REJECT:
        return PaymentRejected(
            authorization=payment.authorization,
            payment_key=payment.payment_key,
            stage=STAGE,
            reason_code=ReasonCode.RULE_REJECTED,
            reason=deciding_reason(decision),
            decision=decision,
        )
    fields = _fields(payment)
    # Both add the decision to a payment that was validated when it came in: nothing is left to validate.
    if decision.outcome is RuleOutcome.REFER:
        return PaymentReferred.model_construct(**fields, decision=decision)
    return PaymentApproved.model_construct(**fields, decision=decision)


def _fields(payment: PaymentEnriched) -> dict[str, Any]:
    return {name: getattr(payment, name) for name in PaymentEnriched.model_fields}
