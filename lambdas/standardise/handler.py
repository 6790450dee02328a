"""PaymentAccepted to PaymentStandardised."""

from typing import Any

from postrail.bootstrap import build_standardise, invoke, once

_stage = once(build_standardise)


def handler(event: Any, context: object) -> Any:
    """Answer one invocation."""
    return invoke(_stage, event, context)
