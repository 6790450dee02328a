"""PaymentRejected, PaymentReferred, DuplicateParked and AuthorizationReversed to the audit trail."""

from typing import Any

from postrail.bootstrap import build_record_outcome, once

_stage = once(build_record_outcome)


def handler(event: Any, context: object) -> Any:  # noqa: ARG001 - Lambda gives a context
    """Answer one invocation."""
    return _stage().handle(event)
