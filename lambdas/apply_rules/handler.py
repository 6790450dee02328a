"""PaymentEnriched to PaymentApproved, PaymentRejected or PaymentReferred, for the state machine to send."""

from typing import Any

from postrail.bootstrap import build_apply_rules, invoke, once

_stage = once(build_apply_rules)


def handler(event: Any, context: object) -> Any:
    """Answer one invocation."""
    return invoke(_stage, event, context)
