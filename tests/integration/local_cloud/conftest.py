"""A real emulator, and one small graph per test: table, stream, function, bus, queue, dead-letter queue."""

import io
import json
import sys
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from local_cloud import emulator, processes
from local_cloud.emulator import Emulator
from local_cloud.launch import PIPE_RUNNER
from local_cloud.layout import CHECKOUT, STATE_DIR_VARIABLE, StateDir

ENRICHMENT = """
import json, sys

def handler(event, context):
    print(json.dumps({"batch": len(event)}), file=sys.stderr)
    images = [record["dynamodb"]["NewImage"] for record in event]
    ids = [image["payment_id"]["S"] for image in images]
    if any(one.startswith("poison") for one in ids):
        raise ValueError("cannot digest this")
    return [{"data": {"payment_id": one}} for one in ids if not one.startswith("duplicate")]
"""


def zipped(source: str) -> bytes:
    """A function's archive."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("handler.py", source)
    return archive.getvalue()


@dataclass
class Cloud:
    """The emulator under test, and the state directory in which a runner plays."""

    state: StateDir
    emulator: Emulator
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self.clients:
            self.clients[service] = boto3.client(
                service,
                endpoint_url=self.emulator.endpoint_url,
                region_name=self.emulator.region,
                aws_access_key_id=self.emulator.access_key_id,
                aws_secret_access_key=self.emulator.secret_access_key,
                config=Config(proxies={}, inject_host_prefix=False),
            )
        return self.clients[service]

    def describe(self, pipes: dict[str, dict[str, Any]]) -> None:
        """Write what Terraform would have written."""
        self.state.root.mkdir(parents=True, exist_ok=True)
        self.state.cloud.write_text(
            json.dumps(
                {
                    "endpoint_url": self.emulator.endpoint_url,
                    "region": self.emulator.region,
                    "access_key_id": self.emulator.access_key_id,
                    "secret_access_key": self.emulator.secret_access_key,
                }
            )
        )
        temporary = self.state.root / "outputs.new"
        temporary.write_text(json.dumps({"pipes": {"value": pipes}}))
        temporary.replace(self.state.outputs)

    def start_runner(self) -> processes.ProcessRecord:
        env = {**processes.loopback_environment(), "PYTHONPATH": str(CHECKOUT / "localstack")}
        env[STATE_DIR_VARIABLE] = str(self.state.root)
        command = [sys.executable, "-m", "local_cloud.pipe_runner", "--state-dir", str(self.state.root)]
        return processes.start(self.state, PIPE_RUNNER, command, env=env, cwd=CHECKOUT)

    def counts(self, pipe: str) -> dict[str, Any]:
        try:
            beat = json.loads(self.state.pipe_runner_status.read_text())
        except FileNotFoundError:
            return {}
        found: dict[str, Any] = beat["pipes"].get(pipe, {})
        return found

    def receive(self, queue_url: str, enough: Callable[[list[Any]], bool], patience_s: float = 20.0) -> list[Any]:
        """Take messages (decoded bodies) until there are enough, or patience ends."""
        sqs, bodies = self.client("sqs"), []
        deadline = time.monotonic() + patience_s
        while not enough(bodies) and time.monotonic() < deadline:
            answer = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=0)
            for message in answer.get("Messages", []):
                bodies.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
            if not answer.get("Messages"):
                time.sleep(0.02)
        return bodies


@dataclass
class Graph:
    """The resources of one test."""

    cloud: Cloud
    name: str
    table: str
    stream_arn: str
    bus_arn: str
    sink_url: str
    dead_letters_url: str
    dead_letters_arn: str
    function_arn: str

    def pipe(self, **stream_parameters: Any) -> dict[str, Any]:
        """The definition of the pipe from the table to the bus."""
        parameters = {
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": 10,
            "MaximumRetryAttempts": 1,
            "MaximumRecordAgeInSeconds": 3600,
            "OnPartialBatchItemFailure": "AUTOMATIC_BISECT",
            "DeadLetterConfig": {"Arn": self.dead_letters_arn},
        }
        image = {"action_code": {"S": [{"prefix": "00"}]}, "capture": {"S": [{"exists": False}]}}
        pattern = {"eventName": ["INSERT"], "dynamodb": {"NewImage": image}}
        return {
            "Name": self.name,
            "Source": self.stream_arn,
            "SourceParameters": {
                "FilterCriteria": {"Filters": [{"Pattern": json.dumps(pattern)}]},
                "DynamoDBStreamParameters": parameters | stream_parameters,
            },
            "Enrichment": self.function_arn,
            "Target": self.bus_arn,
            "TargetParameters": {
                "EventBridgeEventBusParameters": {"DetailType": "PaymentAccepted", "Source": "postrail"}
            },
            "managed": False,
        }

    def put(self, *payment_ids: str, action_code: str = "000", **attributes: str) -> None:
        """Insert items with further attributes, twenty-five at a time."""
        dynamodb = self.cloud.client("dynamodb")
        further = {name: {"S": value} for name, value in {"action_code": action_code, **attributes}.items()}
        items = [{"PutRequest": {"Item": {"payment_id": {"S": one}, **further}}} for one in payment_ids]
        for start in range(0, len(items), 25):
            dynamodb.batch_write_item(RequestItems={self.table: items[start : start + 25]})

    def arrived(self, *expected: str, patience_s: float = 20.0) -> list[str]:
        """Payment ids that came through to the sink, until all expected ones have."""
        wanted = set(expected)
        bodies = self.cloud.receive(self.sink_url, lambda got: wanted <= {payment_id(one) for one in got}, patience_s)
        return [payment_id(body) for body in bodies]

    def dead_lettered(self, count: int, patience_s: float = 20.0) -> list[Any]:
        return self.cloud.receive(self.dead_letters_url, lambda got: len(got) >= count, patience_s)


def payment_id(event: dict[str, Any]) -> str:
    """The payment id of an EventBridge event from the sink."""
    return str(event["detail"]["data"]["payment_id"])


def build_graph(cloud: Cloud) -> Graph:
    """Create the resources of one test."""
    name = f"t{uuid.uuid4().hex[:10]}"
    dynamodb, sqs, events = cloud.client("dynamodb"), cloud.client("sqs"), cloud.client("events")
    table = dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "payment_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "payment_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )["TableDescription"]
    urls, arns = {}, {}
    for queue in ("sink", "dead"):
        urls[queue] = sqs.create_queue(QueueName=f"{name}-{queue}")["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=urls[queue], AttributeNames=["QueueArn"])
        arns[queue] = attributes["Attributes"]["QueueArn"]
    bus_arn = events.create_event_bus(Name=name)["EventBusArn"]
    events.put_rule(Name=name, EventBusName=name, EventPattern=json.dumps({"source": ["postrail"]}))
    events.put_targets(Rule=name, EventBusName=name, Targets=[{"Id": "sink", "Arn": arns["sink"]}])
    function = cloud.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="handler.handler",
        Role="arn:aws:iam::000000000000:role/any",
        Code={"ZipFile": zipped(ENRICHMENT)},
        Timeout=10,
    )
    return Graph(
        cloud,
        name,
        name,
        table["LatestStreamArn"],
        bus_arn,
        urls["sink"],
        urls["dead"],
        arns["dead"],
        function["FunctionArn"],
    )


@pytest.fixture(scope="module")
def running_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One MiniStack for a module's tests, on a port of its own."""
    state = StateDir(tmp_path_factory.mktemp("emulator"))
    yield emulator.ensure_running(state, lambda _: None, preferred_ports=())
    emulator.stop(state)


@pytest.fixture
def cloud(running_emulator: Emulator, tmp_path: Path) -> Iterator[Cloud]:
    """A state directory of its own for each test; its runner is ended with it."""
    found = Cloud(StateDir(tmp_path / "state"), running_emulator)
    yield found
    processes.stop(found.state, PIPE_RUNNER)


@pytest.fixture
def graph(cloud: Cloud) -> Graph:
    return build_graph(cloud)
