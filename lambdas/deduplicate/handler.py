"""Takes a payment in once: PaymentAuthorized, or a row of the authorizations table, to PaymentAccepted."""

from typing import Any

from postrail.bootstrap import build_deduplicate, invoke, once

_stage = once(build_deduplicate)


def handler(event: Any, context: object) -> Any:
    """Answer one invocation."""
    return invoke(_stage, event, context)
