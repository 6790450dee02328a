"""Who may see and do what: every route against every kind of caller who may not."""

import base64
import hmac
import json
import time
from typing import Any

import pytest
from tests.integration.switch.issuing.conftest import Desk, TokenMint

from switch.issuing.api.routes import ROUTES, Api, Route
from switch.issuing.callers import Scope

EVERY_SCOPE = " ".join(scope.value for scope in Scope)
CUSTOMER_SCOPES = " ".join(scope.value for scope in Scope if scope not in {Scope.BANK_OPERATE, Scope.NETWORK_ISSUE})

each_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)


class House:
    """Two customers of one bank, one of another; a card of the first."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.account_id = desk.open_account("alice")
        self.card_token = desk.order_card(self.account_id)["card_token"]

    def request(self, route: Route[Any, Any]) -> dict[str, Any]:
        """A good request of the route, on what is Alice's."""
        requests: dict[str, dict[str, Any]] = {
            "create_account": {"name": "Alice Example"},
            "get_balance": {"account_id": self.account_id},
            "order_card": {"account_id": self.account_id},
            "get_card": {"card_token": self.card_token},
            "list_cards": {"account_id": self.account_id},
            "block_card": {"card_token": self.card_token, "reason": "lost"},
            "create_customer_account": {
                "network_id": "meridian",
                "customer_id": "cus_0197f0a0c0de7abc8def0123456789ab",
                "subject": "alice",
                "name": "Alice Example",
            },
            "create_card": {
                "network_id": "meridian",
                "customer_id": "cus_0197f0a0c0de7abc8def0123456789ab",
                "card_token": "9991000000000001",
                "pan_lookup": "ab" * 32,
                "last_four": "0019",
                "expiry": "2030-01",
                "services": ["purchase"],
            },
            "block_network_card": {"card_token": self.card_token},
        }
        return requests[route.operation]

    def ask(self, route: Route[Any, Any], token: str | None) -> dict[str, Any]:
        return self.desk.send(route.method, route.path, self.request(route), token=token, api=route.api.value)


@pytest.fixture
def house(desk: Desk) -> House:
    return House(desk)


def forged(mint: TokenMint, header: dict[str, Any], signature: bytes) -> str:
    """A token whose claims are right, with another header and signature."""
    _, claims, _ = mint.token(EVERY_SCOPE).split(".")
    return f"{base64url(json.dumps(header).encode())}.{claims}.{base64url(signature)}"


def signed_by_secret(mint: TokenMint) -> str:
    """HS256 with the public key document as the secret: the classic confusion of algorithms."""
    header, claims, _ = forged(mint, {"alg": "HS256", "kid": "one"}, b"").split(".")
    signature = hmac.digest(mint.document.encode(), f"{header}.{claims}".encode(), "sha256")
    return f"{header}.{claims}.{base64url(signature)}"


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


BAD_TOKENS = {
    "none": lambda mint: forged(mint, {"alg": "none", "kid": "one"}, b""),
    "no_signature": lambda mint: forged(mint, {"alg": "ES256", "kid": "one"}, b""),
    "wrong_signature": lambda mint: forged(mint, {"alg": "ES256", "kid": "one"}, b"\x01" * 64),
    "shared_secret": signed_by_secret,
    "unknown_key": lambda mint: forged(mint, {"alg": "ES256", "kid": "two"}, b"\x01" * 64),
    "another_issuers_key": lambda mint: TokenMint().token(EVERY_SCOPE),
    "wrong_issuer": lambda mint: mint.token(EVERY_SCOPE, iss="https://elsewhere.example"),
    "wrong_audience": lambda mint: mint.token(EVERY_SCOPE, aud="another-api"),
    "no_audience": lambda mint: mint.token(EVERY_SCOPE, aud=None),
    "expired": lambda mint: mint.token(EVERY_SCOPE, exp=int(time.time()) - 60),
    "no_expiry": lambda mint: mint.token(EVERY_SCOPE, exp=None),
    "not_yet_valid": lambda mint: mint.token(EVERY_SCOPE, nbf=int(time.time()) + 600),
    "no_subject": lambda mint: mint.token(EVERY_SCOPE, sub=None),
    "no_bank": lambda mint: mint.token(EVERY_SCOPE, bank_id=None),
    "scopes_no_text": lambda mint: mint.token([EVERY_SCOPE]),
    "garbage": lambda mint: "not.a.token",
    "empty": lambda mint: " ",
    "huge": lambda mint: mint.token(EVERY_SCOPE, more="x" * 10_000),
}


