"""Health checks over a real socket."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from enum import StrEnum

from switch.health import REQUEST_BYTES_MAX, Health, HealthServer


async def _ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer


def _with_server(health: Health, work: Callable[[int], Awaitable[bytes]]) -> bytes:
    async def run() -> bytes:
        server = HealthServer(lambda: health)
        await server.start("127.0.0.1", 0)
        try:
            return await work(server.port)
        finally:
            await server.stop()

    return asyncio.run(run())


def test_a_service_that_is_well_answers_200_with_its_counters() -> None:
    answer = _with_server(
        Health(True, {"pending": 3}), lambda port: _ask(port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert json.loads(body) == {"well": True, "pending": 3}


def test_counters_by_an_enumeration_are_answered_too() -> None:
    """A load balancer that gets no answer takes the process out of service."""

    class Code(StrEnum):
        APPROVED = "000"

    details = {"answered": {Code.APPROVED: 1}, "by_port": {8583: 2}}
    answer = _with_server(Health(True, details), lambda port: _ask(port, b"GET /health HTTP/1.1\r\n\r\n"))
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert body == {"well": True, "answered": {"000": 1}, "by_port": {"8583": 2}}


def test_a_service_that_cannot_work_answers_503() -> None:
    answer = _with_server(Health(False), lambda port: _ask(port, b"GET /health HTTP/1.1\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 503 ")


def test_other_paths_are_not_found() -> None:
    answer = _with_server(Health(True), lambda port: _ask(port, b"GET /metrics HTTP/1.1\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 404 ")


def test_a_request_without_end_is_cut_off_and_the_next_one_is_answered() -> None:
    async def work(port: int) -> bytes:
        endless = await _ask(port, b"GET /health HTTP/1.1\r\nX: " + b"a" * (REQUEST_BYTES_MAX * 2))
        assert endless == b""
        return await _ask(port, b"GET /health HTTP/1.1\r\n\r\n")

    assert _with_server(Health(True), work).startswith(b"HTTP/1.1 200 OK")
