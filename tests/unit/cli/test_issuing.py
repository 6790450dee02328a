"""`postrail accounts`, `cards` and `token`: clients of an HTTP API, here a real server that remembers requests."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from tests.unit.cli.test_graph import CLOUD

from postrail.settings import CommandLineSettings
from switch.issuing.api.problems import problem_of
from switch.issuing.local_tokens import AUDIENCE, ISSUER
from switch.issuing.refusals import Refusal
from switch.issuing.tokens import read_keys

ACCOUNT = {
    "account_id": "customer:northgate-12345678:gbp",
    "customer_id": "cus_0197f0a0c0de7abc8def0123456789ab",
    "iban": "GB82WEST12345698765432",
    "holder_name": "Alice Example",
    "product": "debit-standard",
    "currency": "GBP",
}
CARD = {
    "card_token": "9991000000000001",
    "last_four": "0019",
    "expiry": "2030-11",
    "status": "in_production",
    "status_reason": None,
    "account_id": ACCOUNT["account_id"],
    "network_id": "meridian",
    "product": "debit-standard",
    "services": ["purchase"],
    "limits": {"day_limit_minor": 500, "hour_limit_count": None},
    "ordered_at": "2026-11-21T01:00:00.000000Z",
}


class Server(HTTPServer):
    """Answers the next of `answers`, and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.answers: list[tuple[int, Any]] = []
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []


