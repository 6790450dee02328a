"""From the events that tell of a payment outside the ledger to the rows of the audit trail."""

from typing import Any

from postrail.contracts.events import AuthorizationReversed, Delivered, DuplicateParked, PaymentRejected
from postrail.domain.errors import ReasonCode
from postrail.ports import RecordedOutcome
from postrail.stages.follow_up import encode_event


def outcome_of(delivered: Delivered[Any]) -> RecordedOutcome:
    """The outcome that a PaymentRejected, PaymentReferred, DuplicateParked or AuthorizationReversed tells of."""
    metadata = delivered.detail.metadata
    return RecordedOutcome(
        payment_id=metadata.payment_id,
        correlation_id=metadata.correlation_id,
        detail_type=delivered.detail_type,
        event_id=metadata.event_id,
        occurred_at=metadata.occurred_at,
        reason_code=_reason_of(delivered.detail.data),
        event=encode_event(delivered.detail),
    )


def _reason_of(data: Any) -> str:
    """Postrail's reason code; of a reversal, the one that came with its message (ISO 8583 DE 25)."""
    if isinstance(data, AuthorizationReversed):
        return data.message_reason
    reason = data.reason_code if isinstance(data, PaymentRejected | DuplicateParked) else ReasonCode.RULE_REFERRED
    return reason.value
