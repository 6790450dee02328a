"""Raises PostingSequenceOverdue for sequences whose parts stay away. Runs on a schedule."""

from typing import Any

from postrail.bootstrap import build_watch_sequences, invoke, once

_stage = once(build_watch_sequences)


def handler(event: Any, context: object) -> Any:
    """Answer one invocation."""
    return invoke(_stage, event, context)
