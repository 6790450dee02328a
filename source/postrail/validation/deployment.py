"""What a deployment says of itself: Terraform's outputs, as a validation reads them."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict


class _Said(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Target(_Said):
    """What the place it was deployed to can do; a real account can do all of it."""

    emulator: bool = False
    pipes_run: bool = True
    tracing: bool = True
    tasks_run: bool = True
    alarms_run: bool = True
    jwt_authorizer: bool = True


class Rule(_Said):
    """One rule: its bus, its pattern as JSON text, and where it leads."""

    bus: str
    pattern: str
    target_arns: tuple[str, ...]


class Bucket(_Said):
    """One bucket; `lock_mode` and `lock_days` are None without a default retention."""

    name: str
    lock_mode: str | None = None
    lock_days: int | None = None


class Network(_Said):
    """The VPC; without `vpc_id` nothing is in one. Endpoints are the services' short names: sqs, kms, ..."""

    vpc_id: str | None = None
    endpoints: tuple[str, ...] = ()
    flow_logs: bool = False


class Expectations(_Said):
    """The output `expectations`: what must be found, besides what the other outputs name."""

    account_id: str
    target: Target
    deletion_protection: bool
    max_receive_count: int
    log_retention_days: int
    archive: str
    windows_seconds: int = 0
    consumers: dict[str, str]
    schedules: dict[str, str]
    keys: dict[str, str]
    rules: dict[str, Rule]
    buckets: dict[str, Bucket]
    alarms: tuple[str, ...] = ()
    dashboards: tuple[str, ...] = ()
    trail: str | None = None
    network: Network = Network()


class Named(_Said):
    """A thing with a name and an ARN."""

    name: str
    arn: str
    stream_arn: str | None = None


class Queue(_Said):
    """A stage's queue, and the one where its failures go. A stage in real time has the latter only."""

    url: str | None = None
    arn: str | None = None
    dlq_url: str
    dlq_arn: str


class Letters(_Said):
    """A dead-letter queue."""

    url: str
    arn: str


class Pipe(_Said):
    """A pipe as DescribePipe shows it; `managed` is False where a runner plays it."""

    Name: str
    Source: str
    Enrichment: str | None = None
    Target: str
    managed: bool


class Party(_Said):
    """A network or a bank of the switch."""

    keys_secret_arn: str | None = None
    tls_secret_arn: str | None = None


class Switch(_Said):
    """The switch; `managed` is False where no service runs."""

    managed: bool
    cluster_arn: str
    parties: dict[str, Party]


class Batch(_Said):
    """The task for batch files."""

    managed: bool
    cluster_arn: str
    task_definition_arn: str


class Ledger(_Said):
    """The database that was made, and its proxy."""

    id: str
    instances: tuple[str, ...]
    proxy: str


class EdgeKey(_Said):
    """Where the edge's key is kept for functions that check it."""

    secret_arn: str


class Edge(_Said):
    """What stands before the APIs: its addresses by API. `guarded`: functions refuse what did not come by it."""

    addresses: dict[str, str]
    guarded: bool
    key: EdgeKey


class Deployment(_Said):
    """Everything that a validation needs to know before it looks."""

    name_prefix: str
    region: str
    bus_name: str
    tables: dict[str, Named]
    queues: dict[str, Queue]
    dead_letter_queues: dict[str, Letters]
    functions: dict[str, Named]
    topics: dict[str, str]
    pipes: dict[str, Pipe]
    state_machine_arn: str
    ledger_secret_arn: str | None = None
    ledger: Ledger | None = None
    api: dict[str, Any]
    edge: Edge | None = None
    switch: Switch
    batch: Batch
    card_vault: dict[str, str]
    expectations: Expectations

    @property
    def target(self) -> Target:
        """What the place it was deployed to can do."""
        return self.expectations.target


def read_deployment(values: Mapping[str, Any]) -> Deployment:
    """Read outputs by name. Raises pydantic's ValidationError when they are another version's."""
    return Deployment.model_validate(values)
