"""HTTP requests to the bank's API."""

from typing import Any

from postrail.bootstrap import invoke
from switch.issuing.functions import build_bank_api, once_for_switch

_function = once_for_switch(build_bank_api)


def handler(event: Any, context: object) -> Any:
    """Answer one invocation."""
    return invoke(_function, event, context)
