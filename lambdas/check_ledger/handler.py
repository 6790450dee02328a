"""Answers a validation's questions about the ledger, and takes its marked payments back."""

from typing import Any

from postrail.bootstrap import build_check_ledger, invoke, once

_stage = once(build_check_ledger)


def handler(event: Any, context: object) -> Any:
    """Answer one invocation."""
    return invoke(_stage, event, context)
