"""The stand-in for ECS: which commands it takes, what they see, and what becomes of the message."""

import json
from pathlib import Path
from typing import Any

import pytest

from local_cloud.batch_runner import (
    BatchRunner,
    Deployment,
    NotACommandError,
    command_of,
    read_deployment,
    task_environment,
    unmanaged_batch,
)
from local_cloud.layout import StateDir

CLOUD = {
    "emulator": "ministack",
    "endpoint_url": "http://127.0.0.1:4566",
    "region": "eu-west-2",
    "access_key_id": "test",
    "secret_access_key": "test",
    "ledger_dsn": "postgresql://postrail@127.0.0.1/ledger",
}
BATCH: dict[str, Any] = {
    "managed": False,
    "queue_url": "http://127.0.0.1:4566/000000000000/postrail-test-batch",
    "container": "postrail",
    "task_definition_arn": "arn:aws:ecs:eu-west-2:000000000000:task-definition/postrail-test-batch:1",
    "environment": {"POSTRAIL_REFERENCE_TABLE": "postrail-test-reference"},
    "inbox": "s3://inbox/incoming/",
}


class FakeClient:
    """SQS and SNS as far as the runner uses them."""

    def __init__(self, *bodies: str) -> None:
        self.waiting = [{"Body": body, "ReceiptHandle": f"receipt-{number}"} for number, body in enumerate(bodies)]
        self.deleted: list[str] = []
        self.alerts: list[str] = []

    def receive_message(self, **_request: object) -> dict[str, Any]:
        return {"Messages": [self.waiting.pop(0)]} if self.waiting else {}

    def delete_message(self, *, ReceiptHandle: str, **_request: object) -> None:  # noqa: N803 (boto3's name)
        self.deleted.append(ReceiptHandle)

    def publish(self, *, Message: str, **_request: object) -> None:  # noqa: N803 (boto3's name)
        self.alerts.append(Message)


def overrides(*command: str, name: str = "postrail") -> str:
    return json.dumps({"containerOverrides": [{"name": name, "command": list(command)}]})


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    found = StateDir(tmp_path)
    found.logs.mkdir()
    (tmp_path / "batch").mkdir()
    found.outputs.write_text(json.dumps({"batch": {"value": BATCH}, "topics": {"value": {"alerts": "arn:alerts"}}}))
    found.cloud.write_text(json.dumps(CLOUD))
    return found


def take(state: StateDir, client: FakeClient) -> BatchRunner:
    """Let a runner take what is at hand."""
    runner = BatchRunner(state)
    runner._clients |= {"sqs": client, "sns": client}
    deployment = read_deployment(state)
    assert deployment is not None
    assert runner._take(deployment)
    return runner


def test_the_command_of_the_overrides_is_taken_word_by_word() -> None:
    """A blank in a file's name does not make two arguments of it."""
    body = overrides("batch", "run", "s3://inbox/incoming/day 1.csv")
    assert command_of(body, "postrail") == ["batch", "run", "s3://inbox/incoming/day 1.csv"]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '"text"',
        overrides("batch", name="another"),
        '{"containerOverrides": [{"name": "postrail"}]}',
        '{"containerOverrides": [{"name": "postrail", "command": [1]}]}',
        overrides("x" * 20_000),
    ],
)
def test_what_ecs_would_refuse_is_refused(body: str) -> None:
    with pytest.raises(NotACommandError):
        command_of(body, "postrail")


def test_a_run_that_ends_well_is_done_and_silent(state: StateDir) -> None:
    client = FakeClient(overrides("--version"))
    take(state, client)
    assert client.deleted == ["receipt-0"]
    assert client.alerts == []
    assert "postrail" in state.log("batch-runs").read_text()
    beat = json.loads(state.batch_runner_status.read_text())
    assert (beat["done"], beat["failed"], beat["doing"]) == (1, 0, "waiting for files")


def test_a_run_that_fails_is_told_and_not_started_again(state: StateDir) -> None:
    """As ECS does it: the alert names the command, and the file waits for people."""
    client = FakeClient(overrides("no-such-command", "s3://inbox/incoming/day.csv"))
    take(state, client)
    assert client.deleted == ["receipt-0"]
    assert len(client.alerts) == 1
    assert "s3://inbox/incoming/day.csv" in client.alerts[0]
    assert "exit code 2" in client.alerts[0]
    assert json.loads(state.batch_runner_status.read_text())["failed"] == 1


def test_a_message_that_is_no_command_stays_for_the_dead_letter_queue(state: StateDir) -> None:
    client = FakeClient("nonsense")
    take(state, client)
    assert client.deleted == []
    assert client.alerts == []


def test_a_stop_in_the_middle_leaves_the_command_on_the_queue(state: StateDir) -> None:
    """The next runner takes it up, and the run goes on behind its last chunk."""
    client = FakeClient(overrides("--version"))
    runner = BatchRunner(state)
    runner._clients |= {"sqs": client, "sns": client}
    runner.request_stop()
    deployment = read_deployment(state)
    assert deployment is not None
    runner._take(deployment)
    assert client.deleted == []
    assert client.alerts == []


def test_the_command_sees_the_task_definition_and_no_local_cloud(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a container would not have is not there: no state directory, no settings of the shell."""
    monkeypatch.setenv("POSTRAIL_LOCAL_DIR", "/somewhere/.local")
    monkeypatch.setenv("POSTRAIL_OUTPUTS", "/somewhere/outputs.json")
    monkeypatch.setenv("AWS_PROFILE", "production")
    deployment = Deployment("url", "postrail", BATCH["environment"], "arn:alerts", CLOUD)
    environment = task_environment(deployment, tmp_path)
    settings = {name: value for name, value in environment.items() if name.startswith("POSTRAIL_")}
    assert settings == BATCH["environment"]
    assert "AWS_PROFILE" not in environment
    assert environment["AWS_ENDPOINT_URL"] == CLOUD["endpoint_url"]
    assert environment["TMPDIR"] == str(tmp_path)


@pytest.mark.parametrize("outputs", [{}, {"batch": {"value": BATCH | {"managed": True}}}])
def test_where_ecs_runs_tasks_nothing_is_run_beside_it(outputs: dict[str, Any]) -> None:
    assert unmanaged_batch(outputs) is None
