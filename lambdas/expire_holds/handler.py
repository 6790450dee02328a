"""Ends the holds that are due. Runs on a schedule."""

from typing import Any

from postrail.bootstrap import build_expire_holds, invoke, once

_stage = once(build_expire_holds)


def handler(event: Any, context: object) -> Any:
    """Answer one invocation."""
    return invoke(_stage, event, context)
