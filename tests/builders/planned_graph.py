"""The graph as Terraform makes it of mocks: what `terraform test -verbose` shows of terraform/tests/graph.tftest.hcl.

It takes Terraform some ten seconds, so its answer is kept in .tools, by the content of everything that it comes from.
"""

import fcntl
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from local_cloud import provider_source, terraform_binary
from local_cloud.terraform import ROOT_MODULE

REPO: Final = Path(__file__).resolve().parents[2]
RUNS: Final = ("near_realtime", "realtime")
_TEST_FILE: Final = "tests/graph.tftest.hcl"
_PLACE: Final = terraform_binary.TOOLS / "graph"
_SOURCES: Final = (
    "terraform/**/*.tf",
    "terraform/tests/**/*.hcl",
    "step_functions/*",
    "schemas/*.json",
    "config/*.yaml",
)
_PATIENCE_S: Final = 600
# Why Terraform did not make the graph, by its fingerprint: asked once for each process, not once for each test.
_failed: Final[dict[str, str]] = {}


@dataclass(frozen=True)
class Resource:
    """One resource of a run: its type, where it stands in the modules, and its attributes."""

    address: str
    type: str
    values: Mapping[str, Any]

    @property
    def place(self) -> str:
        """The modules that it stands in, with no word for modules: `intake.deduplicate`; empty in the root."""
        modules = self.address.split(f"{self.type}.", 1)[0].rstrip(".")
        return modules.replace("module.", "")


@dataclass(frozen=True)
class PlannedGraph:
    """All resources of one run."""

    name: str
    resources: tuple[Resource, ...]

    def of(self, *types: str) -> Iterator[Resource]:
        """The resources of these types."""
        return (resource for resource in self.resources if resource.type in types)


@cache
def planned_graph(run: str) -> PlannedGraph:
    """The resources of one of RUNS. Raises AssertionError, with Terraform's words, when Terraform does not make it."""
    fingerprint = _fingerprint()
    assert fingerprint not in _failed, _failed[fingerprint]
    kept = _PLACE / f"{fingerprint}.json"
    _PLACE.mkdir(parents=True, exist_ok=True)
    with (_PLACE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            for old in _PLACE.glob("*.json"):
                old.unlink()
            partial = kept.with_suffix(".partial")
            try:
                partial.write_text(json.dumps(_ask_terraform()), encoding="utf-8")
            except AssertionError as error:
                _failed[fingerprint] = str(error)
                raise
            partial.rename(kept)
    found = json.loads(kept.read_text(encoding="utf-8"))[run]
    return PlannedGraph(run, tuple(Resource(**resource) for resource in found))


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _SOURCES for path in REPO.glob(pattern) if path.is_file()):
        digest.update(f"{path.relative_to(REPO)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:24]


def _ask_terraform() -> dict[str, list[dict[str, Any]]]:
    terraform = terraform_binary.find_or_fetch(lambda _: None)
    environment = _environment(terraform)

    def run(*arguments: str) -> str:
        command = [str(terraform.path), f"-chdir={ROOT_MODULE}", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, timeout=_PATIENCE_S
        )
        words = f"{done.stdout}\n{done.stderr}" if arguments[0] == "init" else _errors(done.stdout) + done.stderr
        assert done.returncode == 0, f"terraform {arguments[0]}: {words[-4000:]}"
        return done.stdout

    run("init", "-backend=false", "-input=false", "-no-color")
    shown = run("test", "-json", "-verbose", f"-filter={_TEST_FILE}")
    lines = [json.loads(line) for line in shown.splitlines() if '"type":"test_state"' in line]
    states = {line["@testrun"]: line["test_state"]["root_module"] for line in lines}
    return {name: list(_resources(states[name])) for name in RUNS}


def _resources(module: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in module.get("resources", []):
        if resource["mode"] == "managed":
            yield {key: resource[key] for key in ("address", "type", "values")}
    for child in module.get("child_modules", []):
        yield from _resources(child)


def _errors(shown: str) -> str:
    lines = (json.loads(line) for line in shown.splitlines() if '"type":"diagnostic"' in line)
    return "\n".join(json.dumps(line["diagnostic"])[:1500] for line in lines)


def _environment(terraform: terraform_binary.Terraform) -> dict[str, str]:
    """Terraform's working files stay out of the source tree and beside those of `make check`; no account is reached."""
    source = provider_source.choose(terraform)
    cache_dir = terraform_binary.TOOLS / "providers"
    cache_dir.mkdir(parents=True, exist_ok=True)
    configuration = _PLACE / "terraform.rc"
    host = provider_source.registry_host(terraform)
    configuration.write_text(provider_source.cli_configuration(source, host, cache_dir), encoding="utf-8")
    base = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}
    return base | {
        "TF_CLI_CONFIG_FILE": str(configuration),
        "TF_DATA_DIR": str(_PLACE / "data"),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
