"""Plans, deploys and destroys one environment in a real account: what `make plan|deploy|destroy ENV=...` runs.

Every environment gets a working folder of its own beside `terraform/`, `.deploy-ENV`, made of links to its files. There
lie the provider, the choice of backend and, without a backend, the state: two environments never meet in one state, and
`make local` and `terraform test`, which work in `terraform/` itself, know nothing of any backend. An environment whose
`environments/ENV.s3.tfbackend` exists keeps its state in that bucket.

A plan is written to `build/ENV.plan` with a digest of everything that it was made of. `deploy` applies exactly that
plan as long as it is fresh; else it plans anew and asks.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parent.parent
PLAN_SECONDS_MAX: Final = 3600
"""How long a plan counts as what its reader still has in mind. That the state is the same, Terraform checks itself."""

_ENVIRONMENT: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")
_LOCAL: Final = "local"
# Whose data outlives a mistake is destroyed by name only.
_PROTECTED: Final = re.compile(r"^\s*deletion_protection\s*=\s*false\b", re.MULTILINE)
_NOT_LINKED: Final = frozenset({".terraform", ".terraform.lock.hcl", "deploy.py", "remote_state", "tests", "README.md"})
_SECRET: Final = 0o600

Run = Callable[[Sequence[str]], int]
"""Runs Terraform with these arguments in the environment's folder, on the terminal; returns its exit code."""


class DeployError(Exception):
    """It cannot go on; the message says what to do."""


@dataclass(frozen=True)
class Environment:
    """One environment and where its things lie."""

    name: str
    checkout: Path = CHECKOUT

    @property
    def root(self) -> Path:
        """The working folder."""
        return self.checkout / f".deploy-{self.name}"

    @property
    def variables(self) -> Path:
        """The committed settings."""
        return self.checkout / "terraform" / "environments" / f"{self.name}.tfvars"

    @property
    def backend(self) -> Path:
        """Where the state lies, unless it lies here."""
        return self.checkout / "terraform" / "environments" / f"{self.name}.s3.tfbackend"

    @property
    def plan(self) -> Path:
        """The saved plan. It holds values that Terraform calls sensitive."""
        return self.checkout / "build" / f"{self.name}.plan"

    @property
    def digest(self) -> Path:
        """What the saved plan was made of."""
        return self.checkout / "build" / f"{self.name}.plan.json"

    @property
    def outputs(self) -> Path:
        """What `postrail validate --env` reads."""
        return self.checkout / "build" / f"{self.name}.json"


def environment_of(name: str, checkout: Path = CHECKOUT) -> Environment:
    """The environment of that name. Raises DeployError when there are no settings of it, or it is the local one."""
    if name == _LOCAL:
        raise DeployError("The local environment is an emulator's: use `make local` and `make down`.")
    found = Environment(name, checkout)
    if not _ENVIRONMENT.fullmatch(name) or not found.variables.is_file():
        folder = checkout / "terraform" / "environments"
        known = ", ".join(sorted(path.stem for path in folder.glob("*.tfvars") if path.stem != _LOCAL))
        raise DeployError(f"There is no terraform/environments/{name}.tfvars; there are: {known}.")
    return found


def prepare(environment: Environment) -> list[str]:
    """Make or refresh the working folder; returns the arguments of `terraform init`."""
    source, root = environment.checkout / "terraform", environment.root
    state = source / "terraform.tfstate"
    if state.is_file() and not (root / "terraform.tfstate").exists() and not environment.backend.is_file():
        raise DeployError(
            f"{state} is the state of an earlier deployment: if it is of {environment.name}, move it to {root}/ first."
        )
    root.mkdir(exist_ok=True)
    for old in root.iterdir():
        if old.is_symlink():
            old.unlink()
    for path in sorted(source.iterdir()):
        if path.name in _NOT_LINKED or ".tfstate" in path.name:
            continue
        (root / path.name).symlink_to(Path("..") / "terraform" / path.name)
    backend = root / "backend.tf"
    if environment.backend.is_file():
        backend.write_text('terraform {\n  backend "s3" {}\n}\n', encoding="utf-8")
        return ["init", "-input=false", f"-backend-config=environments/{environment.backend.name}"]
    backend.unlink(missing_ok=True)
    return ["init", "-input=false"]


