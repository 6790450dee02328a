"""Calls the bank's HTTP API as any client does: over HTTP, with an access token."""

import http.client
import json
import os
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode, urlsplit

import typer

from postrail.cli.failures import CommandError
from postrail.cli.graph import Graph, load_graph
from postrail.settings import CommandLineSettings
from switch.issuing.api.routes import Route
from switch.issuing.callers import Scope
from switch.issuing.local_tokens import LocalTokens

TOKEN_VARIABLE: Final = "POSTRAIL_TOKEN"  # noqa: S105 - the name of a variable
_ANSWER_BYTES_MAX: Final = 1_000_000
_SECONDS_MAX: Final = 30.0

SubjectOption = Annotated[
    str, typer.Option("--as", help="Ask as this customer. Default: as an operator of the bank.", show_default=False)
]
BankOption = Annotated[str, typer.Option("--bank", help="The bank, by its id in config/ecosystem.yaml.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
DEFAULT_BANK: Final = "northgate"


class ApiClient:
    """One of the APIs of a deployed graph.

    The access token is that of POSTRAIL_TOKEN; on one machine, without it, each call signs one of its own.
    """

    def __init__(self, graph: Graph, *, subject: str = "", bank_id: str = DEFAULT_BANK, api: str = "bank") -> None:
        """Ask for `subject`, a customer; or, when it is empty, for the bank as its operator."""
        self._url = graph.api_url(api)
        self._local = graph.cloud is not None
        self._subject = subject
        self._bank_id = bank_id

    def call(
        self, route: Route[Any, Any], content: Mapping[str, Any], *, more: tuple[Scope, ...] = (), key: str = ""
    ) -> dict[str, Any]:
        """One request and its answer. `more` scopes widen what is given; a POST has a new idempotency key by default.

        Raises CommandError with what the API refused, and OSError when it cannot be reached.
        """
        headers = {"Authorization": f"Bearer {self._token(route.scope, *more)}", "Accept": "application/json"}
        given = {name: value for name, value in content.items() if value is not None}
        if route.changes:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": key or str(uuid.uuid4())}
            status, answer = self._exchange(route.method, route.path, headers, json.dumps(given))
        else:
            status, answer = self._exchange(route.method, f"{route.path}?{urlencode(given)}", headers, None)
        if status != route.status:
            raise CommandError(_refusal(status, answer))
        return dict(answer)

    def _token(self, *scopes: Scope) -> str:
        given = os.environ.get(TOKEN_VARIABLE, "")
        if given:
            return given
        if not self._local:
            msg = f"Set {TOKEN_VARIABLE} to an access token of the graph's token issuer."
            raise CommandError(msg)
        wanted = [*scopes] if self._subject else [*scopes, Scope.BANK_OPERATE]
        return local_tokens(CommandLineSettings()).sign(self._subject or "operator", wanted, bank_id=self._bank_id)

    def _exchange(self, method: str, path: str, headers: Mapping[str, str], body: str | None) -> tuple[int, Any]:
        place = urlsplit(self._url)
        connect = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        connection = connect(place.hostname or "", place.port, timeout=_SECONDS_MAX)
        try:
            connection.request(method, place.path.rstrip("/") + path, body, dict(headers))
            response = connection.getresponse()
            text = response.read(_ANSWER_BYTES_MAX)
        finally:
            connection.close()
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, {}


def bank_client(subject: str, bank_id: str) -> ApiClient:
    """The bank's API of the graph that the environment names."""
    return ApiClient(load_graph(), subject=subject, bank_id=bank_id)


def local_tokens(settings: CommandLineSettings) -> LocalTokens:
    """The signer of this machine's tokens. Raises CommandError where there is no local cloud."""
    if settings.outputs is not None:
        raise CommandError("Tokens for a graph in an account come from its token issuer, not from here.")
    if not (settings.local_dir / "cloud.json").exists():
        raise CommandError("No local cloud is running here: run `make local` first.")
    return LocalTokens(settings.local_dir / "keys")


def _refusal(status: int, answer: Any) -> str:
    """The sentence of a problem document (RFC 9457), or of what else came."""
    if not isinstance(answer, dict) or "title" not in answer:
        return f"The API answered with status {status}."
    faults = "; ".join(f"{fault['place']}: {fault['problem']}" for fault in answer.get("faults", ()))
    return f"{answer['title']}: {faults or answer.get('detail', '')}.".replace("..", ".")
