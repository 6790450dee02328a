"""What the API makes of HTTP requests, before anything is done."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrail.contracts.base import Contract
from postrail.domain.errors import Permanent, ReasonCode, Retryable
from switch.issuing.api.routes import CREATE_ACCOUNT, GET_BALANCE
from switch.issuing.api.serve import BODY_BYTES_MAX, ApiHandler
from switch.issuing.callers import Scope
from switch.issuing.contracts import BalanceView, CreateAccount
from switch.issuing.local_tokens import AUDIENCE, ISSUER, LocalTokens
from switch.issuing.requests import Ask
from switch.issuing.tokens import FixedKeys, TokenVerifier

PAN = "4761340000000019"
BALANCE = BalanceView(
    account_id="customer:1:gbp",
    currency="GBP",
    status="open",
    total_minor=1,
    held_minor=0,
    locked_minor=0,
    available_minor=1,
    overdraft_limit_minor=None,
    as_of=datetime(2026, 10, 1, 12, tzinfo=UTC),
)


class Counter:
    """An API whose routes only note what they were asked."""

    def __init__(self, folder: Path) -> None:
        tokens = LocalTokens(folder)
        self.asks: list[Ask[Any]] = []
        self.fault: Exception | None = None
        self.authorization = f"Bearer {tokens.sign('alice', [scope.value for scope in Scope], bank_id='northgate')}"
        verifier = TokenVerifier(FixedKeys(tokens.keys), issuer=ISSUER, audience=AUDIENCE)
        self.handler = ApiHandler({CREATE_ACCOUNT: self._answer, GET_BALANCE: self._answer}, verifier)

    def _answer(self, ask: Ask[Any]) -> Contract:
        self.asks.append(ask)
        if self.fault is not None:
            raise self.fault
        return BALANCE

    def get(self, query: str, **more: Any) -> dict[str, Any]:
        headers = {"Authorization": self.authorization}
        return self.handler.handle({"routeKey": "GET /get-balance", "rawQueryString": query, "headers": headers} | more)

    def post(self, body: Any, *, key: str | None = "request-1", **more: Any) -> dict[str, Any]:
        headers = {"Authorization": self.authorization} | ({"Idempotency-Key": key} if key is not None else {})
        return self.handler.handle({"routeKey": "POST /create-account", "headers": headers, "body": body} | more)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def api(keys: Path) -> Counter:
    return Counter(keys)


def reason(answer: dict[str, Any]) -> tuple[int, str]:
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    problem = json.loads(answer["body"])
    assert problem["status"] == answer["statusCode"]
    assert problem["type"] == f"urn:postrail:problem:{problem['reason']}"
    return answer["statusCode"], problem["reason"]


def test_a_good_request_is_done_and_its_answer_is_not_kept_by_anybody(api: Counter) -> None:
    """Answers are for their caller alone."""
    answer = api.post('{"name": "Alice Example"}')

    assert answer["statusCode"] == CREATE_ACCOUNT.status
    assert answer["headers"]["Cache-Control"] == "no-store"
    assert [ask.body for ask in api.asks] == [CreateAccount(name="Alice Example")]
    assert api.asks[0].names == ("northgate", "alice", "create_account", "request-1")


def test_a_body_may_come_in_base64(api: Counter) -> None:
    """The gateway encodes what it does not take for text."""
    encoded = base64.b64encode(b'{"name": "Alice Example"}').decode()

    assert api.post(encoded, isBase64Encoded=True)["statusCode"] == 201
    assert reason(api.post("!" + encoded, isBase64Encoded=True)) == (400, "request_malformed")


@pytest.mark.parametrize("key", [None, "", "short", "x" * 65, "has blanks in it", "newline-at-end\n", "ümlaut-key"])
def test_a_change_without_a_usable_key_is_refused(api: Counter, key: str | None) -> None:
    """Otherwise a repetition would be done twice."""
    assert reason(api.post('{"name": "Alice"}', key=key)) == (400, "request_malformed")
    assert api.asks == []


def test_a_body_has_a_bound(api: Counter) -> None:
    """Whatever its encoding."""
    fits = json.dumps({"name": "Alice", "product": "debit-standard"}).ljust(BODY_BYTES_MAX)

    assert api.post(fits)["statusCode"] == 201
    assert reason(api.post(fits + " ")) == (413, "request_too_large")
    assert reason(api.post(base64.b64encode(fits.encode() + b" ").decode(), isBase64Encoded=True))[0] == 413
    assert reason(api.get("account_id=" + "x" * 5_000)) == (413, "request_too_large")


@pytest.mark.parametrize(
    "body",
    [
        None,
        "",
        "{",
        "[]",
        "null",
        '"text"',
        "{}",
        '{"name": ""}',
        '{"name": 7}',
        '{"name": "A", "unknown": 1}',
        '{"name": "A", "opening_balance_minor": 1.5}',
        '{"name": "A", "opening_balance_minor": "1"}',
        '{"name": "A", "opening_balance_minor": -1}',
        '{"name": "A", "opening_balance_minor": 1e3}',
        '{"name": "\\ud800"}',
    ],
)
def test_a_body_that_is_not_as_its_contract_says_is_refused(api: Counter, body: str | None) -> None:
    """With the places, and without the values."""
    assert reason(api.post(body)) == (422, "request_invalid")
    assert api.asks == []


def test_faults_name_places_and_repeat_no_values(api: Counter) -> None:
    """A value may be a secret that went into the wrong field."""
    answer = api.post('{"name": "A", "product": "Hunter2!"}')

    faults = json.loads(answer["body"])["faults"]
    assert [fault["place"] for fault in faults] == ["product"]
    assert "Hunter2" not in answer["body"]


@pytest.mark.parametrize("text", ["{}", "card {} lost", "{}.", "x={}"])
def test_a_card_number_is_refused_wherever_it_stands(api: Counter, text: str) -> None:
    """Nothing of it is read, kept or repeated."""
    said = text.format(PAN)
    answers = [
        api.post(json.dumps({"name": said})),
        api.post(json.dumps({said: 1})),
        api.post(json.dumps({"name": said}).replace("4", "\\u0034")),
        api.post('{"name": "Alice"}', key=PAN),
        api.get(f"account_id={quote(said)}"),
        api.get(f"{quote(said)}=1"),
    ]

    for answer in answers:
        assert reason(answer) == (422, "clear_card_number")
        assert PAN not in answer["body"]
    assert api.asks == []


def test_a_query_is_read_as_its_contract_says(api: Counter) -> None:
    """Escapes are undone; a name that stands twice is refused, and so is one too many."""
    assert api.get("account_id=customer%3A1%3Agbp")["statusCode"] == 200
    assert api.asks[0].body.account_id == "customer:1:gbp"
    assert reason(api.get("account_id=a:b&account_id=c:d")) == (400, "request_malformed")
    assert reason(api.get("account_id=customer:1:gbp&more=1")) == (422, "request_invalid")
    assert reason(api.get("")) == (422, "request_invalid")


def test_a_route_is_found_by_its_path_when_the_gateway_names_none(api: Counter) -> None:
    """A catch-all route of a gateway leads here too; what is in no table is nowhere."""
    http = {"http": {"method": "GET", "path": "/get-balance"}}

    assert api.get("account_id=a:b", routeKey="$default", requestContext=http)["statusCode"] == 200
    assert reason(api.get("", routeKey="DELETE /get-balance")) == (404, "route_not_found")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Retryable("the database at 10.1.2.3 is away"), (503, "try_again")),
        (Permanent(ReasonCode.INVALID_VALUE, "value 4711 of x"), (422, "request_invalid")),
    ],
)
def test_a_fault_behind_the_api_tells_nothing_of_its_inside(
    api: Counter, fault: Exception, expected: tuple[int, str]
) -> None:
    """The caller learns whether to come again; addresses and values stay inside."""
    api.fault = fault

    answer = api.get("account_id=a:b")

    assert reason(answer) == expected
    assert "10.1.2.3" not in answer["body"]
    assert "4711" not in answer["body"]
    assert ("Retry-After" in answer["headers"]) is (expected[0] == 503)


def test_an_error_that_nobody_foresaw_is_not_hidden(api: Counter) -> None:
    """It is a defect: it goes up to the platform, which counts and logs it."""
    api.fault = ZeroDivisionError()

    with pytest.raises(ZeroDivisionError):
        api.get("account_id=a:b")


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(body=st.one_of(st.text(max_size=200), st.builds(json.dumps, _ANYTHING)), query=st.text(max_size=100))
def test_whatever_comes_gets_an_answer(keys: Path, body: str, query: str) -> None:
    """Done or refused, never a crash."""
    api = Counter(keys)

    assert api.post(body)["statusCode"] in {201, 413, 422, 400}
    assert api.get(query)["statusCode"] in {200, 400, 413, 422}
