"""Refusals as HTTP sees them: a status, and a problem document (RFC 9457)."""

from typing import Annotated, Final

from pydantic import Field

from postrail.contracts.base import Contract
from switch.issuing.refusals import Refusal

MEDIA_TYPE: Final = "application/problem+json"

STATUS: Final = {
    Refusal.REQUEST_MALFORMED: 400,
    Refusal.TOKEN_MISSING: 401,
    Refusal.TOKEN_INVALID: 401,
    Refusal.SCOPE_MISSING: 403,
    Refusal.OPERATOR_ONLY: 403,
    Refusal.ROUTE_NOT_FOUND: 404,
    Refusal.ACCOUNT_NOT_FOUND: 404,
    Refusal.CARD_NOT_FOUND: 404,
    Refusal.CUSTOMER_NOT_FOUND: 404,
    Refusal.REQUEST_KEY_REUSED: 409,
    Refusal.ACCOUNT_NOT_OPEN: 409,
    Refusal.TOO_MANY_ACCOUNTS: 409,
    Refusal.TOO_MANY_CARDS: 409,
    Refusal.CARD_CANNOT_CHANGE: 409,
    Refusal.CUSTOMER_DIFFERS: 409,
    Refusal.CARD_DIFFERS: 409,
    Refusal.REQUEST_TOO_LARGE: 413,
    Refusal.REQUEST_INVALID: 422,
    Refusal.CLEAR_CARD_NUMBER: 422,
    Refusal.UNKNOWN_PRODUCT: 422,
    Refusal.UNKNOWN_NETWORK: 422,
    Refusal.SERVICE_NOT_OFFERED: 422,
    Refusal.TRY_AGAIN: 503,
}
"""Who may not see an account or card is told that there is none: 404 and not 403."""

TITLES: Final = {
    Refusal.REQUEST_MALFORMED: "The request cannot be read",
    Refusal.TOKEN_MISSING: "An access token is needed",
    Refusal.TOKEN_INVALID: "The access token is not valid here",
    Refusal.SCOPE_MISSING: "The access token does not allow this",
    Refusal.OPERATOR_ONLY: "Only the bank may ask for this",
    Refusal.ROUTE_NOT_FOUND: "There is nothing here",
    Refusal.ACCOUNT_NOT_FOUND: "There is no such account",
    Refusal.CARD_NOT_FOUND: "There is no such card",
    Refusal.CUSTOMER_NOT_FOUND: "There is no such customer",
    Refusal.REQUEST_KEY_REUSED: "The idempotency key belongs to another request",
    Refusal.ACCOUNT_NOT_OPEN: "The account is not open",
    Refusal.TOO_MANY_ACCOUNTS: "The customer has too many accounts",
    Refusal.TOO_MANY_CARDS: "The account has too many cards",
    Refusal.CARD_CANNOT_CHANGE: "The card cannot change like this any more",
    Refusal.CUSTOMER_DIFFERS: "The network knows this customer differently",
    Refusal.CARD_DIFFERS: "The network knows this card differently",
    Refusal.REQUEST_TOO_LARGE: "The request is too large",
    Refusal.REQUEST_INVALID: "The request is not as its contract says",
    Refusal.CLEAR_CARD_NUMBER: "The request holds a card number",
    Refusal.UNKNOWN_PRODUCT: "There is no such product",
    Refusal.UNKNOWN_NETWORK: "The bank is in no such network",
    Refusal.SERVICE_NOT_OFFERED: "The bank does not offer this service",
    Refusal.TRY_AGAIN: "Something did not answer; the same request may work later",
}


class Fault(Contract):
    """What is wrong in one place of a request; the value itself is not repeated."""

    place: str = Field(description="names joined by dots, e.g. limits.day_limit_minor")
    problem: str


class Problem(Contract):
    """A problem document."""

    type: str = Field(description="`urn:postrail:problem:` and the reason")
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    reason: Refusal
    faults: tuple[Fault, ...] = ()


def problem_of(reason: Refusal, detail: str, faults: tuple[Fault, ...] = ()) -> Problem:
    """The document for a refusal."""
    return Problem(
        type=f"urn:postrail:problem:{reason.value}",
        title=TITLES[reason],
        status=STATUS[reason],
        detail=detail,
        reason=reason,
        faults=faults,
    )
