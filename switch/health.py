"""Says whether a process of the switch can do its work: for load balancers, for Fargate, and for people.

One path, `GET /health`: 200 when it can, 503 when it cannot, with counters as JSON. Not a web server: one request a
connection, bounded in size and time.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import orjson

REQUEST_BYTES_MAX: Final = 4_096
REQUEST_SECONDS_MAX: Final = 2.0
CONNECTIONS_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a process is well, and what it counts. `details` hold no card data."""

    well: bool
    details: Mapping[str, object] = field(default_factory=dict)


class HealthServer:
    """Answers health checks on a port of its own."""

    def __init__(self, look: Callable[[], Health]) -> None:
        """`look` is asked at every request; it must not wait for anything."""
        self._look = look
        self._server: asyncio.Server | None = None
        self._connections = 0

    @property
    def port(self) -> int:
        """The port that it listens on; 0 before `start`."""
        return self._server.sockets[0].getsockname()[1] if self._server else 0

    async def start(self, host: str, port: int) -> None:
        """Begin to answer. Port 0 takes any free one. Raises OSError when the port is taken."""
        self._server = await asyncio.start_server(self._answer, host, port, limit=REQUEST_BYTES_MAX)

    async def stop(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= CONNECTIONS_MAX:
                async with asyncio.timeout(REQUEST_SECONDS_MAX):
                    request = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._response(request))
                    await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            # Who does not ask in time, or not in HTTP, gets no answer.
            pass
        finally:
            self._connections -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _response(self, request: bytes) -> bytes:
        if not request.startswith((b"GET /health ", b"GET /health?")):
            return _http(HTTPStatus.NOT_FOUND, {"detail": "ask for GET /health"})
        health = self._look()
        status = HTTPStatus.OK if health.well else HTTPStatus.SERVICE_UNAVAILABLE
        return _http(status, {"well": health.well, **health.details})


def _http(status: HTTPStatus, content: Mapping[str, object]) -> bytes:
    # Counters come by action code, which may be a member of an enumeration.
    body = orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS)
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
