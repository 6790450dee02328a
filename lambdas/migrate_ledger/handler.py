"""Brings the ledger's schema up to date. Terraform calls it on every deployment."""

from typing import Any

from postrail.bootstrap import build_migrate_ledger, invoke, once

_stage = once(build_migrate_ledger)


def handler(event: Any, context: object) -> Any:
    """Answer one invocation."""
    return invoke(_stage, event, context)
