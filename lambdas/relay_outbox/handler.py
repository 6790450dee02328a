"""Publishes what the ledger committed and the bus has not taken yet. Runs on a schedule."""

from typing import Any

from postrail.bootstrap import build_relay_outbox, invoke, once

_stage = once(build_relay_outbox)


def handler(event: Any, context: object) -> Any:
    """Answer one invocation."""
    return invoke(_stage, event, context)
