"""Ways in which an authorization can be wrong, each with the reason code that it must end with."""

import copy
from collections.abc import Callable
from typing import Any, Final

from postrail.contracts.base import EVENT_BYTES_MAX
from postrail.domain.errors import ReasonCode

_Body = dict[str, Any]


def _unknown_currency(body: _Body) -> None:
    body["currency"] = "ZZZ"


def _zero_amount(body: _Body) -> None:
    body["amount_minor"] = 0


def _negative_amount(body: _Body) -> None:
    body["amount_minor"] = -body["amount_minor"]


def _unknown_field(body: _Body) -> None:
    body["loyalty_points"] = 12


def _wrong_type(body: _Body) -> None:
    body["amount_minor"] = str(body["amount_minor"])


def _clear_pan(body: _Body) -> None:
    # A published test number, put together here so that no source file carries a card number.
    body["card"]["token"] = "4" + "1" * 15


def _missing_field(body: _Body) -> None:
    del body["stan"]


def _oversize(body: _Body) -> None:
    body["merchant"]["name"] = "X" * (EVENT_BYTES_MAX + 1)


def _invalid_value(body: _Body) -> None:
    body["merchant"]["mcc"] = "54-11"


_SPOILERS: Final[tuple[tuple[Callable[[_Body], None], ReasonCode], ...]] = (
    (_unknown_currency, ReasonCode.UNKNOWN_CURRENCY),
    (_zero_amount, ReasonCode.INVALID_AMOUNT),
    (_negative_amount, ReasonCode.INVALID_AMOUNT),
    (_unknown_field, ReasonCode.UNKNOWN_FIELD),
    (_wrong_type, ReasonCode.WRONG_TYPE),
    (_clear_pan, ReasonCode.CLEAR_PAN),
    (_missing_field, ReasonCode.MISSING_FIELD),
    (_oversize, ReasonCode.EVENT_TOO_LARGE),
    (_invalid_value, ReasonCode.INVALID_VALUE),
)

MALFORMED_VARIANTS: Final = len(_SPOILERS)
"""How many ways of being wrong there are; `spoil` goes round them."""


def spoil(authorization: dict[str, Any], variant: int) -> tuple[dict[str, Any], str]:
    """A spoilt copy of an authorization's body, and the reason code it deserves. The payment id stays readable."""
    body = copy.deepcopy(authorization)
    apply, reason = _SPOILERS[variant % MALFORMED_VARIANTS]
    apply(body)
    return body, reason.value
