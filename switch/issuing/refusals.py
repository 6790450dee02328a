"""Why issuing refuses a request. Callers of the API key on the reason, never on the text."""

from enum import StrEnum


class Refusal(StrEnum):
    """The reasons, in the order of the HTTP statuses that they become (`api.problems`)."""

    REQUEST_MALFORMED = "request_malformed"
    TOKEN_MISSING = "token_missing"  # noqa: S105 - a reason, no secret
    TOKEN_INVALID = "token_invalid"  # noqa: S105 - a reason, no secret
    SCOPE_MISSING = "scope_missing"
    OPERATOR_ONLY = "operator_only"
    ROUTE_NOT_FOUND = "route_not_found"
    ACCOUNT_NOT_FOUND = "account_not_found"
    CARD_NOT_FOUND = "card_not_found"
    CUSTOMER_NOT_FOUND = "customer_not_found"
    REQUEST_KEY_REUSED = "request_key_reused"
    ACCOUNT_NOT_OPEN = "account_not_open"
    TOO_MANY_ACCOUNTS = "too_many_accounts"
    TOO_MANY_CARDS = "too_many_cards"
    CARD_CANNOT_CHANGE = "card_cannot_change"
    CUSTOMER_DIFFERS = "customer_differs"
    CARD_DIFFERS = "card_differs"
    REQUEST_TOO_LARGE = "request_too_large"
    REQUEST_INVALID = "request_invalid"
    CLEAR_CARD_NUMBER = "clear_card_number"
    UNKNOWN_PRODUCT = "unknown_product"
    UNKNOWN_NETWORK = "unknown_network"
    SERVICE_NOT_OFFERED = "service_not_offered"
    TRY_AGAIN = "try_again"


class IssuingRefused(Exception):
    """A request is not granted. `detail` is for people and holds nothing secret."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
