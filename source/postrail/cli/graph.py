"""The deployed graph that a command works with: names and addresses from Terraform's outputs, clients to reach it.

Locally both come from the local cloud's state directory: `outputs.json` (`terraform output -json`) and `cloud.json`
(endpoint, keys, DSN). In a real account the outputs come from a file, credentials from where AWS tools look for
them, and the ledger's DSN from its secret.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from pydantic import BaseModel, ConfigDict, ValidationError

from postrail.adapters.aws.secrets import read_ledger_dsn
from postrail.cli.dead_letters import HIDE_SECONDS, DeadLetterReader
from postrail.cli.failures import CommandError
from postrail.settings import CommandLineSettings

_OUTPUTS_BYTES_MAX = 4_000_000
_CLIENT_CONFIG = Config(
    connect_timeout=3,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=20,
)


class _Output(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Queue(_Output):
    """One stage's queue and where its failures go. A stage without a buffer has a dead-letter queue only."""

    name: str | None = None
    url: str | None = None
    arn: str | None = None
    dlq_url: str | None = None
    dlq_arn: str | None = None


class Table(_Output):
    """One DynamoDB table."""

    name: str
    arn: str


class Outputs(_Output):
    """What Terraform says of the graph; outputs that no command needs are ignored."""

    bus_name: str
    bus_arn: str
    tables: dict[str, Table]
    parked_bucket: str
    queues: dict[str, Queue]
    ledger_secret_arn: str = ""
    dead_letter_queues: dict[str, Queue] = {}
    topics: dict[str, Any]
    state_machine_arn: str = ""
    api: dict[str, Any] = {}
    functions: dict[str, Any] = {}
    card_vault: dict[str, str] = {}
    switch: dict[str, Any] = {}
    observability: dict[str, Any] = {}
    name_prefix: str
    region: str


class Cloud(_Output):
    """How to reach a local cloud."""

    emulator: str
    endpoint_url: str
    region: str
    access_key_id: str
    secret_access_key: str
    ledger_dsn: str
    rights: str = "not checked"

    @property
    def checks_rights(self) -> bool:
        """Whether the emulator denies what a role does not allow."""
        return self.rights == "checked"


@dataclass(frozen=True)
class Graph:
    """A deployed graph and the way to it. `cloud` is None for a real account."""

    outputs: Outputs
    cloud: Cloud | None
    dsn_override: str = ""
    values: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """All outputs by name, those included that no other command needs."""
    _clients: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def client(self, service: str) -> Any:
        """A boto3 client of this graph's account, made once."""
        if service not in self._clients:
            self._clients[service] = self._session().client(
                service,  # type: ignore[call-overload]
                endpoint_url=self.cloud.endpoint_url if self.cloud else None,
                config=_CLIENT_CONFIG,
            )
        return self._clients[service]

    def table(self, name: str) -> str:
        """The full name of a table, e.g. of `authorizations`."""
        return _pick(self.outputs.tables, name, "tables").name

    def topic_arn(self, name: str) -> str:
        """The ARN of a topic, e.g. of `alerts`."""
        topic = _pick(self.outputs.topics, name, "topics")
        return str(topic["arn"] if isinstance(topic, dict) else topic)

    def function(self, name: str) -> str:
        """The full name of a function, e.g. of `produce_cards`."""
        return str(_pick(self.outputs.functions, name, "functions")["name"])

    def api_url(self, name: str) -> str:
        """Where an HTTP API answers: `bank` or `network`. Raises CommandError when it is not deployed."""
        return str(_pick(self.outputs.api, f"{name}_url", "api"))

    def dead_letter_queues(self) -> dict[str, str]:
        """URL by name of every queue where something that could not go on may lie: stages', the pipe's, the rules'."""
        named = {_letter_box(name): queue.url for name, queue in self.outputs.dead_letter_queues.items() if queue.url}
        own = {_letter_box(name): queue.dlq_url for name, queue in self.outputs.queues.items() if queue.dlq_url}
        return own | named

    def dead_letters(self, *, hide_seconds: int = HIDE_SECONDS) -> DeadLetterReader:
        """A reader of all dead-letter queues. Use as a context manager; meanwhile others do not see the letters."""
        return DeadLetterReader(
            self.client("sqs"),
            self.dead_letter_queues(),
            streams=self.client("dynamodbstreams"),
            hide_seconds=hide_seconds,
        )

    def ledger_dsn(self) -> str:
        """The ledger's DSN: POSTRAIL_LEDGER_DSN, else the local cloud's, else the one in the graph's secret."""
        if self.dsn_override:
            return self.dsn_override
        if self.cloud is not None:
            return self.cloud.ledger_dsn
        if not self.outputs.ledger_secret_arn:
            raise CommandError("The outputs name no ledger secret: set POSTRAIL_LEDGER_DSN to the ledger's DSN.")
        return read_ledger_dsn(self.client("secretsmanager"), self.outputs.ledger_secret_arn)

    def _session(self) -> boto3.Session:
        if self.cloud is None:
            return boto3.Session(region_name=self.outputs.region)
        return boto3.Session(
            aws_access_key_id=self.cloud.access_key_id,
            aws_secret_access_key=self.cloud.secret_access_key,
            region_name=self.cloud.region,
        )


