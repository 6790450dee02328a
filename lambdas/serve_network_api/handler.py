"""HTTP requests to the network's API."""

from typing import Any

from switch.issuing.functions import build_network_api, once_for_switch

_function = once_for_switch(build_network_api)


def handler(event: Any, context: object) -> Any:  # noqa: ARG001 - Lambda gives a context
    """Answer one invocation."""
    return _function().handle(event)
