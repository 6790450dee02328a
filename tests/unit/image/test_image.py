"""The two images: what their Dockerfiles take, who they run as, and that they agree with their task definitions."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Image:
    """One image, and what of the repository belongs to it."""

    room: str
    extra: str
    module: str
    entry_point: str
    stop_signal: str

    @property
    def dockerfile(self) -> Path:
        return REPO / self.room / "Dockerfile"

    @property
    def lock(self) -> Path:
        return REPO / self.room / "requirements.lock"

    @property
    def task_definition(self) -> str:
        return (REPO / "terraform" / "modules" / self.module / "main.tf").read_text()

    @cached_property
    def let_through(self) -> list[str]:
        """What the ignore file does not hold back."""
        lines = (self.dockerfile.parent / "Dockerfile.dockerignore").read_text().splitlines()
        assert "*" in lines, "everything is held back but what is named"
        return [line[1:] for line in lines if line[:1] == "!"]

    @cached_property
    def instructions(self) -> list[tuple[str, str]]:
        """(instruction, arguments) in order, continuation lines joined, comments left out."""
        lines = [line for line in self.dockerfile.read_text().splitlines() if not line.startswith("#")]
        joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
        parts = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
        return [(verb.upper(), rest) for verb, rest in parts]

    def of(self, verb: str) -> list[str]:
        return [rest for name, rest in self.instructions if name == verb]

    @property
    def copied(self) -> list[str]:
        """What the Dockerfile takes from the checkout."""
        return [source for line in self.of("COPY") if "--from=" not in line for source in line.split()[:-1]]


BATCH = Image("source", "batch", "batch", '["postrail"]', "SIGINT")
SWITCH = Image("switch", "switch", "switch", '["postrail", "switch"]', "SIGTERM")


@pytest.fixture(params=[BATCH, SWITCH], ids=["batch", "switch"])
def image(request: pytest.FixtureRequest) -> Image:
    found: Image = request.param
    return found


def names(lock: Path) -> dict[str, str]:
    """Version by package name."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock.read_text(), re.MULTILINE))


def requirement_names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~!; ]", one, maxsplit=1)[0].lower() for one in requirements}


def test_every_stage_stands_on_a_base_named_by_digest(image: Image) -> None:
    """The same Dockerfile gives the same base for ever."""
    bases = [line.split()[0] for line in image.of("FROM")]
    assert bases
    assert all(re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base) for base in bases), bases
    assert len(set(bases)) == 1, "what is built on one base must not run on another"


def test_both_images_stand_on_one_base() -> None:
    """One base to keep current."""
    assert BATCH.of("FROM")[-1] == SWITCH.of("FROM")[-1]


def test_what_is_copied_exists_and_is_let_through(image: Image) -> None:
    """Each source of a COPY is in the checkout, and the ignore file does not hold it back."""
    assert image.copied
    for source in image.copied:
        assert (REPO / source).exists(), source
        assert any(source == kept or source.startswith(f"{kept}/") for kept in image.let_through), (
            f"{source} is not let through to the builder"
        )


@pytest.mark.parametrize(
    "secret", [".local/cloud.json", ".git/config", ".venv/pyvenv.cfg", "terraform/terraform.tfstate"]
)
def test_nothing_private_goes_to_the_builder(image: Image, secret: str) -> None:
    """Everything is held back but what is named."""
    assert not any(fnmatch(secret, f"{kept}*") for kept in image.let_through)


def test_packages_come_from_the_lock_and_are_hashed(image: Image) -> None:
    """Pip refuses what the lock does not name by hash, and builds nothing from source."""
    installs = [line for line in image.of("RUN") if "requirements.lock" in line]
    assert len(installs) == 1
    for option in ("--require-hashes", "--no-deps", "--only-binary=:all:"):
        assert option in installs[0]
    entries = re.split(r"\n(?=\S)", image.lock.read_text())
    assert all("--hash=sha256:" in entry for entry in entries if "==" in entry)


def test_the_lock_holds_what_the_package_needs(image: Image) -> None:
    """The project's own dependencies, those of the room and of the build; nothing for tests or the emulator."""
    project = tomllib.loads((REPO / "pyproject.toml").read_text())
    wanted = requirement_names(project["project"]["dependencies"])
    wanted |= requirement_names(project["project"]["optional-dependencies"][image.extra])
    wanted |= requirement_names(project["dependency-groups"]["image"])
    locked = names(image.lock)
    assert wanted <= {name.lower() for name in locked}
    assert not {"pytest", "moto", "ministack", "mypy", "ruff"} & set(locked)


def test_the_lock_agrees_with_what_the_tests_run_on(image: Image) -> None:
    """The image runs the versions that were tested."""
    tested = names(REPO / "requirements.lock")
    differing = {name: version for name, version in names(image.lock).items() if tested.get(name, version) != version}
    assert differing == {}


def test_the_lock_is_made_with_the_others(image: Image) -> None:
    """`make lock` renews it."""
    assert f"-o {image.room}/requirements.lock" in (REPO / "Makefile").read_text()


def test_the_container_and_the_task_definition_agree(image: Image) -> None:
    """One user, one writable folder, told the same in both places."""
    (user,) = image.of("USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user), "a number, and not root's"
    assert f'"{user}"' in image.task_definition
    (volume,) = image.of("VOLUME")
    scratch = re.search(r'scratch\s*=\s*"(/\w+)"', image.task_definition)
    assert scratch is not None
    assert volume == f'["{scratch[1]}"]'
    owner, group = user.split(":")
    assert any(f"--owner={owner} --group={group}" in line and scratch[1] in line for line in image.of("RUN"))


def test_it_is_the_command_and_stops_as_the_command_does(image: Image) -> None:
    """`docker run IMAGE bank northgate` is `postrail switch bank northgate`."""
    assert image.of("ENTRYPOINT") == [image.entry_point]
    assert image.of("STOPSIGNAL") == [image.stop_signal]


def test_the_switch_says_how_it_is_in_both_places() -> None:
    """Docker and Fargate ask the same command, without a shell."""
    (check,) = SWITCH.of("HEALTHCHECK")
    port = re.search(r"health_port\s*=\s*(\d+)", SWITCH.task_definition)
    assert port is not None
    assert check.endswith(f'CMD ["postrail", "switch", "health", "--port", "{port[1]}"]')
    assert f"POSTRAIL_HEALTH_PORT={port[1]}" in " ".join(SWITCH.of("ENV"))
    assert '["CMD", "postrail", "switch", "health", "--port", tostring(local.health_port)]' in SWITCH.task_definition


def test_what_the_switch_image_installs_holds_the_whole_switch(tmp_path: Path) -> None:
    """The package built from what is copied has the code of the switch, its SQL and its dialects."""
    context = tmp_path / "context"
    for source in SWITCH.copied:
        target = context / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (REPO / source).is_dir():
            shutil.copytree(REPO / source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(REPO / source, target)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=context, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    built = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        path.relative_to(REPO).as_posix()
        for path in (REPO / "switch").rglob("*")
        if path.suffix in {".py", ".sql", ".yaml", ".json"} and "__pycache__" not in path.parts
    }
    assert wanted
    assert wanted <= built