def load_graph(settings: CommandLineSettings | None = None) -> Graph:
    """The graph that the environment names: a real account's outputs file, else the local cloud.

    Raises CommandError, with what to do, when nothing is deployed or the files cannot be understood.
    """
    settings = settings or CommandLineSettings()
    if settings.outputs is not None:
        values = _read_values(settings.outputs)
        return Graph(_parse(Outputs, values, settings.outputs), None, settings.ledger_dsn, values)
    outputs, cloud = settings.local_dir / "outputs.json", settings.local_dir / "cloud.json"
    if not outputs.exists() or not cloud.exists():
        raise CommandError("No local cloud is running here: run `make local` first.")
    values = _read_values(outputs)
    reached = _parse(Cloud, _read_json(cloud), cloud)
    return Graph(_parse(Outputs, values, outputs), reached, settings.ledger_dsn, values)


def ledger_dsn(settings: CommandLineSettings | None = None) -> str:
    """The ledger's DSN for commands that need nothing else of the graph, so that a DSN alone is enough for them."""
    settings = settings or CommandLineSettings()
    return settings.ledger_dsn or local_ledger_dsn(settings) or load_graph(settings).ledger_dsn()


def local_ledger_dsn(settings: CommandLineSettings) -> str:
    """The local cloud's DSN; known before Terraform has written any outputs. Empty when there is none."""
    cloud = settings.local_dir / "cloud.json"
    if settings.outputs is not None or not cloud.exists():
        return ""
    return _parse(Cloud, _read_json(cloud), cloud).ledger_dsn


def _read_values(path: Path) -> dict[str, Any]:
    content = _read_json(path)
    if not content:
        msg = f"{path} is empty: nothing is deployed; run `make local`, or `terraform apply` for a real account."
        raise CommandError(msg)
    return {
        name: entry["value"] if isinstance(entry, dict) and "value" in entry else entry
        for name, entry in content.items()
    }


def _read_json(path: Path) -> dict[str, Any]:
    raw = path.read_bytes()
    if len(raw) > _OUTPUTS_BYTES_MAX:
        msg = f"{path} has {len(raw)} bytes: that is no `terraform output -json`."
        raise CommandError(msg)
    try:
        content = json.loads(raw)
    except ValueError as error:
        msg = f"{path} is not JSON ({error}): write it anew with `terraform output -json`."
        raise CommandError(msg) from error
    if not isinstance(content, dict):
        msg = f"{path} holds no JSON object: write it anew with `terraform output -json`."
        raise CommandError(msg)
    return content


_ModelT = TypeVar("_ModelT", bound=BaseModel)
_ItemT = TypeVar("_ItemT")


def _parse(model: type[_ModelT], content: Mapping[str, Any], path: Path) -> _ModelT:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        names = ", ".join(".".join(str(step) for step in problem["loc"]) for problem in error.errors()[:3])
        msg = f"{path} lacks what this version needs ({names}): run `make local` or `terraform apply` again."
        raise CommandError(msg) from error


def _pick(items: Mapping[str, _ItemT], name: str, output: str) -> _ItemT:
    try:
        return items[name]
    except KeyError as error:
        msg = f"The output `{output}` has no {name!r}: run `make local` or `terraform apply` again."
        raise CommandError(msg) from error


def _letter_box(name: str) -> str:
    return name if name.endswith(("-dlq", "-undelivered")) else f"{name}-dlq"
