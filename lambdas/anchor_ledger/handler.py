"""Keeps the ends of the ledger's hash chains out of reach of whoever can change it. Runs on a schedule."""

from typing import Any

from postrail.bootstrap import build_anchor_ledger, once

_stage = once(build_anchor_ledger)


def handler(event: Any, context: object) -> Any:  # noqa: ARG001 - Lambda gives a context
    """Answer one invocation."""
    return _stage().handle(event)
