"""PaymentEnriched to PaymentApproved, PaymentRejected or PaymentReferred, for the state machine to send."""

from typing import Any

from postrail.bootstrap import build_apply_rules, once

_stage = once(build_apply_rules)


def handler(event: Any, context: object) -> Any:  # noqa: ARG001 - Lambda gives a context
    """Answer one invocation."""
    return _stage().handle(event)
