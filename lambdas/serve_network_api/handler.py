"""HTTP requests to the network's API."""

from typing import Any

from postrail.bootstrap import invoke
from switch.issuing.functions import build_network_api, once_for_switch

_function = once_for_switch(build_network_api)


def handler(event: Any, context: object) -> Any:
    """Answer one invocation."""
    return invoke(_function, event, context)
