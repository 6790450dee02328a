"""Keeps the ends of the ledger's hash chains out of reach of whoever can change it. Runs on a schedule."""

from typing import Any

from postrail.bootstrap import build_anchor_ledger, invoke, once

_stage = once(build_anchor_ledger)


def handler(event: Any, context: object) -> Any:
    """Answer one invocation."""
    return invoke(_stage, event, context)
