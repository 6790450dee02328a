"""What proves the Terraform code: formatting, validation, its own tests, a second plan, a destroy."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from local_cloud import provider_source, terraform_binary
from local_cloud.errors import LocalCloudError
from local_cloud.layout import CHECKOUT, StateDir
from local_cloud.progress import Reporter
from local_cloud.terraform import ROOT_MODULE, Deployer

_CHECK_DIR: Final = terraform_binary.TOOLS / "check"
_WORDS_MAX: Final = 4000
_PASSED: Final = re.compile(r"(\d+) passed")
_PROCESSES: Final = max(1, min(4, os.cpu_count() or 1))
"""Each takes some 400 MB: the provider is a large program."""


def check_code(reporter: Reporter) -> None:
    """`terraform fmt -check`, `validate` and `test` over the repository's code; no account, no emulator.

    Raises LocalCloudError with Terraform's words at the first that fails.
    """
    terraform = terraform_binary.find_or_fetch(lambda _: None)
    source = provider_source.choose(terraform)
    environment = _offline_environment(terraform, source)
    steps: Sequence[tuple[str, Sequence[str]]] = (
        ("Terraform fmt", ("fmt", "-check", "-recursive", "-diff")),
        ("Terraform init", ("init", "-backend=false", "-input=false", "-no-color")),
        ("Terraform validate", ("validate", "-no-color")),
    )
    for title, arguments in steps:
        with reporter.step(title) as step:
            step.update("running")
            answer = _run([str(terraform.path), f"-chdir={ROOT_MODULE}", *arguments], environment)
            if answer.returncode != 0:
                words = f"{answer.stdout.strip()}\n{answer.stderr.strip()}".strip()[-_WORDS_MAX:]
                raise LocalCloudError(f"{title.lower()} failed:\n{words}")
            lines = answer.stdout.strip().splitlines()
            step.result = lines[-1].strip() if lines else ""
    with reporter.step("Terraform test") as step:
        step.update("running")
        step.result = _run_tests(terraform, environment)


def _run_tests(terraform: terraform_binary.Terraform, environment: Mapping[str, str]) -> str:
    """All files of tests, shared out to as many processes as there are processors; returns how many runs passed.

    Terraform runs one file after the other, and a run keeps one processor busy. Raises LocalCloudError with the words
    of those that failed.
    """
    shares = [*_shares(sorted((ROOT_MODULE / "tests").glob("*.tftest.hcl")), _PROCESSES), *_environment_tests()]
    with ThreadPoolExecutor(_PROCESSES) as pool:
        command = [str(terraform.path), f"-chdir={ROOT_MODULE}", "test", "-no-color"]
        answers = list(pool.map(lambda share: _run([*command, *share], environment), shares))
    failed = [answer for answer in answers if answer.returncode != 0]
    if failed:
        words = "\n".join(f"{answer.stdout.strip()}\n{answer.stderr.strip()}"[-_WORDS_MAX:] for answer in failed)
        raise LocalCloudError(f"terraform test failed:\n{words}")
    passed = sum(int(found[1]) for answer in answers if (found := _PASSED.search(answer.stdout)))
    return f"{passed} runs passed"


def _shares(files: Sequence[Path], number: int) -> list[list[str]]:
    """The files in `number` shares of about the same weight, as arguments; the heaviest files are given out first."""
    weights = {path: _weight(path.read_text(encoding="utf-8")) for path in files}
    shares: list[list[Path]] = [[] for _ in range(number)]
    for path in sorted(files, key=lambda path: -weights[path]):
        min(shares, key=lambda share: sum(weights[each] for each in share)).append(path)
    return [[f"-filter=tests/{path.name}" for path in share] for share in shares if share]


def _weight(text: str) -> int:
    """Runs, those of the whole graph counted four times: they plan every module."""
    runs = len(re.findall(r"^run ", text, re.MULTILINE))
    of_one_module = len(re.findall(r"^ *module \{", text, re.MULTILINE))
    return runs + 3 * max(0, runs - of_one_module)


def _environment_tests() -> Iterator[list[str]]:
    """One call for each environment with tests of its own: its settings are accepted, and are what they promise."""
    for path in sorted((ROOT_MODULE / "environments").glob("*.tftest.hcl")):
        name = path.name.partition(".")[0]
        chosen = ["-test-directory=environments", f"-filter=environments/{path.name}"]
        yield [*chosen, f"-var-file=environments/{name}.tfvars"]


def format_code() -> None:
    """`terraform fmt -recursive`."""
    terraform = terraform_binary.find_or_fetch(lambda _: None)
    answer = _run([str(terraform.path), f"-chdir={ROOT_MODULE}", "fmt", "-recursive"], os.environ)
    if answer.returncode != 0:
        raise LocalCloudError(f"terraform fmt failed:\n{answer.stderr.strip()[-_WORDS_MAX:]}")


def plan(state: StateDir, deployer: Callable[[], Deployer], reporter: Reporter, *, expect_no_changes: bool) -> str:
    """Plan against what is deployed; returns Terraform's words.

    With `expect_no_changes`, raises LocalCloudError when the plan would change anything.
    """
    _demand_deployment(state)
    terraform = deployer()
    with reporter.step("Terraform plan") as step:
        changes, words = terraform.plan()
        step.result = "changes" if changes else "no changes"
        if changes and expect_no_changes:
            raise LocalCloudError(f"the plan is not empty:\n{words[-_WORDS_MAX:]}")
    return words


def destroy(state: StateDir, deployer: Callable[[], Deployer], reporter: Reporter) -> None:
    """`terraform destroy` of everything in the state. Raises LocalCloudError when something stays."""
    _demand_deployment(state)
    terraform = deployer()
    with reporter.step("Terraform destroy") as step:
        step.result = terraform.destroy(step.update)


def _demand_deployment(state: StateDir) -> None:
    if not state.outputs.exists():
        raise LocalCloudError("Nothing is deployed here; run `make local` first.")


def _offline_environment(
    terraform: terraform_binary.Terraform, source: provider_source.ProviderSource
) -> Mapping[str, str]:
    """An environment that keeps Terraform's working files out of the source tree and reaches for no account."""
    _CHECK_DIR.mkdir(parents=True, exist_ok=True)
    cache = terraform_binary.TOOLS / "providers"
    cache.mkdir(parents=True, exist_ok=True)
    configuration = _CHECK_DIR / "terraform.rc"
    host = provider_source.registry_host(terraform)
    configuration.write_text(provider_source.cli_configuration(source, host, cache), encoding="utf-8")
    base = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}
    return {
        **base,
        "TF_CLI_CONFIG_FILE": str(configuration),
        "TF_DATA_DIR": str(_CHECK_DIR / "data"),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _run(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, check=False, env=dict(environment), cwd=CHECKOUT)
