"""PaymentAccepted to PaymentStandardised."""

from typing import Any

from postrail.bootstrap import build_standardise, once

_stage = once(build_standardise)


def handler(event: Any, context: object) -> Any:  # noqa: ARG001 - Lambda gives a context
    """Answer one invocation."""
    return _stage().handle(event)
