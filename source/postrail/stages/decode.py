"""Reading delivered events: from JSON text to a contract, or to a refusal that says why, never to an exception.

Nothing here knows how the text came in. A refusal names field paths and reasons and never a value: the value may be
a card number.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from postrail.contracts.base import EVENT_BYTES_MAX
from postrail.contracts.envelope import refuse_clear_pans
from postrail.contracts.events import Delivered, EventData
from postrail.contracts.payment import Authorization
from postrail.domain.card import holds_clear_pan, scrub_pans
from postrail.domain.errors import Permanent, ReasonCode

T = TypeVar("T")

DETAIL_CHARS_MAX: Final = 300
_PATH_PART_CHARS_MAX: Final = 40
_PATHS_SHOWN_MAX: Final = 3
_NAMES_LOOKED_FOR: Final = ("payment_id", "correlation_id")

# The quotes may be escaped (JSON inside JSON) and the value may be wrapped as DynamoDB writes it ({"S": ...}).
_ID_FIELD: Final = {
    "payment_id": re.compile(
        r'"payment_id\\*"\s*:\s*(?:\{\s*\\*"S\\*"\s*:\s*)?\\*"([a-z]{2,6}_[0-9a-f]{32})\\*"', re.ASCII
    ),
    "correlation_id": re.compile(
        r'"correlation_id\\*"\s*:\s*(?:\{\s*\\*"S\\*"\s*:\s*)?\\*"([A-Za-z0-9._:-]{8,64})\\*"', re.ASCII
    ),
}
# The validator itself: the adapter's own method looks at options first.
_validate_authorization: Final[Callable[[bytes], Authorization]] = TypeAdapter(Authorization).validator.validate_json
_ESCAPED_DIGIT: Final = re.compile(r"\\+u003([0-9])", re.ASCII)
_ESCAPED_DIGIT_BEGINS: Final = b"\\u003"
_BOUNDS: Final = frozenset({"greater_than", "greater_than_equal", "less_than", "less_than_equal"})
_BY_TYPE: Final = {
    "missing": ReasonCode.MISSING_FIELD,
    "extra_forbidden": ReasonCode.UNKNOWN_FIELD,
    "json_invalid": ReasonCode.MALFORMED_EVENT,
    "unknown_currency": ReasonCode.UNKNOWN_CURRENCY,
    "clear_pan": ReasonCode.CLEAR_PAN,
    "int_from_float": ReasonCode.WRONG_TYPE,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An input that can never be processed: why, and whose it seems to be. `detail` is one sentence."""

    reason: ReasonCode
    detail: str
    payment_id: str | None = None
    correlation_id: str | None = None


def plain_digits(text: str) -> str:
    r"""`text` with JSON escapes of digits (\u0034) undone, so that no card number hides behind them."""
    return _ESCAPED_DIGIT.sub(r"\1", text) if "\\u003" in text else text


def scrub_body(body: str) -> str:
    """`body` as it may be kept: plausible card numbers masked, whether escaped or not."""
    return scrub_pans(plain_digits(body))


def ids_in(body: str) -> tuple[str | None, str | None]:
    """The payment id and the correlation id found in a body that could not be read; None where there is none."""
    found: list[str | None] = []
    for name in _NAMES_LOOKED_FOR:
        match = _ID_FIELD[name].search(body)
        value = match.group(1) if match else None
        found.append(value if value is None or scrub_pans(value) == value else None)
    return found[0], found[1]


def refuse(reason: ReasonCode, detail: str, body: str) -> Refusal:
    """The refusal of `body`, with the ids that can be found in it."""
    payment_id, correlation_id = ids_in(body)
    return Refusal(reason, detail, payment_id, correlation_id)


def explain_errors(error: ValidationError, prefix: Sequence[str | int] = ()) -> tuple[ReasonCode, str]:
    """The reason code and one sentence for what a contract found wrong.

    Of several errors a clear card number comes first, because someone must act on it; else the first one found.
    `prefix` is put before the field paths.
    """
    errors = error.errors(include_url=False, include_input=False, include_context=False)
    errors.sort(key=lambda one: _reason_of(one) is not ReasonCode.CLEAR_PAN)
    shown = [f"{_path((*prefix, *one['loc']))} {_wording(one)}" for one in errors[:_PATHS_SHOWN_MAX]]
    if len(errors) > _PATHS_SHOWN_MAX:
        shown.append(f"and {len(errors) - _PATHS_SHOWN_MAX} more")
    return _reason_of(errors[0]), scrub_body("; ".join(shown))[:DETAIL_CHARS_MAX]


def _reason_of(error: ErrorDetails) -> ReasonCode:
    kind, field = error["type"], error["loc"][-1] if error["loc"] else ""
    if kind in _BY_TYPE:
        return _BY_TYPE[kind]
    if kind.endswith("_type"):
        return ReasonCode.WRONG_TYPE
    if kind in _BOUNDS and field == "amount_minor":
        return ReasonCode.INVALID_AMOUNT
    if kind == "string_pattern_mismatch" and field == "currency":
        return ReasonCode.UNKNOWN_CURRENCY
    return ReasonCode.INVALID_VALUE


