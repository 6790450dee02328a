"""A cloud for each test: moto in this process and, when POSTRAIL_TEST_ENDPOINT_URL names one, a running emulator."""

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws

REGION = "eu-west-2"


@dataclass
class Cloud:
    """Clients of one cloud, and its tables, queues, buses and buckets under a prefix of their own."""

    endpoint_url: str | None
    prefix: str

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint_url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def table(self, name: str, key: str) -> str:
        full_name = f"{self.prefix}-{name}"
        self.client("dynamodb").create_table(
            TableName=full_name,
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        return full_name

    def queue(self, name: str) -> str:
        return self.client("sqs").create_queue(QueueName=f"{self.prefix}-{name}")["QueueUrl"]

    def bucket(self, name: str) -> str:
        full_name = f"{self.prefix}-{name}"
        self.client("s3").create_bucket(Bucket=full_name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return full_name

    def observed_bus(self) -> tuple[str, str]:
        """A bus, and a queue that gets everything put on it."""
        events, sqs = self.client("events"), self.client("sqs")
        bus, queue_url = f"{self.prefix}-payments", self.queue("observer")
        arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.create_event_bus(Name=bus)
        events.put_rule(Name="observe", EventBusName=bus, EventPattern=json.dumps({"source": ["postrail"]}))
        events.put_targets(Rule="observe", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
        return bus, queue_url

    def messages(self, queue_url: str) -> list[dict[str, Any]]:
        """All messages of a queue, taken out of it."""
        sqs = self.client("sqs")
        taken: list[dict[str, Any]] = []
        while some := sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=0
        ).get("Messages"):
            for message in some:
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
            taken += some
        return taken


ENDPOINT_URL = os.environ.get("POSTRAIL_TEST_ENDPOINT_URL")


@pytest.fixture(params=["moto", "emulator"] if ENDPOINT_URL else ["moto"])
def cloud(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Each cloud in turn."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    if request.param == "emulator":
        monkeypatch.setenv("AWS_ENDPOINT_URL", str(ENDPOINT_URL))
        yield Cloud(ENDPOINT_URL, prefix)
        return
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield Cloud(None, prefix)
