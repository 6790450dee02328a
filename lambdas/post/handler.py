"""PostingRequested to the ledger, and on to PaymentPosted or PaymentPostingFailed."""

from typing import Any

from postrail.bootstrap import build_post, invoke, once

_stage = once(build_post)


def handler(event: Any, context: object) -> Any:
    """Answer one invocation."""
    return invoke(_stage, event, context)
