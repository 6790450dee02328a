"""Changes the password by which the proxy reaches the ledger. Secrets Manager calls it, four times a rotation."""

from typing import Any

from postrail.bootstrap import build_rotate_ledger_secret, invoke, once

_stage = once(build_rotate_ledger_secret)


def handler(event: Any, context: object) -> Any:
    """Answer one invocation."""
    return invoke(_stage, event, context)
