"""Ends the holds that are due. Runs on a schedule."""

from typing import Any

from postrail.bootstrap import build_expire_holds, once

_stage = once(build_expire_holds)


def handler(event: Any, context: object) -> Any:  # noqa: ARG001 - Lambda gives a context
    """Answer one invocation."""
    return _stage().handle(event)