class Answering(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((self.command, self.path, headers, body))
        status, answer = self.server.answers.pop(0)
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815 - the base class asks for this name

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def local(no_graph: Path, graph: Any, server: Server) -> Path:
    """A local cloud whose API is the server."""
    outputs = json.loads((no_graph / "aws-outputs.json").read_text())
    outputs["api"] = {"value": {"bank_url": f"http://127.0.0.1:{server.server_port}/_aws/execute-api/a1/$default"}}
    (no_graph / "outputs.json").write_text(json.dumps(outputs))
    (no_graph / "cloud.json").write_text(json.dumps(CLOUD))
    return no_graph


def claims(server: Server, folder: Path, request: int = -1) -> dict[str, Any]:
    """Of the token that a request carried, verified with the published key."""
    kind, token = server.requests[request][2]["authorization"].split()
    assert kind == "Bearer"
    (key,) = read_keys((folder / "published.json").read_text()).values()
    return jwt.decode(token, key, algorithms=["ES256"], audience=AUDIENCE, issuer=ISSUER)


@pytest.fixture
def published(local: Path, postrail: Any) -> Path:
    """The local cloud, its public key written down."""
    code, keys, _ = postrail("token", "--keys")
    assert code == 0
    (local / "published.json").write_text(keys)
    return local


def test_an_operator_opens_an_account_with_money_for_a_customer(published: Path, server: Server, postrail: Any) -> None:
    """The amount is in the bank's currency; the token is an operator's, for this route alone."""
    server.answers = [(201, ACCOUNT)]

    code, out, _ = postrail("accounts", "open", "Alice Example", "--for", "alice", "--balance", "500.00")

    assert code == 0
    assert ACCOUNT["iban"] in out
    method, path, headers, body = server.requests[0]
    assert (method, path) == ("POST", "/_aws/execute-api/a1/$default/create-account")
    assert len(headers["idempotency-key"]) == 36
    assert body == {
        "name": "Alice Example",
        "product": "debit-standard",
        "subject": "alice",
        "opening_balance_minor": 50_000,
    }
    assert claims(server, published)["scope"] == "account:open bank:operate"


def test_a_customer_asks_as_himself(published: Path, server: Server, postrail: Any) -> None:
    """`--as` signs a token of the customer's, without the operator's scope."""
    server.answers = [
        (200, {"currency": "GBP", "total_minor": 10_050, "held_minor": 50, "available_minor": 10_000}),
    ]

    code, out, _ = postrail("accounts", "balance", ACCOUNT["account_id"], "--as", "alice", "--bank", "harbour")

    assert code == 0
    assert "100.50 GBP" in out
    assert server.requests[0][1].endswith("/get-balance?account_id=customer%3Anorthgate-12345678%3Agbp")
    found = claims(server, published)
    assert (found["sub"], found["bank_id"], found["scope"]) == ("alice", "harbour", "account:read")


def test_a_card_number_is_asked_for_only_when_it_is_to_be_shown(published: Path, server: Server, postrail: Any) -> None:
    """The scope card:number goes with --show-number."""
    server.answers = [(201, CARD | {"pan": None}), (201, CARD | {"pan": "4761340000000019"})]

    _, without, _ = postrail("cards", "order", ACCOUNT["account_id"])
    _, with_number, _ = postrail("cards", "order", ACCOUNT["account_id"], "--show-number")

    assert "number" not in without
    assert "4761340000000019" in with_number
    assert claims(server, published, 0)["scope"] == "card:order bank:operate"
    assert claims(server, published, 1)["scope"] == "card:order card:number bank:operate"


def test_cards_are_listed_shown_and_blocked(published: Path, server: Server, postrail: Any) -> None:
    """Each over its own route; what is blocked says why."""
    blocked = CARD | {"status": "blocked", "status_reason": "lost"}
    server.answers = [(200, {"cards": [CARD, blocked]}), (200, CARD), (200, blocked), (200, blocked)]

    assert "blocked (lost)" in postrail("cards", "list", ACCOUNT["account_id"])[1]
    assert "day limit minor" in postrail("cards", "show", CARD["card_token"])[1]
    assert "blocked (lost)" in postrail("cards", "block", CARD["card_token"], "--reason", "lost")[1]
    assert json.loads(postrail("cards", "show", CARD["card_token"], "--json")[1]) == blocked
    assert [request[1].partition("$default")[2].partition("?")[0] for request in server.requests] == [
        "/list-cards",
        "/get-card",
        "/block-card",
        "/get-card",
    ]


@pytest.mark.parametrize(
    ("status", "answer", "sentence"),
    [
        (
            404,
            json.loads(problem_of(Refusal.CARD_NOT_FOUND, "there is no card 9").model_dump_json()),
            "There is no such card: there is no card 9.",
        ),
        (502, b"<html>", "The API answered with status 502."),
        (429, {"message": "Too Many Requests"}, "The API answered with status 429."),
    ],
)
def test_a_refusal_is_one_sentence(
    published: Path, server: Server, postrail: Any, status: int, answer: Any, sentence: str
) -> None:
    """The problem's own words, or the status."""
    server.answers = [(status, answer)]

    code, out, err = postrail("cards", "show", "9991000000000001")

    assert (code, out) == (1, "")
    assert err == f"postrail: {sentence}\n"


def test_a_token_of_ones_own_is_sent_as_it_is(
    published: Path, server: Server, postrail: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an account it comes from the identity provider."""
    monkeypatch.setenv("POSTRAIL_TOKEN", "from.somewhere.else")
    server.answers = [(200, CARD)]

    postrail("cards", "show", CARD["card_token"])

    assert server.requests[0][2]["authorization"] == "Bearer from.somewhere.else"


def test_a_token_is_printed_for_whoever_calls_with_curl(published: Path, postrail: Any) -> None:
    """With the scopes that were asked for."""
    code, out, _ = postrail("token", "--subject", "alice", "--scope", "account:read card:read", "--minutes", "5")

    assert code == 0
    (key,) = read_keys((published / "published.json").read_text()).values()
    found = jwt.decode(out.strip(), key, algorithms=["ES256"], audience=AUDIENCE, issuer=ISSUER)
    assert (found["sub"], found["scope"], found["exp"] - found["iat"]) == ("alice", "account:read card:read", 300)


@pytest.mark.parametrize(
    "arguments", [("--subject", "alice"), ("--scope", "card:read"), ("--subject", "a", "--scope", "everything")]
)
def test_a_token_without_subject_or_known_scope_is_not_signed(
    published: Path, postrail: Any, arguments: tuple[str, ...]
) -> None:
    """The command line was wrong."""
    code, out, err = postrail("token", *arguments)

    assert (code, out) == (2, "")
    assert "postrail:" in err


def test_tokens_for_an_account_come_from_elsewhere(no_graph: Path, graph: Any, postrail: Any, monkeypatch: Any) -> None:
    """And nothing is signed where no local cloud runs."""
    assert "make local" in postrail("token", "--keys")[2]
    monkeypatch.setenv("POSTRAIL_OUTPUTS", str(no_graph / "aws-outputs.json"))
    assert "token issuer" in postrail("token", "--keys")[2]
    assert not (no_graph / "keys").exists()
    assert CommandLineSettings().outputs is not None
