"""Fixtures of command-line tests: a graph as Terraform's outputs describe it, and the command line as a function."""

import json
from functools import cache

import boto3
import pytest
from moto import mock_aws

from postrail.cli.graph import Graph, load_graph
from postrail.cli.main import run
from postrail.settings import CommandLineSettings

REGION = "eu-west-2"
PREFIX = "postrail-test"


@pytest.fixture
def no_graph(monkeypatch, tmp_path):
    """Nothing is deployed: an empty state directory."""
    for name in ("POSTRAIL_OUTPUTS", "POSTRAIL_LEDGER_DSN", "POSTRAIL_DEBUG", "POSTRAIL_RULES_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("POSTRAIL_LOCAL_DIR", str(tmp_path))
    return tmp_path


# One session for all tests: reading the models of the services is what takes the time. AWS itself is empty each time.
_SESSION = boto3.Session(region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing")


class SharedAws:
    """Clients that are made once for the whole run."""

    @staticmethod
    @cache
    def client(service: str):
        """The client of a service."""
        return _SESSION.client(service)


@pytest.fixture
def aws(monkeypatch):
    """Moto in place of AWS."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(Graph, "_session", lambda _: _SESSION)
    with mock_aws():
        yield SharedAws()


@pytest.fixture
def graph(aws, no_graph) -> Graph:
    """The resources that the command line touches, made in moto, and outputs that describe them."""
    outputs = make_resources(aws)
    path = no_graph / "aws-outputs.json"
    path.write_text(json.dumps({name: {"value": value} for name, value in outputs.items()}))
    return load_graph(CommandLineSettings(outputs=path, ledger_dsn="postgresql://nobody@127.0.0.1:1/none"))


def make_resources(session: SharedAws) -> dict[str, object]:
    """Tables, bus, queues, bucket and topic; returns what Terraform would output of them."""
    tables = {}
    for name, key in (
        ("authorizations", "payment_id"),
        ("dedup", "payment_key"),
        ("reference", "pk"),
        ("velocity", "pk"),
    ):
        answer = session.client("dynamodb").create_table(
            TableName=f"{PREFIX}-{name}",
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        tables[name] = {"name": f"{PREFIX}-{name}", "arn": answer["TableDescription"]["TableArn"], "stream_arn": None}
    bus_arn = session.client("events").create_event_bus(Name=f"{PREFIX}-payments")["EventBusArn"]
    queues = {stage: _queue(session, stage) for stage in ("deduplicate", "posting")}
    undelivered = session.client("sqs").create_queue(QueueName=f"{PREFIX}-rules-undelivered")["QueueUrl"]
    session.client("s3").create_bucket(
        Bucket=f"{PREFIX}-parked-events", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    return {
        "name_prefix": PREFIX,
        "region": REGION,
        "bus_name": f"{PREFIX}-payments",
        "bus_arn": bus_arn,
        "tables": tables,
        "parked_bucket": f"{PREFIX}-parked-events",
        "queues": queues,
        "dead_letter_queues": {
            **{stage: {"name": None, "url": queue["dlq_url"], "arn": None} for stage, queue in queues.items()},
            "rules-undelivered": {"name": None, "url": undelivered, "arn": None},
        },
        "functions": {},
        "state_machine_arn": "arn:aws:states:eu-west-2:123456789012:stateMachine:x",
        "ledger_secret_arn": "",
        "topics": {"alerts": session.client("sns").create_topic(Name=f"{PREFIX}-alerts")["TopicArn"]},
        "pipes": {},
    }


def _queue(session: SharedAws, stage: str) -> dict[str, str]:
    sqs = session.client("sqs")
    return {
        "name": f"{PREFIX}-{stage}",
        "url": sqs.create_queue(QueueName=f"{PREFIX}-{stage}")["QueueUrl"],
        "arn": f"arn:aws:sqs:{REGION}:123456789012:{PREFIX}-{stage}",
        "dlq_url": sqs.create_queue(QueueName=f"{PREFIX}-{stage}-dlq")["QueueUrl"],
        "dlq_arn": f"arn:aws:sqs:{REGION}:123456789012:{PREFIX}-{stage}-dlq",
    }


@pytest.fixture
def postrail(capsys):
    """Run a command line; gives exit code, standard output and standard error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
