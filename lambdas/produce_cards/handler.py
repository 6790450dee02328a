"""Cards in production become ready, and their customers are told; on a schedule."""

from typing import Any

from postrail.bootstrap import invoke
from switch.issuing.functions import build_produce_cards, once_for_switch

_function = once_for_switch(build_produce_cards)


def handler(event: Any, context: object) -> Any:
    """Answer one invocation."""
    return invoke(_function, event, context)
