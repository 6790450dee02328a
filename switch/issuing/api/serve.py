"""Answers HTTP requests of the API: who asks, for which route, with what; then one call, and the answer.

Requests and answers have API Gateway's payload format 2.0 for HTTP APIs.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from pydantic import ValidationError

from postrail.adapters.aws.observability import logger
from postrail.contracts.base import Contract
from postrail.domain.card import holds_clear_pan
from postrail.domain.errors import Permanent, Retryable
from switch.issuing.api.problems import MEDIA_TYPE, Fault, problem_of
from switch.issuing.api.routes import Route
from switch.issuing.edge_key import HEADER, EdgeKey
from switch.issuing.refusals import IssuingRefused, Refusal
from switch.issuing.requests import Ask
from switch.issuing.tokens import TokenVerifier

BODY_BYTES_MAX: Final = 16_384
_QUERY_CHARS_MAX: Final = 2_048
_KEY: Final = re.compile(r"[A-Za-z0-9._:-]{8,64}\Z", re.ASCII)
_FAULTS_SHOWN_MAX: Final = 10
_SEE_DOCUMENT: Final = "see the API's OpenAPI document"

Perform = Callable[[Ask[Any]], Contract]


class RequestInvalid(IssuingRefused):
    """The content of a request is not as its contract says; `faults` say where."""

    def __init__(self, error: ValidationError) -> None:
        super().__init__(Refusal.REQUEST_INVALID, "see faults")
        self.faults = tuple(
            Fault(place=".".join(map(str, fault["loc"])) or "request", problem=fault["msg"])
            for fault in error.errors(include_url=False, include_input=False, include_context=False)[:_FAULTS_SHOWN_MAX]
        )


class ApiHandler:
    """Serves the routes of one API."""

    def __init__(
        self, routes: Mapping[Route[Any, Any], Perform], verifier: TokenVerifier, *, edge_key: EdgeKey | None = None
    ) -> None:
        """`routes` says for each route who does what it asks for; with `edge_key` only the edge may ask."""
        self._routes = {route.key: (route, perform) for route, perform in routes.items()}
        self._verifier = verifier
        self._edge_key = edge_key

    def handle(self, event: Any) -> dict[str, Any]:
        """One request, one answer. Refusals are problem documents; errors that nobody foresaw are raised."""
        # The gateway's access log knows the request by the same id.
        logger.append_keys(correlation_id=event.get("requestContext", {}).get("requestId"))
        try:
            route, perform = self._find(event)
            ask = self._read(event, route)
            answer = perform(ask)
        except IssuingRefused as refusal:
            return _refuse(refusal.reason, refusal.detail, getattr(refusal, "faults", ()))
        except Permanent as error:
            return _refuse(Refusal.REQUEST_INVALID, str(error.reason))
        except Retryable as error:
            logger.warning("request failed", error_text=str(error))
            return _refuse(Refusal.TRY_AGAIN, "send the same request again, with the same idempotency key")
        logger.info("request answered", operation=route.operation, status=route.status)
        return _answer(route.status, "application/json", answer.model_dump_json())

    def _find(self, event: Any) -> tuple[Route[Any, Any], Perform]:
        # The gateway names the route that it matched; a path may carry the name of a stage.
        found = self._routes.get(event.get("routeKey", ""))
        if found is None:
            http = event.get("requestContext", {}).get("http", {})
            found = self._routes.get(f"{http.get('method', '')} {http.get('path', '')}")
        if found is None:
            raise IssuingRefused(Refusal.ROUTE_NOT_FOUND, _SEE_DOCUMENT)
        return found

    def _read(self, event: Any, route: Route[Any, Any]) -> Ask[Any]:
        """The request, once its caller is known and may ask it: strangers learn nothing of contracts."""
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        if self._edge_key is not None and not self._edge_key.admits(headers.get(HEADER)):
            # Whoever goes round the edge is told of no route, and so of nothing.
            logger.warning("request went round the edge", operation=route.operation)
            raise IssuingRefused(Refusal.ROUTE_NOT_FOUND, _SEE_DOCUMENT)
        caller = self._verifier.caller(headers.get("authorization"))
        caller.require(route.scope)
        key = headers.get("idempotency-key", "") if route.changes else ""
        if route.changes and not _KEY.match(key):
            detail = "the header Idempotency-Key names this request: 8 to 64 letters, digits, or . _ : -"
            raise IssuingRefused(Refusal.REQUEST_MALFORMED, detail)
        content = _body(event) if route.changes else _query(event)
        _refuse_card_numbers(content + b" " + key.encode())
        try:
            body = route.request.model_validate_json(content)
        except ValidationError as error:
            raise RequestInvalid(error) from None
        # Once more: JSON can write a digit as an escape.
        _refuse_card_numbers(body.model_dump_json().encode())
        return Ask(caller, route.operation, key, body)


def _refuse_card_numbers(content: bytes) -> None:
    if holds_clear_pan(content):
        raise IssuingRefused(Refusal.CLEAR_CARD_NUMBER, "card numbers are never sent here: send the card's token")


def _body(event: Any) -> bytes:
    text = event.get("body") or ""
    if len(text) > 2 * BODY_BYTES_MAX:
        raise _too_large()
    try:
        body = base64.b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode()
    except (binascii.Error, UnicodeEncodeError):
        raise IssuingRefused(Refusal.REQUEST_MALFORMED, "the body cannot be decoded") from None
    if len(body) > BODY_BYTES_MAX:
        raise _too_large()
    return body


def _query(event: Any) -> bytes:
    """The query as the JSON object that its contract describes. A name that comes twice is refused."""
    text = event.get("rawQueryString") or ""
    if len(text) > _QUERY_CHARS_MAX:
        raise _too_large()
    pairs = parse_qsl(text, keep_blank_values=True)
    query = dict(pairs)
    if len(query) != len(pairs):
        raise IssuingRefused(Refusal.REQUEST_MALFORMED, "a name stands twice in the query")
    try:
        return orjson.dumps(query)
    except TypeError:
        raise IssuingRefused(Refusal.REQUEST_MALFORMED, "the query is no UTF-8") from None


def _too_large() -> IssuingRefused:
    return IssuingRefused(Refusal.REQUEST_TOO_LARGE, f"a body has at most {BODY_BYTES_MAX} bytes")


def _refuse(reason: Refusal, detail: str, faults: tuple[Fault, ...] = ()) -> dict[str, Any]:
    problem = problem_of(reason, detail, faults)
    logger.info("request refused", reason=reason.value, status=problem.status)
    answer = _answer(problem.status, MEDIA_TYPE, problem.model_dump_json())
    if problem.status in {401, 403}:
        answer["headers"]["WWW-Authenticate"] = _CHALLENGES.get(reason, 'Bearer error="insufficient_scope"')
    if reason is Refusal.TRY_AGAIN:
        answer["headers"]["Retry-After"] = "1"
    return answer


_CHALLENGES: Final = {
    Refusal.TOKEN_MISSING: "Bearer",
    Refusal.TOKEN_INVALID: 'Bearer error="invalid_token"',
}
"""RFC 6750 section 3."""


def _answer(status: int, media_type: str, body: str) -> dict[str, Any]:
    # An answer may hold a card number, and is meant for its caller alone.
    headers = {"Content-Type": media_type, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return {"statusCode": status, "headers": headers, "body": body, "isBase64Encoded": False}
