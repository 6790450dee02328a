"""apply_rules: decides for each enriched payment whether it is posted, refused, or looked at by a person."""

from collections.abc import Sequence
from typing import Final

from postrail.contracts.base import trusted
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
        CardUse(one.card.token, one.payment_id, one.authorized_at)
        for one in [payment.authorization for payment in payments]
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
    # Both add the decision to a payment that was validated when it came in: nothing is left to validate.
    fields = {**vars(payment), "decision": decision}
    return trusted(PaymentReferred if decision.outcome is RuleOutcome.REFER else PaymentApproved, fields)