def _path(location: Sequence[str | int]) -> str:
    # An unknown field's name is the sender's text: bounded and printable before it goes anywhere.
    parts = ("".join(c if c.isprintable() else "?" for c in str(part)[:_PATH_PART_CHARS_MAX]) for part in location)
    return ".".join(parts) or "the event"


def _wording(error: ErrorDetails) -> str:
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a field of this contract"
        case "json_invalid":
            return f"cannot be read: {error['msg']}"
        case _:
            return error["msg"].replace("Input should", "should", 1)


class EventDecoder:
    """Reads events of the expected types; made once, since building the validators is the dear part."""

    def __init__(self, *expected: type[EventData], refuses_clear_pans: bool = False) -> None:
        """`refuses_clear_pans`: look through the whole text for card numbers, as the doors of the system must."""
        self._adapters: dict[str, TypeAdapter[Delivered[Any]]] = {
            data_type.detail_type(): TypeAdapter(Delivered[data_type])  # type: ignore[valid-type]
            for data_type in expected
        }
        self._names = ", ".join(self._adapters)
        self._only = next(iter(self._adapters.items())) if len(self._adapters) == 1 else None
        self._refuses_clear_pans = refuses_clear_pans

    def decode(self, body: str) -> Delivered[Any] | Refusal:
        """The event in `body`, the JSON text of a delivered EventBridge event, or why it is refused."""
        raw = body.encode(errors="surrogatepass")
        refusal = check_text(body, len(raw), refuses_clear_pans=self._refuses_clear_pans)
        if refusal is not None:
            return refusal
        name, adapter = self._only or self._adapter_for(raw)
        if adapter is None:
            return self._refuse_unexpected(raw, body)
        try:
            delivered = adapter.validate_json(raw)
        except ValidationError as error:
            unexpected = self._refuse_unexpected(raw, body) if _detail_type_of(raw) not in (None, name) else None
            return unexpected or refuse(*explain_errors(error), body)
        return delivered if delivered.detail_type == name else self._refuse_unexpected(raw, body)

    def _adapter_for(self, raw: bytes) -> tuple[str, TypeAdapter[Delivered[Any]] | None]:
        name = _detail_type_of(raw) or ""
        return name, self._adapters.get(name)

    def _refuse_unexpected(self, raw: bytes, body: str) -> Refusal:
        try:
            orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            return refuse(ReasonCode.MALFORMED_EVENT, f"the event cannot be read: {error}", body)
        detail = f"detail-type is not one of those expected here: {self._names}"
        return refuse(ReasonCode.UNEXPECTED_EVENT, detail, body)


class TextDecoder(Generic[T]):
    """Reads one model from JSON text that did not come as an event."""

    def __init__(self, model: type[T], place: str) -> None:
        """`place` names the text in refusals, e.g. the attribute that holds it."""
        self._adapter: TypeAdapter[T] = TypeAdapter(model)
        self._place = place

    def decode(self, text: str) -> T | Refusal:
        """The model in `text`, or why it is refused."""
        try:
            return self._adapter.validate_json(text.encode(errors="surrogatepass"))
        except ValidationError as error:
            return refuse(*explain_errors(error, (self._place,)), text)


def decode_authorizations(raws: Sequence[bytes]) -> list[Authorization | Permanent]:
    """The authorization in each JSON text, or why it is refused, as a value; results align with `raws`.

    Meant for texts that nobody vouches for: size, encoding, form and values are checked, and each text is looked
    through for clear card numbers. A refusal names field paths and never a value.
    """
    return [_decode_authorization(raw) for raw in raws]


def _decode_authorization(raw: bytes) -> Authorization | Permanent:
    # Three looks at the bytes say whether there is anything to find; a text is made for what is then suspect alone.
    if len(raw) > EVENT_BYTES_MAX or _ESCAPED_DIGIT_BEGINS in raw or holds_clear_pan(raw):
        refusal = check_text(raw.decode(errors="replace"), len(raw), refuses_clear_pans=True)
        if refusal is not None:
            return Permanent(refusal.reason, refusal.detail)
    try:
        return _validate_authorization(raw)
    except ValidationError as error:
        return Permanent(*explain_errors(error, ("authorization",)))


def check_text(text: str, size_bytes: int, *, refuses_clear_pans: bool) -> Refusal | None:
    """Refuse a text that is too large or, at the doors of the system, holds a clear card number anywhere."""
    if size_bytes > EVENT_BYTES_MAX:
        detail = f"the event has {size_bytes} bytes, {EVENT_BYTES_MAX} are allowed"
        return refuse(ReasonCode.EVENT_TOO_LARGE, detail, text)
    if refuses_clear_pans:
        try:
            refuse_clear_pans(plain_digits(text))
        except Permanent as error:
            return refuse(error.reason, error.detail, text)
    return None


def _detail_type_of(raw: bytes) -> str | None:
    try:
        event = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    name = event.get("detail-type") if isinstance(event, dict) else None
    return name if isinstance(name, str) else None
