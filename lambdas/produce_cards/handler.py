"""Cards in production become ready, and their customers are told; on a schedule."""

from typing import Any

from switch.issuing.functions import build_produce_cards, once_for_switch

_function = once_for_switch(build_produce_cards)


def handler(event: Any, context: object) -> Any:  # noqa: ARG001 - Lambda gives a context
    """Answer one invocation."""
    return _function().handle(event)
