"""Payments through the whole graph: Terraform's own resources, real events, a real ledger."""

import json
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.e2e.conftest import REPO, Cloud

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ENDS = ("posted", "parked", "rejected", "referred", "dead_lettered")


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """The condition's first true value; the last one when time is up."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return value


def assert_all_accounted_for(report: dict[str, Any]) -> None:
    """Every injected payment came to exactly one end."""
    assert sum(report[end] for end in ENDS) == report["injected"], report
    assert report["unaccounted"] == 0, report


def assert_ledger_balanced(cloud: Cloud) -> None:
    """The ledger verifies, and each currency's entries sum to zero by plain SQL."""
    verified = cloud.postrail("ledger", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    sums = cloud.sql("SELECT currency, sum(amount_minor) FROM ledger.journal_entries GROUP BY currency")
    assert sums, "the ledger has entries"
    assert all(total == 0 for _, total in sums), sums


def test_every_edge_of_the_graph_delivers(cloud: Cloud) -> None:
    """The self test sees a marked payment on every edge."""
    done = cloud.postrail("selftest")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_thousand_payments_with_duplicates_are_posted_once_each(cloud: Cloud) -> None:
    """None lost, none twice, through table and pipe."""
    report = cloud.postrail_json(
        "inject", "--count", "1000", "--seed", "7", "--duplicates", "0.1", "--via", "table", "--wait"
    )
    assert report["injected"] == 1000
    assert report["parked"] == 100, report
    assert report["posted"] > 600, report
    assert report["referred"] > 0, report
    assert report["rejected"] > 0, report
    assert_all_accounted_for(report)
    twice = cloud.sql("SELECT payment_key, count(*) FROM ledger.journal GROUP BY payment_key HAVING count(*) > 1")
    assert twice == []
    run = report["run_id"]
    posted = cloud.sql(
        "SELECT count(*) FROM ledger.journal t JOIN ledger.posting_sequences s USING (sequence_id)"
        " WHERE s.correlation_id = %s",
        run,
    )
    assert posted == [(report["posted"],)]
    parked = cloud.sql(
        "SELECT count(*) FROM audit.outcomes WHERE detail_type = 'DuplicateParked' AND correlation_id = %s", run
    )
    assert parked == [(100,)]
    assert_ledger_balanced(cloud)


def test_parked_events_lie_in_the_bucket_with_their_reason(cloud: Cloud) -> None:
    """A duplicate and a conflict each leave an object that names reason and first payment."""
    report = cloud.postrail_json(
        "inject", "--count", "100", "--seed", "8", "--duplicates", "0.2", "--via", "table", "--wait"
    )
    assert report["parked"] == 20
    rows = cloud.sql(
        "SELECT event->'data'->>'parked_uri', event->'data'->>'first_payment_id', reason_code FROM audit.outcomes"
        " WHERE detail_type = 'DuplicateParked' AND correlation_id = %s",
        report["run_id"],
    )
    assert {reason for _, _, reason in rows} == {"DUPLICATE", "CONFLICT"}
    s3 = cloud.client("s3")
    for uri, first_payment_id, reason in rows:
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        parked = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        assert parked["reason"] == reason
        assert parked["first"]["payment_id"] == first_payment_id


def test_malformed_events_end_in_a_dead_letter_queue_with_a_reason(cloud: Cloud) -> None:
    """Bad input of every kind is dead-lettered with its reason; its neighbours are posted."""
    report = cloud.postrail_json(
        "inject",
        "--count",
        "120",
        "--seed",
        "9",
        "--duplicates",
        "0",
        "--malformed",
        "0.2",
        "--via",
        "events",
        "--wait",
    )
    assert report["dead_lettered"] == 24, report
    assert_all_accounted_for(report)
    expected = {"UNKNOWN_CURRENCY", "INVALID_AMOUNT", "UNKNOWN_FIELD", "WRONG_TYPE", "CLEAR_PAN", "MISSING_FIELD"}
    assert expected <= set(report["reasons"]["dead_lettered"]), report["reasons"]


def test_the_documented_example_works_with_put_events(cloud: Cloud) -> None:
    """What the README tells a producer to send is posted."""
    entries = json.loads((REPO / "schemas/PaymentAuthorized/v1/examples/put_events.json").read_text())
    example = json.loads(entries[0]["Detail"])
    payment_id = f"pay_{uuid.uuid4().hex}"
    example["metadata"] |= {"payment_id": payment_id, "event_id": f"evt_{uuid.uuid4().hex}"}
    example["data"]["authorization"] |= {
        "payment_id": payment_id,
        "transmission_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    entry = entries[0] | {"Detail": json.dumps(example)}
    assert entry["EventBusName"] == cloud.outputs["bus_name"]
    answer = cloud.client("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0

    def traced() -> dict[str, Any] | None:
        done = cloud.postrail("trace", payment_id, "--json")
        document: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
        return document if document.get("state") == "posted" else None

    trace = wait_for(traced)
    assert trace, cloud.postrail("trace", payment_id).stdout
    types = [hop["type"] for hop in trace["hops"]]
    road = ["PaymentAuthorized", "PaymentAccepted", "PaymentStandardised", "PaymentEnriched", "PaymentApproved"]
    assert types[:5] == road
    assert "PaymentPosted" in types
    assert trace["decision"]["version"]
    legs = trace["posting"]["transaction"]["legs"]
    assert len(legs) >= 2
    assert sum(leg["amount_minor"] * (1 if leg["direction"] == "credit" else -1) for leg in legs) == 0


def test_parts_of_a_sequence_wait_for_each_other_and_are_reported_when_overdue(cloud: Cloud) -> None:
    """A sequence with a missing part posts nothing, is visible, and raises PostingSequenceOverdue."""
    row = cloud.sql(
        "SELECT p.event FROM ledger.posting_parts p JOIN ledger.posting_sequences s USING (sequence_id)"
        " WHERE s.total = 1 AND s.status = 'posted' LIMIT 1"
    )
    event = row[0][0] if isinstance(row[0][0], dict) else json.loads(row[0][0])
    fresh = uuid.uuid4().hex
    data = event["data"]
    data |= {"payment_id": f"pay_{fresh}", "sequence_id": f"seq_{fresh}", "total": 2, "payment_key": f"key:{fresh}"}
    data["booking"]["authorization"]["payment_id"] = f"pay_{fresh}"
    event["metadata"] |= {"payment_id": f"pay_{fresh}", "event_id": f"evt_{fresh}"}
    cloud.client("events").put_events(
        Entries=[
            {
                "EventBusName": cloud.outputs["bus_name"],
                "Source": "postrail",
                "DetailType": "PostingRequested",
                "Detail": json.dumps(event),
            }
        ]
    )
    query = "SELECT status, overdue_alerted_at FROM ledger.posting_sequences WHERE sequence_id = %s"
    assert wait_for(lambda: cloud.sql(query, f"seq_{fresh}")) == [("waiting", None)]
    watcher = cloud.outputs["functions"]["watch_sequences"]["name"]
    configuration = cloud.client("lambda").get_function_configuration(FunctionName=watcher)
    time.sleep(int(configuration["Environment"]["Variables"]["POSTRAIL_SEQUENCE_TIMEOUT_SECONDS"]) + 1)
    cloud.client("lambda").invoke(FunctionName=watcher, Payload=b"{}")
    status, alerted_at = wait_for(lambda: cloud.sql(query, f"seq_{fresh}"))[0]
    assert status == "waiting"
    assert alerted_at is not None
    shown = [
        each for each in cloud.postrail_json("ledger", "waiting")["waiting"] if each["sequence_id"] == f"seq_{fresh}"
    ]
    assert [(each["missing"], each["total"], each["alerted_at"] is not None) for each in shown] == [([2], 2, True)]
    overdue = cloud.sql(
        "SELECT count(*) FROM ledger.outbox WHERE detail_type = 'PostingSequenceOverdue' AND payment_id = %s",
        f"pay_{fresh}",
    )
    assert overdue == [(1,)]