def digest_of(environment: Environment, arguments: Sequence[str]) -> str:
    """A digest of all that a plan is made of: the code, the settings, the functions' archives, the arguments."""
    checkout = environment.checkout
    digest = hashlib.sha256(json.dumps(list(arguments)).encode())
    files = [*_below(checkout / "terraform"), *_below(checkout / "step_functions"), *_below(checkout / "config")]
    files += [*_below(checkout / "schemas"), *(checkout / "build").glob("*.zip")]
    for path in sorted(files):
        digest.update(path.relative_to(checkout).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and ".tfstate" not in path.name:
            yield path


def plan(environment: Environment, run: Run, variables: Sequence[str]) -> None:
    """Plan and keep the plan with its digest. Raises DeployError when Terraform fails."""
    _forget_plan(environment)
    _must(run(prepare(environment)), "terraform init")
    environment.plan.parent.mkdir(exist_ok=True)
    settings = [f"-var-file=environments/{environment.variables.name}", *variables]
    _must(run(["plan", "-input=false", f"-out={environment.plan}", *settings]), "terraform plan")
    environment.plan.chmod(_SECRET)
    document = {"digest": digest_of(environment, variables), "made_at": time.time()}
    environment.digest.write_text(json.dumps(document), encoding="utf-8")


def is_fresh(environment: Environment, variables: Sequence[str]) -> bool:
    """Whether the saved plan is of an hour ago at most, and of exactly what lies here."""
    try:
        kept = json.loads(environment.digest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    age_seconds = time.time() - kept["made_at"]
    young = environment.plan.is_file() and 0 <= age_seconds <= PLAN_SECONDS_MAX
    return young and kept["digest"] == digest_of(environment, variables)


def deploy(environment: Environment, run: Run, variables: Sequence[str], *, confirm: Callable[[str], bool]) -> None:
    """Apply the saved plan if it is fresh, else plan and ask first; then write the outputs."""
    if is_fresh(environment, variables):
        sys.stdout.write(f"Applying {environment.plan}, as it was planned.\n")
    else:
        plan(environment, run, variables)
        if not confirm(f"Apply this plan to {environment.name}?"):
            raise DeployError("Nothing was applied. The plan is kept: the same command applies it within the hour.")
    applied = run(["apply", "-input=false", str(environment.plan)])
    # A plan can be applied once: what broke off is to be planned anew.
    _forget_plan(environment)
    _must(applied, "terraform apply")


def destroy(environment: Environment, run: Run, variables: Sequence[str], *, confirmed: str) -> None:
    """Destroy, after Terraform has asked. An environment with deletion protection must be confirmed by its name."""
    protected = not _PROTECTED.search(environment.variables.read_text(encoding="utf-8"))
    if protected and confirmed != environment.name:
        raise DeployError(
            f"{environment.name} is protected: docs/runbook.md, Destroy, says what goes before and what stays. "
            f"Then: make destroy ENV={environment.name} CONFIRM={environment.name}"
        )
    _must(run(prepare(environment)), "terraform init")
    settings = [f"-var-file=environments/{environment.variables.name}", *variables]
    _must(run(["destroy", *settings]), "terraform destroy")
    environment.outputs.unlink(missing_ok=True)
    _forget_plan(environment)


def _forget_plan(environment: Environment) -> None:
    environment.plan.unlink(missing_ok=True)
    environment.digest.unlink(missing_ok=True)


def write_outputs(environment: Environment, terraform: str) -> None:
    """Write `terraform output -json` where commands look for it, readable by its owner alone."""
    command = [terraform, f"-chdir={environment.root}", "output", "-json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own arguments
    if done.returncode:
        raise DeployError(f"terraform output failed:\n{done.stderr.strip()}")
    environment.outputs.parent.mkdir(exist_ok=True)
    environment.outputs.touch(mode=_SECRET)
    environment.outputs.write_text(done.stdout, encoding="utf-8")


def _must(exit_code: int, what: str) -> None:
    if exit_code:
        raise DeployError(f"{what} ended with {exit_code}.")


def _ask(question: str) -> bool:
    try:
        return input(f"{question} Only `yes` is taken: ").strip() == "yes"
    except EOFError:
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("command", choices=["plan", "deploy", "destroy", "outputs"])
    parser.add_argument("environment", help="name of a file in terraform/environments")
    parser.add_argument("--terraform", default=os.environ.get("TERRAFORM") or "terraform", help="the binary")
    parser.add_argument("--var", action="append", default=[], help="NAME=VALUE, besides the environment's settings")
    parser.add_argument("--confirm", default="", help="the environment's name, to destroy what is protected")
    options = parser.parse_args(arguments)
    variables = [f"-var={each}" for each in options.var]
    try:
        environment = environment_of(options.environment)

        def run(terraform_arguments: Sequence[str]) -> int:
            command = [options.terraform, f"-chdir={environment.root}", *terraform_arguments]
            return subprocess.run(command, check=False).returncode  # noqa: S603 - our own arguments

        if options.command == "plan":
            plan(environment, run, variables)
            sys.stdout.write(f"`make deploy ENV={environment.name}` applies this plan within the hour.\n")
        elif options.command == "deploy":
            deploy(environment, run, variables, confirm=_ask)
            write_outputs(environment, options.terraform)
            sys.stdout.write(f"Next: postrail validate --env {environment.name}\n")
        elif options.command == "destroy":
            destroy(environment, run, variables, confirmed=options.confirm)
        else:
            write_outputs(environment, options.terraform)
    except DeployError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except FileNotFoundError:
        sys.stderr.write(f"There is no {options.terraform}: install Terraform 1.11 or later, or set TERRAFORM.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
