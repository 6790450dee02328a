"""The running graph agrees with itself; what went missing on its way is found, replayed, and posted once."""

import json
from datetime import UTC, datetime

import pytest
from tests.e2e.conftest import Cloud
from tests.e2e.test_road import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_a_payment_that_the_pipe_never_saw_is_replayed_and_posted_once(cloud: Cloud) -> None:
    """A row that came into the table as a pre-authorisation, and was made to post by an update, starts nothing."""
    sent = cloud.postrail_json("inject", "--count", "1", "--seed", "51", "--duplicates", "0", "--wait")
    assert sent["posted"] == 1, sent
    payment_id = _copy_behind_the_pipes_back(cloud, sent["run_id"])
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    arguments = ("reconcile", "run", "--from", today, "--grace", "0", "--json")

    found = json.loads(cloud.postrail(*arguments).stdout)
    assert [each["kind"] for each in found["breaks"] if each["subject"] == payment_id] == ["missing"], found

    applied = json.loads(cloud.postrail(*arguments, "--apply", "--limit", "100000000").stdout)
    (patch,) = [each for each in applied["patches"] if each["subject"] == payment_id]
    assert (patch["action"], patch["status"]) == ("replay", "applied"), patch
    assert wait_for(lambda: _journal(cloud, payment_id)) == 1

    again = json.loads(cloud.postrail(*arguments, "--apply", "--limit", "100000000").stdout)
    assert [each for each in again["breaks"] if each["subject"] == payment_id] == []
    assert [each for each in again["patches"] if each["subject"] == payment_id] == []
    assert _journal(cloud, payment_id) == 1


def _copy_behind_the_pipes_back(cloud: Cloud, run_id: str) -> str:
    """The run's authorization once more as another payment: inserted resting, then changed; the pipe takes inserts."""
    dynamodb, table = cloud.client("dynamodb"), cloud.outputs["tables"]["authorizations"]["name"]
    (row,) = cloud.sql("SELECT payment_id FROM ledger.journal WHERE correlation_id = %s", run_id)
    item = dynamodb.get_item(TableName=table, Key={"payment_id": {"S": row[0]}})["Item"]
    body = json.loads(item["authorization"]["S"])
    body["payment_id"] = f"pay_{row[0][4:-4]}beef"
    body["stan"] = f"{(int(body['stan']) + 1) % 1_000_000:06d}"
    item |= {
        "payment_id": {"S": body["payment_id"]},
        "authorization": {"S": json.dumps(body)},
        "capture": {"S": "later"},
    }
    dynamodb.put_item(TableName=table, Item=item)
    dynamodb.update_item(
        TableName=table,
        Key={"payment_id": {"S": body["payment_id"]}},
        UpdateExpression="REMOVE #c",
        ExpressionAttributeNames={"#c": "capture"},
    )
    return str(body["payment_id"])


def _journal(cloud: Cloud, payment_id: str) -> int:
    return int(cloud.sql("SELECT count(*) FROM ledger.journal WHERE payment_id = %s", payment_id)[0][0])
