"""PostingRequested to the ledger, and on to PaymentPosted or PaymentPostingFailed."""

from typing import Any

from postrail.bootstrap import build_post, once

_stage = once(build_post)


def handler(event: Any, context: object) -> Any:  # noqa: ARG001 - Lambda gives a context
    """Answer one invocation."""
    return _stage().handle(event)
