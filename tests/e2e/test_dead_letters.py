"""Dead letters of the running graph: found, sent on their way again, and posted once however often that is done."""

import json
from typing import Any

import pytest
from tests.e2e.conftest import Cloud
from tests.e2e.test_road import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture
def lost_on_the_way(cloud: Cloud) -> tuple[str, str]:
    """A payment that never reached `enrich`: its id, and the event as the bus would have delivered it."""
    events, sqs = cloud.client("events"), cloud.client("sqs")
    bus, rule = cloud.outputs["bus_name"], f"{cloud.outputs['name_prefix']}-enrich"
    url, arn = cloud.listening_queue("e2e-captured")
    events.put_rule(
        Name="e2e-capture", EventBusName=bus, EventPattern=json.dumps({"detail-type": ["PaymentStandardised"]})
    )
    events.put_targets(Rule="e2e-capture", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    events.disable_rule(Name=rule, EventBusName=bus)
    try:
        sent = cloud.postrail_json("inject", "--count", "1", "--seed", "31", "--duplicates", "0", "--via", "events")
        message = wait_for(lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5).get("Messages"))[0]
    finally:
        events.enable_rule(Name=rule, EventBusName=bus)
        events.remove_targets(Rule="e2e-capture", EventBusName=bus, Ids=["queue"])
        events.delete_rule(Name="e2e-capture", EventBusName=bus)
        sqs.delete_queue(QueueUrl=url)
    assert sent["injected"] == 1
    body = str(message["Body"])
    return json.loads(body)["detail"]["metadata"]["payment_id"], body


def _journal(cloud: Cloud, payment_id: str) -> int:
    return int(cloud.sql("SELECT count(*) FROM ledger.journal WHERE payment_id = %s", payment_id)[0][0])


def _bury(cloud: Cloud, body: str) -> dict[str, Any]:
    """As the queue does it after the last try; returns what `dlq list` says of the letter."""
    cloud.client("sqs").send_message(QueueUrl=cloud.outputs["queues"]["enrich"]["dlq_url"], MessageBody=body)
    listed = cloud.postrail_json("dlq", "list", "--queue", "enrich")
    (letter,) = listed["letters"]
    return dict(letter)


def test_a_letter_is_found_sent_again_and_posted_once(cloud: Cloud, lost_on_the_way: tuple[str, str]) -> None:
    """The payment goes on where it was lost; the same letter a second time changes nothing."""
    payment_id, body = lost_on_the_way
    letter = _bury(cloud, body)
    assert (letter["payment_id"], letter["reason"]) == (payment_id, "RETRIES_EXHAUSTED")
    assert _journal(cloud, payment_id) == 0

    assert cloud.postrail_json("dlq", "redrive", letter["message_id"])["sent"] == 1
    assert wait_for(lambda: _journal(cloud, payment_id)) == 1

    again = _bury(cloud, body)
    assert cloud.postrail_json("dlq", "redrive", again["message_id"])["sent"] == 1
    queue = cloud.outputs["queues"]["posting"]["url"]
    assert wait_for(lambda: _is_empty(cloud, queue))
    assert _journal(cloud, payment_id) == 1
    assert cloud.postrail_json("dlq", "list", "--queue", "enrich")["total"] == 0


def test_a_letter_of_the_intake_pipe_is_no_duplicate_of_itself(cloud: Cloud) -> None:
    """Records that the pipe gave up go through the duplicate check in the name of their first owner."""
    report = cloud.postrail_json("inject", "--count", "1", "--seed", "32", "--duplicates", "0", "--wait")
    assert report["posted"] == 1, report
    row = cloud.sql("SELECT payment_id FROM ledger.journal WHERE correlation_id = %s", report["run_id"])
    payment_id = str(row[0][0])
    parked = _parked(cloud, payment_id)
    batch = {"streamArn": "gone", "shardId": "gone", "startSequenceNumber": "1", "batchSize": 1}
    obituary = {"DDBStreamBatchInfo": batch, "items": {"keys": [{"payment_id": {"S": payment_id}}]}}
    url = cloud.outputs["dead_letter_queues"]["intake-pipe"]["url"]
    cloud.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(obituary))
    sent = cloud.postrail_json("dlq", "redrive", "--queue", "intake-pipe")
    assert sent["letters"][0]["to"] == "duplicate check"
    assert wait_for(lambda: _is_empty(cloud, cloud.outputs["queues"]["posting"]["url"]))
    assert _journal(cloud, payment_id) == 1
    assert _parked(cloud, payment_id) == parked


def test_a_discarded_letter_is_kept_with_its_reason(cloud: Cloud) -> None:
    """It leaves its queue and lies in the bucket of parked events."""
    letter = _bury(cloud, '{"nothing": "that goes on"}')
    done = cloud.postrail_json("dlq", "discard", letter["message_id"], "--why", "made by a test", "--yes")
    bucket, _, key = done["discarded"][0]["kept"].removeprefix("s3://").partition("/")
    kept = json.loads(cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    assert kept["why"] == "made by a test"
    assert cloud.postrail_json("dlq", "list", "--queue", "enrich")["total"] == 0


def _is_empty(cloud: Cloud, url: str) -> bool:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    counts = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return all(int(count) == 0 for count in counts.values())


def _parked(cloud: Cloud, payment_id: str) -> int:
    pages = cloud.client("s3").get_paginator("list_objects_v2").paginate(Bucket=cloud.outputs["parked_bucket"])
    return sum(payment_id in entry["Key"] for page in pages for entry in page.get("Contents", []))
