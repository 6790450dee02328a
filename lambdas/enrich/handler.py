"""PaymentStandardised to PaymentEnriched or PaymentRejected."""

from typing import Any

from postrail.bootstrap import build_enrich, once

_stage = once(build_enrich)


def handler(event: Any, context: object) -> Any:  # noqa: ARG001 - Lambda gives a context
    """Answer one invocation."""
    return _stage().handle(event)
