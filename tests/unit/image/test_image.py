"""The batch task's image: what its Dockerfile takes, who it runs as, and that it agrees with the task definition."""

import re
import tomllib
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[3]
DOCKERFILE = REPO / "source" / "Dockerfile"
LOCK = REPO / "source" / "requirements.lock"
TASK_DEFINITION = REPO / "terraform" / "modules" / "batch" / "main.tf"


@cache
def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) in order, continuation lines joined, comments left out."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    parts = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(verb.upper(), rest) for verb, rest in parts]


def of(verb: str) -> list[str]:
    return [rest for name, rest in instructions() if name == verb]


def names(lock: Path) -> dict[str, str]:
    """Version by package name."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock.read_text(), re.MULTILINE))


def requirement_names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~!; ]", one, maxsplit=1)[0].lower() for one in requirements}


def test_every_stage_stands_on_a_base_named_by_digest() -> None:
    """The same Dockerfile gives the same base for ever."""
    bases = [line.split()[0] for line in of("FROM")]
    assert bases
    assert all(re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base) for base in bases), bases
    assert len(set(bases)) == 1, "what is built on one base must not run on another"


def test_what_is_copied_exists_and_is_let_through() -> None:
    """Each source of a COPY is in the checkout, and the ignore file does not hold it back."""
    kept = [
        line[1:] for line in (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"
    ]
    sources = [source for line in of("COPY") if "--from=" not in line for source in line.split()[:-1]]
    assert sources
    for source in sources:
        assert (REPO / source).exists(), source
        assert source in kept, f"{source} is not let through to the builder"


@pytest.mark.parametrize(
    "secret", [".local/cloud.json", ".git/config", ".venv/pyvenv.cfg", "terraform/terraform.tfstate"]
)
def test_nothing_private_goes_to_the_builder(secret: str) -> None:
    """Everything is held back but what is named."""
    lines = (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in lines
    assert not any(fnmatch(secret, f"{line[1:]}*") for line in lines if line.startswith("!"))


def test_packages_come_from_the_lock_and_are_hashed() -> None:
    """Pip refuses what the lock does not name by hash, and builds nothing from source."""
    installs = [line for line in of("RUN") if "requirements.lock" in line]
    assert len(installs) == 1
    for option in ("--require-hashes", "--no-deps", "--only-binary=:all:"):
        assert option in installs[0]
    entries = re.split(r"\n(?=\S)", LOCK.read_text())
    assert all("--hash=sha256:" in entry for entry in entries if "==" in entry)


def test_the_lock_holds_what_the_package_needs() -> None:
    """The project's own dependencies, those of the batch road and of the build; nothing for tests or the emulator."""
    project = tomllib.loads((REPO / "pyproject.toml").read_text())
    wanted = requirement_names(project["project"]["dependencies"])
    wanted |= requirement_names(project["project"]["optional-dependencies"]["batch"])
    wanted |= requirement_names(project["dependency-groups"]["image"])
    locked = names(LOCK)
    assert wanted <= {name.lower() for name in locked}
    assert not {"pytest", "moto", "ministack", "mypy", "ruff"} & set(locked)


def test_the_lock_agrees_with_what_the_tests_run_on() -> None:
    """The image runs the versions that were tested."""
    tested = names(REPO / "requirements.lock")
    differing = {name: version for name, version in names(LOCK).items() if tested.get(name, version) != version}
    assert differing == {}


def test_the_container_and_the_task_definition_agree() -> None:
    """One user, one writable folder, told the same in both places."""
    task = TASK_DEFINITION.read_text()
    (user,) = of("USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user), "a number, and not root's"
    assert f'"{user}"' in task
    (volume,) = of("VOLUME")
    scratch = re.search(r'scratch\s*=\s*"(/\w+)"', task)
    assert scratch is not None
    assert volume == f'["{scratch[1]}"]'
    owner, group = user.split(":")
    assert any(f"--owner={owner} --group={group}" in line and scratch[1] in line for line in of("RUN"))


def test_it_is_the_command_and_stops_like_ctrl_c() -> None:
    """`docker run IMAGE batch run …` is `postrail batch run …`."""
    assert of("ENTRYPOINT") == ['["postrail"]']
    assert of("STOPSIGNAL") == ["SIGINT"]
