"""PaymentApproved to PostingRequested, 1 to n of n."""

from typing import Any

from postrail.bootstrap import build_sequence_postings, once

_stage = once(build_sequence_postings)


def handler(event: Any, context: object) -> Any:  # noqa: ARG001 - Lambda gives a context
    """Answer one invocation."""
    return _stage().handle(event)
