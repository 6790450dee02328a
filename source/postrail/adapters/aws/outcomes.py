"""From the events that end a payment's road outside the ledger to the rows of the audit trail."""

from typing import Any

from postrail.contracts.events import Delivered, DuplicateParked, PaymentRejected
from postrail.domain.errors import ReasonCode
from postrail.ports import RecordedOutcome
from postrail.stages.follow_up import encode_event


def outcome_of(delivered: Delivered[Any]) -> RecordedOutcome:
    """The outcome that a PaymentRejected, PaymentReferred or DuplicateParked tells of."""
    metadata, data = delivered.detail.metadata, delivered.detail.data
    reason = data.reason_code if isinstance(data, PaymentRejected | DuplicateParked) else ReasonCode.RULE_REFERRED
    return RecordedOutcome(
        payment_id=metadata.payment_id,
        correlation_id=metadata.correlation_id,
        detail_type=delivered.detail_type,
        event_id=metadata.event_id,
        occurred_at=metadata.occurred_at,
        reason_code=reason.value,
        event=encode_event(delivered.detail),
    )
