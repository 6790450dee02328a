"""PaymentStandardised to PaymentEnriched or PaymentRejected."""

from typing import Any

from postrail.bootstrap import build_enrich, invoke, once

_stage = once(build_enrich)


def handler(event: Any, context: object) -> Any:
    """Answer one invocation."""
    return invoke(_stage, event, context)
