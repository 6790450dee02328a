"""PaymentRejected, PaymentReferred, DuplicateParked and AuthorizationReversed to the audit trail."""

from typing import Any

from postrail.bootstrap import build_record_outcome, invoke, once

_stage = once(build_record_outcome)


def handler(event: Any, context: object) -> Any:
    """Answer one invocation."""
    return invoke(_stage, event, context)
