"""Raises PostingSequenceOverdue for sequences whose parts stay away. Runs on a schedule."""

from typing import Any

from postrail.bootstrap import build_watch_sequences, once

_stage = once(build_watch_sequences)


def handler(event: Any, context: object) -> Any:  # noqa: ARG001 - Lambda gives a context
    """Answer one invocation."""
    return _stage().handle(event)
