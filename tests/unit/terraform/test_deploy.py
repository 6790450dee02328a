"""What `make plan|deploy|destroy` runs: a folder for each environment, plans that are applied as they were read."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from terraform import deploy
from terraform.deploy import DeployError, Environment

VARIABLES = ["-var=batch_image_tag=abc"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout with a development and a protected environment."""
    files = {
        "terraform/main.tf": "# root",
        "terraform/modules/stage/main.tf": "# stage",
        "terraform/tests/root.tftest.hcl": "# tests",
        "terraform/environments/local.tfvars": "",
        "terraform/environments/dev.tfvars": "deletion_protection = false\n",
        "terraform/environments/prod.tfvars": "# deletion_protection = false would be wrong here\n",
        "config/figures.yaml": "figures",
        "build/enrich.zip": "archive",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture
def dev(checkout: Path) -> Environment:
    return deploy.environment_of("dev", checkout)


class Terraform:
    """Notes what it is called with; writes the plan that it is asked for, and fails at what it is told."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.calls: list[list[str]] = []

    def __call__(self, arguments: Sequence[str]) -> int:
        self.calls.append(list(arguments))
        for argument in arguments:
            if argument.startswith("-out="):
                Path(argument.removeprefix("-out=")).write_text("plan")
        return 1 if arguments[0] == self.fails else 0

    @property
    def verbs(self) -> list[str]:
        return [call[0] for call in self.calls]


def never(question: str) -> bool:
    raise AssertionError(f"nobody is to be asked: {question}")


@pytest.mark.parametrize("name", ["local", "staging", "../dev", "Dev", ""])
def test_only_an_environment_with_settings_for_an_account_is_taken(checkout: Path, name: str) -> None:
    with pytest.raises(DeployError):
        deploy.environment_of(name, checkout)


def test_the_working_folder_shows_the_code_and_neither_tests_nor_another_state(dev: Environment) -> None:
    """Modules and settings are links: what is edited in terraform/ is what is planned."""
    assert deploy.prepare(dev) == ["init", "-input=false"]
    assert (dev.root / "main.tf").read_text() == "# root"
    assert (dev.root / "modules" / "stage" / "main.tf").read_text() == "# stage"
    assert {path.name for path in dev.root.iterdir()} == {"main.tf", "modules", "environments"}


def test_a_file_that_is_gone_is_gone_from_the_working_folder(dev: Environment) -> None:
    deploy.prepare(dev)
    (dev.checkout / "terraform" / "main.tf").unlink()
    deploy.prepare(dev)
    assert not (dev.root / "main.tf").is_symlink()


def test_an_environment_with_a_backend_keeps_its_state_there(dev: Environment) -> None:
    """And loses it again with its file: one environment's choice never touches another's, nor the local cloud's."""
    dev.backend.write_text('bucket = "states"\n')
    assert deploy.prepare(dev) == ["init", "-input=false", "-backend-config=environments/dev.s3.tfbackend"]
    assert 'backend "s3"' in (dev.root / "backend.tf").read_text()
    assert not (dev.checkout / "terraform" / "backend.tf").exists()
    dev.backend.unlink()
    deploy.prepare(dev)
    assert not (dev.root / "backend.tf").exists()


def test_a_state_from_before_is_not_forgotten(dev: Environment) -> None:
    """Without it Terraform would make everything a second time."""
    (dev.checkout / "terraform" / "terraform.tfstate").write_text("{}")
    with pytest.raises(DeployError, match="move it"):
        deploy.prepare(dev)


def test_deploy_applies_the_plan_that_was_read_and_asks_nobody(dev: Environment) -> None:
    terraform = Terraform()
    deploy.plan(dev, terraform, VARIABLES)
    assert dev.plan.stat().st_mode & 0o077 == 0
    deploy.deploy(dev, terraform, VARIABLES, confirm=never)
    assert terraform.verbs == ["init", "plan", "apply"]
    assert terraform.calls[-1][-1] == str(dev.plan)
    assert not dev.plan.exists(), "a plan can be applied once"


@pytest.mark.parametrize(
    "changed",
    ["terraform/modules/stage/main.tf", "terraform/environments/dev.tfvars", "config/figures.yaml", "build/enrich.zip"],
)
def test_a_plan_of_other_sources_is_made_anew_and_asked_for(dev: Environment, changed: str) -> None:
    """Code, settings, archives: what was read is not what would be deployed."""
    terraform = Terraform()
    deploy.plan(dev, terraform, VARIABLES)
    (dev.checkout / changed).write_text("deletion_protection = false # changed")
    with pytest.raises(DeployError, match="Nothing was applied"):
        deploy.deploy(dev, terraform, VARIABLES, confirm=lambda _: False)
    assert terraform.verbs == ["init", "plan", "init", "plan"]


def test_another_image_is_another_plan(dev: Environment) -> None:
    deploy.plan(dev, Terraform(), VARIABLES)
    assert deploy.is_fresh(dev, VARIABLES)
    assert not deploy.is_fresh(dev, ["-var=batch_image_tag=def"])


def test_a_plan_gets_old(dev: Environment) -> None:
    deploy.plan(dev, Terraform(), VARIABLES)
    kept = json.loads(dev.digest.read_text())
    dev.digest.write_text(json.dumps(kept | {"made_at": kept["made_at"] - deploy.PLAN_SECONDS_MAX - 1}))
    assert not deploy.is_fresh(dev, VARIABLES)


def test_an_apply_that_broke_off_leaves_no_plan_to_repeat(dev: Environment) -> None:
    terraform = Terraform(fails="apply")
    deploy.plan(dev, terraform, VARIABLES)
    with pytest.raises(DeployError, match="terraform apply"):
        deploy.deploy(dev, terraform, VARIABLES, confirm=never)
    assert not dev.plan.exists()


def test_a_failed_plan_is_not_kept(dev: Environment) -> None:
    with pytest.raises(DeployError, match="terraform plan"):
        deploy.plan(dev, Terraform(fails="plan"), VARIABLES)
    assert not deploy.is_fresh(dev, VARIABLES)


@pytest.mark.parametrize("confirmed", ["", "yes", "dev"])
def test_what_is_protected_is_destroyed_by_its_own_name_only(checkout: Path, confirmed: str) -> None:
    terraform, prod = Terraform(), deploy.environment_of("prod", checkout)
    with pytest.raises(DeployError, match="CONFIRM=prod"):
        deploy.destroy(prod, terraform, VARIABLES, confirmed=confirmed)
    assert not terraform.calls
    deploy.destroy(prod, terraform, VARIABLES, confirmed="prod")
    assert terraform.verbs == ["init", "destroy"]


def test_an_unprotected_environment_is_destroyed_when_terraform_has_asked(dev: Environment) -> None:
    """No -auto-approve: Terraform shows what goes, and waits for a yes."""
    terraform = Terraform()
    dev.outputs.write_text("{}")
    deploy.destroy(dev, terraform, VARIABLES, confirmed="")
    assert terraform.calls[-1] == ["destroy", "-var-file=environments/dev.tfvars", *VARIABLES]
    assert not dev.outputs.exists()
