"""The graph is written for AWS. What an emulator lacks is said by one variable, `target`, and by nothing else."""

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
TERRAFORM = CHECKOUT / "terraform"
# Fixtures of tests are not the graph: one of them is made for an emulator alone.
MODULES = sorted(path for path in TERRAFORM.rglob("*.tf") if not {".terraform", "fixtures"} & set(path.parts))
ENVIRONMENTS = sorted((TERRAFORM / "environments").glob("*.tfvars"))

COMMENT = re.compile(r"^\s*#.*$|\s#\s.*$", re.MULTILINE)
PRODUCT_OR_PLACE = re.compile(r"ministack|localstack|\blocalhost\b|127\.0\.0\.1|:4566|000000000000", re.IGNORECASE)
# The word stands in code as an attribute of what `target` became, or where such an object declares it.
EMULATOR = re.compile(
    r"(?<!platform\.)(?<!place\.)(?<!target\.)\bemulator\b(?!\s*=\s*(?:bool\b|optional\(bool|var\.target))"
)
FLAG = re.compile(r"^\s+(\w+)\s*=\s*optional\(bool, (true|false)\)", re.MULTILINE)


def code(path: Path) -> str:
    """A file's text without comments and descriptions."""
    text = COMMENT.sub("", path.read_text())
    text = re.sub(r"<<-?EOT.*?EOT", '""', text, flags=re.DOTALL)
    return re.sub(r'description\s*=\s*"[^"]*"', "", text)


def flags() -> dict[str, str]:
    """The attributes of `target` with their defaults."""
    text = (TERRAFORM / "variables.tf").read_text()
    declared = text.partition('variable "target"')[2].partition("\nvariable ")[0]
    return dict(FLAG.findall(declared))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(TERRAFORM).as_posix())
def test_no_code_names_an_emulator_or_its_address(path: Path) -> None:
    assert not PRODUCT_OR_PLACE.search(code(path))
    assert not EMULATOR.search(code(path))


def test_only_the_local_environment_says_what_its_target_lacks() -> None:
    """A flag in the settings of an account would leave something out there, in silence."""
    says = re.compile(r"^target\s*=", re.MULTILINE)
    assert [path.stem for path in ENVIRONMENTS if says.search(path.read_text())] == ["local"]


def test_a_real_account_can_do_everything_by_default() -> None:
    assert flags()
    assert {name: default for name, default in flags().items() if default != "true"} == {"emulator": "false"}


@pytest.mark.parametrize("flag", flags())
def test_every_flag_is_used_explained_and_known_to_both_emulators(flag: str) -> None:
    """A flag that nobody reads describes nothing; one that an emulator does not say is taken for true."""
    used = [path for path in MODULES if f"target.{flag}" in code(path)]
    assert used, "no Terraform reads it"
    launcher = (CHECKOUT / "localstack" / "local_cloud" / "terraform.py").read_text()
    assert re.search(rf"^\s+{flag}\s*=", (TERRAFORM / "environments" / "local.tfvars").read_text(), re.MULTILINE)
    assert f'"{flag}":' in launcher, "LocalStack gets the object whole"
    described = (TERRAFORM / "variables.tf").read_text()
    assert re.search(rf"^\s+{flag}: ", described, re.MULTILINE), "its description explains it"
    assert f"`{flag} = " in (TERRAFORM / "README.md").read_text(), "the README says how it shows"


def test_functions_and_services_know_no_emulator() -> None:
    """They reach AWS as boto3 finds it; only tools for this machine (command line, benches, rehearsals) may know."""
    tools = {"cli", "bench", "load"}
    sources = [path for path in (CHECKOUT / "source" / "postrail").rglob("*.py") if not tools & set(path.parts)]
    sources += (CHECKOUT / "lambdas").glob("*/handler.py")
    sources += [path for path in (CHECKOUT / "switch").rglob("*.py") if path.name not in {"crew.py", "rehearsal.py"}]
    pattern = re.compile(r"ministack|localstack|endpoint_url\s*=|:4566", re.IGNORECASE)
    found = {str(path.relative_to(CHECKOUT)) for path in sources if pattern.search(path.read_text())}
    assert found == set()
