"""The same Terraform that a real account takes: applied, planned again, and (by `down`) destroyed."""

import json

import pytest
from tests.e2e.conftest import Cloud

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_a_second_plan_changes_nothing(cloud: Cloud) -> None:
    """Apply was complete: Terraform finds nothing left to do."""
    planned = cloud.local_cloud("plan", "--expect-no-changes")
    assert planned.returncode == 0, planned.stdout + planned.stderr


def test_the_password_of_the_ledger_is_in_no_state(cloud: Cloud) -> None:
    """It is in its secret, where functions read it, and in none of the files that Terraform keeps."""
    secret = cloud.client("secretsmanager").get_secret_value(SecretId=cloud.outputs["ledger_secret_arn"])
    password = json.loads(secret["SecretString"])["password"]
    assert len(password) >= 32
    kept = [path for path in cloud.state_dir.glob("terraform.tfstate*") if path.is_file()]
    assert kept
    assert [path.name for path in kept if password in path.read_text()] == []


def test_up_again_is_quick_and_changes_nothing(cloud: Cloud) -> None:
    """`make local` twice works: what runs is left running."""
    before = dict(cloud.description)
    again = cloud.local_cloud("up")
    assert again.returncode == 0, again.stdout + again.stderr
    cloud.__dict__.pop("description", None)
    assert dict(cloud.description) == before


def test_status_names_what_runs(cloud: Cloud) -> None:
    """Emulator, PostgreSQL and pipe runner show as running."""
    status = cloud.local_cloud("status")
    assert status.returncode == 0
    for name in ("emulator", "postgres", "pipe"):
        assert name in status.stdout.lower()
