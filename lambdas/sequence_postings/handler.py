"""PaymentApproved to PostingRequested, 1 to n of n."""

from typing import Any

from postrail.bootstrap import build_sequence_postings, invoke, once

_stage = once(build_sequence_postings)


def handler(event: Any, context: object) -> Any:
    """Answer one invocation."""
    return invoke(_stage, event, context)
