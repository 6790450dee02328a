"""Serves MiniStack's application by uvicorn. Run as a script, in the environment that `emulator` makes.

MiniStack's own command serves the same application by hypercorn, whose HTTP parser is written in Python; here
httptools parses, in C, which leaves a fifth more of the emulator's one process to payments. The rest of that command is
kept: the address from BIND_HOST and GATEWAY_PORT, a long keep-alive, as many open files as allowed, an orderly end.
What the application answers stays the same, but for headers that nobody reads; twice it is helped to the answer sooner.
"""

import asyncio
import gc
import json
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_KEEP_ALIVE_S: Final = 75
_SHUTDOWN_S: Final = 3
_RIGHTS_MAX: Final = 10_000
_FOR_BROWSERS: Final = frozenset(
    {
        b"access-control-allow-origin",
        b"access-control-allow-methods",
        b"access-control-allow-headers",
        b"access-control-expose-headers",
    }
)
# Of S3's answers these are the request's name, of all others copies of x-amzn-requestid; and from the date every call
# of botocore works out until when a retry could make sense.
_FOR_S3: Final = frozenset({b"x-amz-request-id", b"x-amz-id-2", b"date"})
_AS_JSON_WOULD: Final = (
    orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS
)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class JoinedWrites:
    """A transport that sends what is written within one turn of the loop at once.

    A response is written as head and body. Sent apart, the head alone wakes the client, which then waits for the body
    on the processor that the emulator was using.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        """Everything else is the transport's own."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Keep the bytes until the loop's next turn."""
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)

    def flush(self) -> None:
        """Send what is kept, unless the client has gone meanwhile."""
        if self._parts and not self._transport.is_closing():
            self._transport.write(b"".join(self._parts))
        self._parts.clear()

    def close(self) -> None:
        """Send what is kept, then close."""
        self.flush()
        self._transport.close()


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, writing each response at once."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wrap the connection's transport."""
        super().connection_made(JoinedWrites(transport, self.loop))  # type: ignore[arg-type]


class FewerHeaders:
    """An application whose responses lack the headers that its caller has no use for.

    Python's HTTP client parses headers with the parser for mail, which takes as long as all else that is done with a
    small response. Only browsers look at permissions for other origins, and they send an Origin. An answer to an
    operation named in X-Amz-Target (that is every service with JSON in both directions) is known by its
    x-amzn-requestid alone.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "http" and (needless := needless_headers(scope["headers"])):
            send = _without(needless, send)
        await self._application(scope, receive, send)


def needless_headers(request: list[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """The response headers, in lower case, that the sender of these request headers has no use for."""
    names = {name for name, _ in request}
    if b"origin" in names:
        return frozenset()
    return _FOR_BROWSERS | _FOR_S3 if b"x-amz-target" in names else _FOR_BROWSERS


def _without(needless: frozenset[bytes], send: Send) -> Send:
    def send_fewer(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            message["headers"] = [one for one in message["headers"] if one[0].lower() not in needless]
        return send(message)

    return send_fewer


def write_json_by_orjson(module: ModuleType) -> None:
    """Give a module a `json` that writes by orjson what takes no options, and by json what orjson does not take.

    EventBridge writes each event anew for each of its targets, compact in AWS as here.
    """

    def dumps(value: Any, **options: Any) -> str:
        if not options:
            try:
                return orjson.dumps(value, option=_AS_JSON_WOULD).decode()
            except TypeError:
                pass
        return json.dumps(value, **options)

    module.json = SimpleNamespace(**{**vars(json), "dumps": dumps})  # type: ignore[attr-defined]


def remember_answers(module: ModuleType, *names: str) -> None:
    """Let functions whose answer follows from their arguments, which are texts, remember it."""
    for name in names:
        setattr(module, name, lru_cache(maxsize=512)(getattr(module, name)))


def write_down_rights(evaluator: ModuleType, path: Path) -> None:
    """Let the evaluator of rights write into a file who asked for which action, and whether they got it.

    One JSON object a line, with the first resource that it was asked for; each principal, action and answer once. The
    account's own keys, which may do everything, are left out. What roles ask for and what they are given can so be
    compared.
    """
    check = evaluator.enforce
    written: set[tuple[str, str, bool]] = set()

    def enforce(
        access_key_id: str, iam_action: str, service: str, region: str, resource_arn: str = "*", **more: Any
    ) -> Any:
        denied = check(access_key_id, iam_action, service, region, resource_arn=resource_arn, **more)
        asked = _principal(evaluator, access_key_id), iam_action, denied is None
        if asked[0] and asked not in written and len(written) < _RIGHTS_MAX:
            written.add(asked)
            line = dict(zip(("principal", "action", "allowed"), asked, strict=True), resource=resource_arn)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        return denied

    evaluator.enforce = enforce  # type: ignore[attr-defined]


def trust_who_plays_ecs(evaluator: ModuleType) -> None:
    """Let the account's own keys take the roles of tasks, as whoever plays ECS has to.

    The emulator already lets them stand for a service, but names no source of the call; roles that only tasks of this
    account may take would stay closed.
    """
    check = evaluator.evaluate_trust_policy

    def evaluate_trust_policy(trust_doc: str | dict[str, Any], caller_arn: str, ctx: Any = None) -> bool:
        if ctx is not None and ctx.principal_type == "Root":
            account = ctx.principal_account
            ctx.service_context.setdefault("aws:sourceaccount", account)
            ctx.service_context.setdefault("aws:sourcearn", f"arn:aws:ecs:{ctx.region}:{account}:task/played")
        return bool(check(trust_doc, caller_arn, ctx))

    evaluator.evaluate_trust_policy = evaluate_trust_policy  # type: ignore[attr-defined]


def _principal(evaluator: ModuleType, access_key_id: str) -> str:
    """The ARN that a key stands for; empty for the account's own and for unknown ones."""
    found = evaluator.resolve_credential(access_key_id or "")
    if getattr(found, "principal_type", "Root") == "Root":
        return ""
    return str(found.principal_arn)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    # One process does all the emulator's work, and keeps every event, log line and stream record it ever saw. A
    # collector that does not walk through all of that again and again leaves more of it for payments.
    gc.set_threshold(100_000, 50, 1_000)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # uvicorn raises the signal anew when it has shut down: by an exit that runs what ends the function workers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    write_json_by_orjson(import_module("ministack.services.eventbridge"))
    # DynamoDB parses a condition twice for every item, and there are as many conditions as there are lines with one.
    remember_answers(import_module("ministack.services.dynamodb"), "_condition_syntax_error", "_tokenize")
    if rights_log := os.environ.pop("POSTRAIL_EMULATOR_RIGHTS_LOG", ""):
        evaluator = import_module("ministack.core.iam_evaluator")
        write_down_rights(evaluator, Path(rights_log))
        trust_who_plays_ecs(evaluator)
    uvicorn.run(
        FewerHeaders(import_module("ministack.app").app),
        host=os.environ["BIND_HOST"],
        port=int(os.environ["GATEWAY_PORT"]),
        loop="uvloop",
        http=Protocol,
        ws="wsproto",
        lifespan="on",
        # The application logs as LOG_LEVEL says.
        log_config=None,
        access_log=False,
        proxy_headers=False,
        # Like AWS: the application sends these itself where they belong.
        server_header=False,
        date_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )


if __name__ == "__main__":
    main()
