"""What the schedules do to the ledger: anchors lie in a locked bucket and can be read, holds that are due are ended."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.e2e.conftest import Cloud

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def run_now(cloud: Cloud, function: str) -> dict[str, Any]:
    """Invoke a scheduled function without waiting for its hour."""
    name = cloud.outputs["functions"][function]["name"]
    answer = cloud.client("lambda").invoke(FunctionName=name, Payload=b'{"scheduled": true}')
    document: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, document
    return document


def test_an_anchor_is_kept_where_it_cannot_be_deleted_and_verify_reads_it(cloud: Cloud) -> None:
    """The function finds its bucket, the bucket locks what it gets, and `verify` holds the ledger against it."""
    kept = run_now(cloud, "anchor_ledger")
    place = cloud.outputs["ledger_anchors"]
    assert kept["place"].startswith(f"{place}/20")
    bucket, _, key = kept["place"].removeprefix("s3://").partition("/")
    s3 = cloud.client("s3")
    head = s3.head_object(Bucket=bucket, Key=key)
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert head["ObjectLockRetainUntilDate"] > datetime.now(UTC) + timedelta(hours=23)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=bucket, Key=key, VersionId=head["VersionId"])
    for anchors in (place, kept["place"]):
        report = cloud.postrail_json("ledger", "verify", "--anchor", anchors)
        assert report["clean"]
        assert report["anchors"] >= 1


def test_a_hold_that_is_due_is_ended(cloud: Cloud) -> None:
    """By the function, or by the schedule that came first."""
    spendable = "account_id LIKE 'customer:%%' AND status = 'open' AND available_minor > 100"
    account = cloud.sql(f"SELECT account_id FROM ledger.account_balances WHERE {spendable} LIMIT 1")[0][0]
    due = (datetime.now(UTC) - timedelta(seconds=1)).isoformat(timespec="seconds")
    placed = cloud.postrail_json("ledger", "hold", "place", account, "0.10", "--until", due)
    run_now(cloud, "expire_holds")
    query = "SELECT status, remaining_minor FROM ledger.hold_list WHERE hold_id = %s"
    assert cloud.sql(query, placed["hold_id"]) == [("expired", 0)]
