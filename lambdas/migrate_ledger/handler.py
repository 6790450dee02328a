"""Brings the ledger's schema up to date. Terraform calls it on every deployment."""

from typing import Any

from postrail.bootstrap import build_migrate_ledger, once

_stage = once(build_migrate_ledger)


def handler(event: Any, context: object) -> Any:  # noqa: ARG001 - Lambda gives a context
    """Answer one invocation."""
    return _stage().handle(event)
