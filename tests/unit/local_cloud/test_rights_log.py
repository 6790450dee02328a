"""An emulator that checks rights: what it writes down, whom it lets play ECS, and that one that runs stays as it is."""

import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from local_cloud import emulator, processes
from local_cloud.emulator_server import trust_who_plays_ecs, write_down_rights
from local_cloud.errors import LocalCloudError
from local_cloud.layout import StateDir

ROLE = "arn:aws:sts::000000000000:assumed-role/postrail-local-enrich-function/postrail-local-enrich"


class Evaluator(ModuleType):
    """MiniStack's evaluator as far as it is used here: one role, which may read, and the account's own key."""

    def __init__(self) -> None:
        super().__init__("evaluator")
        self.trusted: list[dict[str, str]] = []

    def resolve_credential(self, access_key_id: str) -> object:
        if access_key_id == "ASIAROLE":
            return SimpleNamespace(principal_type="AssumedRole", principal_arn=ROLE)
        return SimpleNamespace(principal_type="Root", principal_arn="arn:aws:iam::000000000000:root")

    def enforce(self, access_key_id: str, iam_action: str, *_: object, **__: object) -> str | None:
        return None if iam_action.endswith("GetItem") or access_key_id != "ASIAROLE" else "denied"

    def evaluate_trust_policy(self, _trust_doc: object, _caller_arn: str, ctx: Any = None) -> bool:
        self.trusted.append(dict(ctx.service_context))
        return True


def test_each_question_is_written_once_with_its_answer(tmp_path: Path) -> None:
    """And the answer itself is not changed by that. The account's own key may do everything, which says nothing."""
    evaluator, path = Evaluator(), tmp_path / "rights.jsonl"
    write_down_rights(evaluator, path)
    for _ in range(2):
        assert evaluator.enforce("ASIAROLE", "dynamodb:GetItem", "dynamodb", "eu-west-2", resource_arn="arn:t") is None
        assert evaluator.enforce("ASIAROLE", "dynamodb:PutItem", "dynamodb", "eu-west-2") == "denied"
        assert evaluator.enforce("test", "dynamodb:PutItem", "dynamodb", "eu-west-2") is None
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"principal": ROLE, "action": "dynamodb:GetItem", "allowed": True, "resource": "arn:t"},
        {"principal": ROLE, "action": "dynamodb:PutItem", "allowed": False, "resource": "*"},
    ]


@pytest.mark.parametrize(("principal_type", "told"), [("Root", True), ("User", False)])
def test_the_accounts_own_key_may_play_ecs(principal_type: str, told: bool) -> None:
    """It names this account as the source of its call; nobody else gets a source for free."""
    evaluator = Evaluator()
    trust_who_plays_ecs(evaluator)
    context = SimpleNamespace(
        principal_type=principal_type, principal_account="000000000000", region="eu-west-2", service_context={}
    )
    assert evaluator.evaluate_trust_policy({}, "arn:aws:iam::000000000000:root", context)
    source = {
        "aws:sourceaccount": "000000000000",
        "aws:sourcearn": "arn:aws:ecs:eu-west-2:000000000000:task/played",
    }
    assert evaluator.trusted == [source if told else {}]


@pytest.mark.parametrize(("runs", "wanted"), [("enabled", False), ("disabled", True)])
def test_an_emulator_that_runs_is_not_changed(
    runs: str, wanted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who wants the other kind has to end it first; who does not care gets it as it is."""
    record = SimpleNamespace(address="http://127.0.0.1:1", boot_id="boot")
    monkeypatch.setattr(processes, "running", lambda *_: record)
    monkeypatch.setattr(emulator, "_health", lambda _: {"services": {}, "auth": runs})
    state = StateDir(tmp_path)
    with pytest.raises(LocalCloudError, match="end it first"):
        emulator.ensure_running(state, lambda _: None, check_rights=wanted)
    found = emulator.ensure_running(state, lambda _: None)
    assert found.checks_rights is (runs == "enabled")
