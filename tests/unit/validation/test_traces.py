"""What marked payments leave behind is swept up; what is locked is told."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from tests.unit.validation.conftest import outputs

from postrail.cli.probes import make_probes
from postrail.sampling.selftest import selftest_token, unknown_token
from postrail.validation.deployment import Deployment, read_deployment
from postrail.validation.findings import Finding, Status, answer
from postrail.validation.traces import Traces, put_cards, questions_on_sweeping

RUN = "validate_" + "a" * 32
KEYS = {"authorizations": "payment_id", "dedup": "payment_key", "reference": "pk", "velocity": "pk"}


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The four tables, empty."""
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_DEFAULT_REGION", "eu-west-2"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("dynamodb")
        for table, key in KEYS.items():
            client.create_table(
                TableName=table,
                KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        yield client


@pytest.fixture
def deployment() -> Deployment:
    said = outputs()
    said["tables"] = {name: {"name": name, "arn": name, "stream_arn": None} for name in KEYS}
    return read_deployment(said)


def keys_in(dynamodb: Any, table: str) -> set[str]:
    return {item[KEYS[table]]["S"] for item in dynamodb.scan(TableName=table)["Items"]}


def sweep(traces: Traces, deployment: Deployment, clients: dict[str, Any], taken: dict[str, Any]) -> dict[str, Finding]:
    questions = questions_on_sweeping(traces, deployment, clients.__getitem__, lambda _: taken)
    return {question.subject: answer(question) for question in questions}


def test_cards_that_were_there_before_are_not_counted_as_ours(dynamodb: Any) -> None:
    """`postrail seed` may have put them: they stay when the run is over."""
    ours, theirs = selftest_token(1), selftest_token(2)
    put_cards(dynamodb, "reference", [theirs])
    assert put_cards(dynamodb, "reference", [ours, theirs, unknown_token(1)]) == [ours]


def test_rows_markers_counters_and_cards_of_the_run_go_and_others_stay(dynamodb: Any, deployment: Deployment) -> None:
    probes = make_probes(RUN)
    bodies = [payment.body for payment in probes.values()]
    for body in bodies:
        key = body["idempotency_key"]
        hour = body["authorized_at"][:13].replace("-", "").replace("T", "")
        dynamodb.put_item(TableName="dedup", Item={"payment_key": {"S": f"key:{key}"}})
        dynamodb.put_item(TableName="velocity", Item={"pk": {"S": f"{body['card']['token']}#{hour}"}})
    for table, key in KEYS.items():
        dynamodb.put_item(TableName=table, Item={key: {"S": "another's"}})
    row = bodies[0]["payment_id"]
    dynamodb.put_item(TableName="authorizations", Item={"payment_id": {"S": row}})
    cards = put_cards(dynamodb, "reference", [selftest_token(1)])
    swept = sweep(
        Traces(RUN, bodies, [row], cards),
        deployment,
        {"dynamodb": dynamodb, "s3": boto3.client("s3")},
        {"taken_back": 2, "refused": []},
    )
    assert {finding.status for finding in swept.values()} == {Status.OK}
    assert keys_in(dynamodb, "authorizations") == {"another's"}
    assert keys_in(dynamodb, "reference") == {"another's"}
    malformed = next(body for body in bodies if body["currency"] == "ZZZ")
    assert all(malformed["card"]["token"] in key or key == "another's" for key in keys_in(dynamodb, "velocity"))
    assert keys_in(dynamodb, "dedup") == {"another's", f"key:{malformed['idempotency_key']}"}, "it never had a marker"
    assert "2 taken back" in swept["postings"].note


def test_a_posting_that_cannot_be_taken_back_fails_the_validation(dynamodb: Any, deployment: Deployment) -> None:
    swept = sweep(
        Traces(RUN, []),
        deployment,
        {"dynamodb": dynamodb, "s3": None},
        {"taken_back": 1, "refused": ["txn_1: ACCOUNT_CLOSED closed"]},
    )
    assert swept["postings"].status is Status.FAILED
    assert "txn_1" in swept["postings"].note
    assert "ledger reverse" in swept["postings"].remedy


class Shelf:
    """A bucket whose first version is under lock."""

    def list_object_versions(self, **_: Any) -> dict[str, Any]:
        return {"Versions": [{"VersionId": "locked"}, {"VersionId": "free"}]}

    def delete_object(self, *, VersionId: str, **_: Any) -> None:  # noqa: N803 - boto3's name
        if VersionId == "locked":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "locked"}}, "DeleteObject")


def test_a_parked_event_under_lock_stays_and_is_told(dynamodb: Any, deployment: Deployment) -> None:
    traces = Traces(RUN, [], parked_uris={"s3://parked/duplicate/1.json"})
    swept = sweep(traces, deployment, {"dynamodb": dynamodb, "s3": Shelf()}, {"taken_back": 0, "refused": []})
    assert swept["parked events"].status is Status.OK
    assert "1 under lock stay" in swept["parked events"].note
