"""A file dropped in the inbox is posted, by Terraform's own rule, transformer and task environment."""

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Cloud
from tests.e2e.test_road import assert_ledger_balanced, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROWS = 400


def journal_rows(cloud: Cloud) -> int:
    """Payments in the journal."""
    return int(cloud.sql("SELECT count(*) FROM ledger.journal_transactions WHERE payment_key IS NOT NULL")[0][0])


def beat(cloud: Cloud) -> dict[str, Any]:
    """What the batch runner says of itself."""
    document: dict[str, Any] = json.loads((cloud.state_dir / "batch-runner.json").read_text())
    return document


def drop(cloud: Cloud, name: str, content: bytes) -> str:
    """Put a file into the inbox; its key."""
    key = f"incoming/{name}"
    cloud.client("s3").put_object(Bucket=cloud.outputs["batch"]["bucket"], Key=key, Body=content)
    return key


def wait_for_runs(cloud: Cloud, *, more_than: dict[str, Any]) -> dict[str, Any]:
    """Wait until one more run has ended."""
    ended = more_than["done"] + more_than["failed"]
    wait_for(lambda: beat(cloud)["done"] + beat(cloud)["failed"] > ended, seconds=120)
    return beat(cloud)


def reports(cloud: Cloud) -> list[dict[str, Any]]:
    """The reports that runs have printed, oldest first."""
    lines = (cloud.state_dir / "logs" / "batch-runs.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


@pytest.fixture(scope="module")
def day(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A compressed file of a few hundred payments of the seeded accounts, with duplicates and rows that are none."""
    path = tmp_path_factory.mktemp("batch") / "day.jsonl.gz"
    # The accounts of seed 1 are those that `up` has seeded.
    sizes = ["--count", str(ROWS), "--seed", "1", "--duplicates", "0.1", "--malformed", "0.02"]
    done = cloud.postrail("batch", "generate", *sizes, "--out", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    return path.read_bytes()


def test_a_file_in_the_inbox_is_posted_and_its_refused_rows_come_back(cloud: Cloud, day: bytes) -> None:
    """Rule, command and result: every row comes to one end, and what was not posted is told with its line."""
    before, already = beat(cloud), journal_rows(cloud)
    key = drop(cloud, "day 1.jsonl.gz", day)
    after = wait_for_runs(cloud, more_than=before)
    log = (cloud.state_dir / "logs" / "batch-runs.log").read_text()[-3000:]
    assert (after["done"], after["failed"]) == (before["done"] + 1, before["failed"]), log
    report = reports(cloud)[-1]
    assert report["lines"] == ROWS, report
    assert report["posted"] == journal_rows(cloud) - already, report
    assert report["posted"] > ROWS / 2, report
    assert report["malformed"] > 0, report
    refused = ROWS - report["posted"]
    stored = cloud.client("s3").get_object(
        Bucket=cloud.outputs["batch"]["bucket"], Key=f"results/{key}.refused.jsonl"
    )["Body"].read()  # fmt: skip
    rows = [json.loads(line) for line in stored.splitlines()]
    assert len(rows) == refused, (report, rows[:3])
    assert all(row["line"] and row["outcome"] and row["reason_code"] for row in rows)
    assert_ledger_balanced(cloud)


def test_the_same_file_again_posts_nothing(cloud: Cloud, day: bytes) -> None:
    """An event delivered twice, or a copy under another name, is the same run."""
    before, already = beat(cloud), journal_rows(cloud)
    drop(cloud, "copy-of-day.jsonl.gz", day)
    after = wait_for_runs(cloud, more_than=before)
    assert after["failed"] == before["failed"]
    assert journal_rows(cloud) == already


def test_a_file_that_breaks_off_is_told_to_people(cloud: Cloud, day: bytes) -> None:
    """The run fails with one sentence, the topic `alerts` names the command, and the books stay clean."""
    sqs, sns = cloud.client("sqs"), cloud.client("sns")
    queue, arn = cloud.listening_queue("e2e-batch-alerts")
    subscription = sns.subscribe(TopicArn=cloud.outputs["topics"]["alerts"], Protocol="sqs", Endpoint=arn)
    try:
        before = beat(cloud)
        content = gzip.compress(gzip.decompress(day)[:-50], mtime=0)
        drop(cloud, "broken.jsonl.gz", content[:-100])
        after = wait_for_runs(cloud, more_than=before)
        assert after["failed"] == before["failed"] + 1
        message = wait_for(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"), seconds=20)
        assert "broken.jsonl.gz" in json.loads(message[0]["Body"])["Message"]
    finally:
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
        sqs.delete_queue(QueueUrl=queue)
    assert_ledger_balanced(cloud)


def test_results_folders_and_quoted_names_start_nothing(cloud: Cloud, tmp_path: Path) -> None:
    """Else a result would start a task for ever, and a quote would end the command's argument."""
    before = beat(cloud)
    s3, bucket = cloud.client("s3"), cloud.outputs["batch"]["bucket"]
    for key in ("results/incoming/day.csv.refused.jsonl", "incoming/2026/", 'incoming/x","--help.csv'):
        s3.put_object(Bucket=bucket, Key=key, Body=b"" if key.endswith("/") else b"x")
    drop(cloud, "empty.csv", b"")  # behind them in the queue: when it has failed, they would have been taken
    after = wait_for_runs(cloud, more_than=before)
    assert (after["done"], after["failed"]) == (before["done"], before["failed"] + 1)
    time.sleep(3)
    assert beat(cloud)["done"] + beat(cloud)["failed"] == after["done"] + after["failed"]


def test_the_task_definition_is_what_ecs_stores(cloud: Cloud) -> None:
    """The emulator took cluster and task definition: read-only, without root, and with the secret's address alone."""
    ecs = cloud.client("ecs")
    arn = cloud.outputs["batch"]["task_definition_arn"]
    (container,) = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]["containerDefinitions"]
    assert container["readonlyRootFilesystem"] is True
    assert container["user"] == "10001:10001"
    environment = {one["name"]: one["value"] for one in container["environment"]}
    assert environment["POSTRAIL_LEDGER_SECRET_ARN"] == cloud.outputs["ledger_secret_arn"]
    assert environment == cloud.outputs["batch"]["environment"] | {"TMPDIR": "/scratch"}
