"""The emulator's responses leave in one piece, in order, whole before the connection closes, and with few headers."""

import asyncio
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from local_cloud.emulator_server import FewerHeaders, JoinedWrites, Send, remember_answers, write_json_by_orjson


class Wire(asyncio.Transport):
    """Records what reaches the connection."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 40000)})
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed, "written after the close"
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def after_a_turn(act: Callable[[JoinedWrites], None]) -> Wire:
    """Act on a wrapped connection and let the loop turn once."""

    async def run() -> Wire:
        wire = Wire()
        act(JoinedWrites(wire, asyncio.get_running_loop()))
        await asyncio.sleep(0)
        return wire

    return asyncio.run(run())


def test_head_and_body_are_sent_at_once() -> None:
    """The client is woken once for a response."""

    def respond(connection: JoinedWrites) -> None:
        connection.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
        connection.write(b"{}")

    assert after_a_turn(respond).sent == [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"]


def test_nothing_is_sent_twice_in_later_turns() -> None:
    """A streamed body goes on where it stopped, each turn's part by itself."""

    async def run() -> list[bytes]:
        wire = Wire()
        connection = JoinedWrites(wire, asyncio.get_running_loop())
        for part in (b"one", b"two"):
            connection.write(part)
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return wire.sent

    assert asyncio.run(run()) == [b"one", b"two"]


def test_a_close_sends_what_was_written_before() -> None:
    """`connection: close` must not cost the response."""

    def respond_and_close(connection: JoinedWrites) -> None:
        connection.write(b"head")
        connection.write(b"body")
        connection.close()

    wire = after_a_turn(respond_and_close)
    assert wire.sent == [b"headbody"]
    assert wire.closed


def test_a_client_that_has_gone_gets_nothing() -> None:
    """What was kept for it is dropped, and nothing breaks."""

    async def run() -> list[bytes]:
        wire = Wire()
        JoinedWrites(wire, asyncio.get_running_loop()).write(b"late")
        wire.close()
        await asyncio.sleep(0)
        return wire.sent

    assert asyncio.run(run()) == []


def test_everything_else_is_the_connections_own() -> None:
    """The server asks the connection who its client is."""

    def ask(connection: JoinedWrites) -> None:
        assert connection.get_extra_info("peername") == ("127.0.0.1", 40000)
        assert not connection.is_closing()

    after_a_turn(ask)


def test_only_a_browser_is_told_what_other_origins_may_do() -> None:
    """Python's HTTP client takes longer to parse these headers than to do all else with a small response."""
    s3 = [(b"host", b"127.0.0.1"), (b"authorization", b"AWS4-HMAC-SHA256 ...")]
    assert response_names(s3) == {b"Content-Length", b"x-amzn-requestid", b"x-amz-request-id", b"x-amz-id-2", b"date"}
    assert response_names([*s3, (b"origin", b"https://console.example")]) == set(dict(RESPONSE))


def test_an_answer_to_a_named_operation_keeps_its_type_length_and_request_id() -> None:
    """That is what botocore makes use of."""
    named = [(b"host", b"127.0.0.1"), (b"x-amz-target", b"AWSEvents.PutEvents")]
    assert response_names(named) == {b"Content-Length", b"x-amzn-requestid"}
    assert response_names([*named, (b"origin", b"https://console.example")]) == set(dict(RESPONSE))


def test_the_body_and_what_is_no_request_pass_untouched() -> None:
    """The lifespan has no headers; a body has none either."""
    assert asyncio.run(answer({"type": "http", "headers": []}))[1] == {"type": "http.response.body", "body": b"{}"}
    assert len(asyncio.run(answer({"type": "lifespan"}))[0]["headers"]) == len(RESPONSE)


def test_json_is_written_compactly_and_by_json_itself_where_orjson_cannot() -> None:
    """An integer of more than 64 bits is kept to its last digit; options are json's own."""
    module: Any = ModuleType("module")
    write_json_by_orjson(module)
    assert module.json.dumps({"amount": 1250, "name": "Zoë"}) == '{"amount":1250,"name":"Zoë"}'
    assert module.json.dumps({"n": 2**70}) == '{"n": 1180591620717411303424}'
    assert module.json.dumps({"b": 1, "a": 2}, sort_keys=True) == '{"a": 2, "b": 1}'
    assert module.json.loads('{"n": 1180591620717411303424}') == {"n": 2**70}
    with pytest.raises(TypeError):
        module.json.dumps({"at": datetime.now(tz=UTC)})


def test_a_function_that_remembers_is_asked_once_for_each_argument() -> None:
    """Its answers stay what they were."""
    asked: list[str] = []

    def measure(text: str) -> int:
        asked.append(text)
        return len(text)

    module: Any = ModuleType("module")
    module.measure = measure
    remember_answers(module, "measure")
    assert [module.measure("one"), module.measure("three"), module.measure("one")] == [3, 5, 3]
    assert asked == ["one", "three"]


def test_the_emulators_checks_of_a_condition_can_be_remembered() -> None:
    """They take texts and nothing else, and nobody changes what they return."""
    dynamodb = import_module("ministack.services.dynamodb")
    condition = "attribute_not_exists(payment_key) OR expires_at < :now"
    holds = partial(dynamodb._evaluate_condition, condition, attr_values={":now": {"N": "5"}}, attr_names={})
    items: list[dict[str, Any]] = [
        {},
        {"payment_key": {"S": "a"}},
        {"payment_key": {"S": "a"}, "expires_at": {"N": "4"}},
    ]
    before = [holds(item=item) for item in items]
    plain = {name: getattr(dynamodb, name) for name in ("_condition_syntax_error", "_tokenize")}
    try:
        remember_answers(dynamodb, *plain)
        assert [holds(item=item) for item in items * 2] == before * 2 == [True, False, True] * 2
        with pytest.raises(ValueError, match="Syntax error"):
            dynamodb._evaluate_condition("a = = :b", {}, {":b": {"S": ""}}, {})
    finally:
        vars(dynamodb).update(plain)


RESPONSE = [
    (b"Access-Control-Allow-Origin", b"*"),
    (b"Access-Control-Allow-Methods", b"GET"),
    (b"Access-Control-Allow-Headers", b"*"),
    (b"Access-Control-Expose-Headers", b"*"),
    (b"Content-Length", b"2"),
    (b"x-amzn-requestid", b"1"),
    (b"x-amz-request-id", b"1"),
    (b"x-amz-id-2", b"2"),
    (b"date", b"Fri, 20 Nov 2026 22:00:00 GMT"),
]


async def answer(scope: dict[str, Any]) -> list[MutableMapping[str, Any]]:
    """What reaches the server of an application that answers everything with RESPONSE."""
    sent: list[MutableMapping[str, Any]] = []

    async def application(_scope: object, _receive: object, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(RESPONSE)})
        await send({"type": "http.response.body", "body": b"{}"})

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await FewerHeaders(application)(scope, receive, send)
    return sent


def response_names(request: list[tuple[bytes, bytes]]) -> set[bytes]:
    start = asyncio.run(answer({"type": "http", "headers": request}))[0]
    return {name for name, _ in start["headers"]}
