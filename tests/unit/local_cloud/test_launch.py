"""`up`, `down` and `status` at their edges: what is refused, what is left alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from local_cloud import launch, localstack_emulator
from local_cloud.cli import app
from local_cloud.errors import LocalCloudError
from local_cloud.launch import Launch, exclusive
from local_cloud.layout import StateDir
from local_cloud.progress import Reporter
from local_cloud.teardown import tear_down


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    found = StateDir(tmp_path / "state")
    found.root.mkdir()
    return found


@pytest.fixture
def reporter() -> Reporter:
    return Reporter(Console(quiet=True))


def test_down_removes_nothing_that_up_did_not_make(state: StateDir, reporter: Reporter) -> None:
    """A mistyped --state-dir must not cost anybody a directory."""
    precious = state.root / "logs" / "precious.txt"
    precious.parent.mkdir()
    precious.write_text("mine")
    with pytest.raises(LocalCloudError, match="was not made by"):
        tear_down(state, reporter, keep_data=False)
    assert precious.read_text() == "mine"


def test_down_twice_and_of_nothing_is_no_error(state: StateDir, reporter: Reporter) -> None:
    state.marker.touch()
    tear_down(state, reporter, keep_data=False)
    assert not state.root.exists()
    tear_down(state, reporter, keep_data=False)


def test_keep_data_keeps_the_ledger_and_its_password_only(state: StateDir, reporter: Reporter) -> None:
    state.marker.touch()
    state.postgres.mkdir()
    settings = {"port": 1, "superuser_password": "s", "password": "p", "data_dir": str(state.postgres)}
    state.postgres_settings.write_text(json.dumps(settings))
    state.outputs.write_text("{}")
    state.emulator.mkdir()
    tear_down(state, reporter, keep_data=True)
    assert sorted(path.name for path in state.root.iterdir()) == [state.marker.name, "postgres", "postgres.json"]


def test_two_at_once_are_refused(state: StateDir) -> None:
    with exclusive(state), pytest.raises(LocalCloudError, match="at work"), exclusive(state):
        pass


def test_another_emulator_in_the_same_directory_is_refused(state: StateDir, reporter: Reporter) -> None:
    state.cloud.write_text('{"emulator": "localstack"}')
    with pytest.raises(LocalCloudError, match="make down"):
        Launch(state, "ministack", reporter).take(("emulator",))


def unmanaged(**changes: Any) -> str:
    pipe = {
        "Name": "rules",
        "Source": "arn:aws:sqs:eu-west-2:000000000000:q",
        "Target": "arn:aws:states:eu-west-2:000000000000:stateMachine:m",
    }
    return json.dumps({"pipes": {"value": {"rules": pipe | changes}}})


def test_no_runner_is_started_where_the_pipe_itself_runs(
    state: StateDir, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two deliverers would deliver twice."""
    started: list[object] = []
    monkeypatch.setattr(launch.processes, "start", lambda *args, **_: started.append(args))
    state.outputs.write_text(unmanaged(managed=True))
    Launch(state, "ministack", reporter).start_pipes()
    assert started == []


def test_a_pipe_that_cannot_be_played_is_named_before_anything_starts(state: StateDir, reporter: Reporter) -> None:
    state.outputs.write_text(unmanaged(Source="arn:aws:kinesis:eu-west-2:1:stream/x"))
    with pytest.raises(LocalCloudError, match="kinesis"):
        Launch(state, "ministack", reporter).start_pipes()


@pytest.mark.parametrize(
    ("docker", "works", "token", "named"),
    [
        (None, True, "t", "not installed"),
        ("/bin/docker", False, "t", "no Docker daemon answers"),
        ("/bin/docker", True, "", "LOCALSTACK_AUTH_TOKEN.*Ultimate plan.*Base plan"),
    ],
)
def test_what_localstack_needs_is_said_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, docker: str | None, works: bool, token: str, named: str
) -> None:
    monkeypatch.setattr(localstack_emulator.shutil, "which", lambda _: docker)
    monkeypatch.setattr(localstack_emulator, "_succeeds", lambda _: works)
    monkeypatch.setenv("LOCALSTACK_AUTH_TOKEN", token)
    with pytest.raises(LocalCloudError, match=named):
        localstack_emulator.check_requirements()


def test_status_of_nothing_is_a_table_an_object_and_no_failure(tmp_path: Path) -> None:
    where = ["--state-dir", str(tmp_path / "none")]
    assert CliRunner().invoke(app, ["status", *where]).exit_code == 0
    answer = CliRunner().invoke(app, ["status", "--json", *where])
    assert answer.exit_code == 0
    found = json.loads(answer.stdout)
    assert [row["running"] for row in found["processes"]] == [False, False, False, False]
    assert found["deployed"] is False
    assert not (tmp_path / "none").exists()