@each_route
def test_nobody_without_a_token_is_served(house: House, route: Route[Any, Any]) -> None:
    """401, with the challenge of RFC 6750, and nothing about the contract."""
    answer = house.ask(route, None)

    assert answer["statusCode"] == 401
    assert answer["headers"]["WWW-Authenticate"] == "Bearer"
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    assert json.loads(answer["body"])["reason"] == "token_missing"


@each_route
def test_no_bad_token_is_believed(house: House, mint: TokenMint, route: Route[Any, Any]) -> None:
    """Whatever is wrong with it: 401, and the token is not repeated."""
    for name, make in BAD_TOKENS.items():
        token = make(mint)

        answer = house.ask(route, token)

        assert answer["statusCode"] == 401, name
        assert answer["headers"]["WWW-Authenticate"] == 'Bearer error="invalid_token"'
        assert json.loads(answer["body"])["reason"] == "token_invalid"
        assert len(token) < 40 or token[:40] not in answer["body"]


@each_route
def test_every_other_scope_is_not_enough(house: House, mint: TokenMint, route: Route[Any, Any]) -> None:
    """403: a route asks for its own scope, and being an operator does not stand in for it."""
    others = " ".join(scope.value for scope in Scope if scope is not route.scope)

    answer = house.ask(route, mint.token(others))

    assert answer["statusCode"] == 403
    assert answer["headers"]["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'
    assert json.loads(answer["body"])["reason"] == "scope_missing"


@each_route
def test_the_right_scope_alone_is_enough(house: House, mint: TokenMint, route: Route[Any, Any]) -> None:
    """A token needs nothing but the route's scope; what it asks for may still not exist."""
    answer = house.ask(route, mint.token(route.scope.value))

    expected = 404 if route.operation == "create_card" else route.status
    assert answer["statusCode"] == expected


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if route.api is Api.BANK and route.operation != "create_account"],
    ids=lambda route: route.operation,
)
@pytest.mark.parametrize(
    ("subject", "bank_id", "more"),
    [("bruno", "northgate", ""), ("alice", "harbour", ""), ("desk-9", "harbour", " bank:operate")],
    ids=["other_customer", "other_bank", "other_banks_operator"],
)
def test_strangers_learn_not_even_that_it_exists(
    house: House, mint: TokenMint, route: Route[Any, Any], subject: str, bank_id: str, more: str
) -> None:
    """404, with the same words as for what does not exist."""
    token = mint.token(CUSTOMER_SCOPES + more, subject=subject, bank_id=bank_id)

    answer = house.ask(route, token)

    problem = json.loads(answer["body"])
    assert answer["statusCode"] == 404
    assert problem["reason"] in {"account_not_found", "card_not_found"}
    owned = house.desk.send(route.method, route.path, house.request(route), token=mint.token(CUSTOMER_SCOPES))
    assert owned["statusCode"] == route.status


@pytest.mark.parametrize("operation", ["get_balance", "get_card", "list_cards", "order_card", "block_card"])
def test_an_operator_of_the_bank_sees_all_its_customers(house: House, mint: TokenMint, operation: str) -> None:
    """The scope bank:operate widens the view to the bank."""
    route = next(route for route in ROUTES if route.operation == operation)

    answer = house.ask(route, mint.token(f"{route.scope.value} bank:operate", subject="desk-7"))

    assert answer["statusCode"] == route.status


def test_a_bank_that_is_not_of_this_ecosystem_is_refused(house: House, mint: TokenMint) -> None:
    """A token of a bank that nobody here knows opens nothing."""
    token = mint.token(EVERY_SCOPE, bank_id="atlantis")

    status, problem = house.desk.call("POST", "/create-account", {"name": "A"}, token=token)

    assert (status, problem["reason"]) == (401, "token_invalid")
