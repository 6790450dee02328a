"""Figures of queues and of parked events: counted without touching them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws

from postrail.figures import queue_figures
from postrail.figures.queue_figures import QueueFigures, count_parked
from postrail.figures.series import Window

WINDOW = Window(datetime(2026, 11, 21, 12, 0, tzinfo=UTC))


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.Session(region_name="eu-west-2")


def figures_of(sqs: Any, **messages: int) -> QueueFigures:
    urls = {}
    for name, count in messages.items():
        urls[name] = sqs.create_queue(QueueName=name)["QueueUrl"]
        for _ in range(count):
            sqs.send_message(QueueUrl=urls[name], MessageBody="{}")
    return QueueFigures(sqs, urls, {f"{name}-dlq": url for name, url in urls.items()}, WINDOW)


def test_queues_are_counted_and_their_messages_left_alone(session: boto3.Session) -> None:
    """A look that received them would bring them nearer to the dead letters."""
    sqs = session.client("sqs")
    figures = figures_of(sqs, enrich=0, posting=3)
    assert {one.label: one.latest() for one in figures.depths()} == {"enrich": 0, "posting": 3}
    assert {one.label: one.latest() for one in figures.dead_letters()} == {"enrich-dlq": 0, "posting-dlq": 3}
    (message, *_) = sqs.receive_message(
        QueueUrl=sqs.get_queue_url(QueueName="posting")["QueueUrl"], AttributeNames=["ApproximateReceiveCount"]
    )["Messages"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"


def test_ages_are_known_of_empty_queues_alone(session: boto3.Session) -> None:
    """SQS tells the age of the oldest message to CloudWatch, and to nobody else."""
    enrich, posting = figures_of(session.client("sqs"), enrich=0, posting=1).ages()
    assert enrich.latest() == 0
    assert posting.latest() is None
    assert posting.why


def test_a_queue_that_is_gone_is_told_with_the_error_and_the_others_are_read(session: boto3.Session) -> None:
    sqs = session.client("sqs")
    figures = figures_of(sqs, enrich=1, posting=1)
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName="posting")["QueueUrl"])
    enrich, posting = figures.depths()
    assert enrich.latest() == 1
    assert posting.latest() is None
    assert "NonExistentQueue" in posting.why


def test_parked_events_are_counted_up_to_a_bound(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = session.client("s3")
    s3.create_bucket(Bucket="parked", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    for number in range(3):
        s3.put_object(Bucket="parked", Key=f"DUPLICATE/{number}", Body=b"{}")
    (parked,) = count_parked(s3, "parked", WINDOW)
    assert parked.latest() == 3
    monkeypatch.setattr(queue_figures, "PARKED_PAGES_MAX", 0)
    assert count_parked(s3, "parked", WINDOW)[0].latest() == 0


def test_a_bucket_that_is_gone_is_unknown(session: boto3.Session) -> None:
    (parked,) = count_parked(session.client("s3"), "nowhere", WINDOW)
    assert (parked.latest(), parked.why) == (None, "NoSuchBucket")
