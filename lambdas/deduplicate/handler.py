"""Takes a payment in once: PaymentAuthorized, or a row of the authorizations table, to PaymentAccepted."""

from typing import Any

from postrail.bootstrap import build_deduplicate, once

_stage = once(build_deduplicate)


def handler(event: Any, context: object) -> Any:  # noqa: ARG001 - Lambda gives a context
    """Answer one invocation."""
    return _stage().handle(event)
