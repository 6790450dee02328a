"""One local cloud for all end-to-end tests: the real Terraform applied to the emulator, a real PostgreSQL.

It lives in a state directory of its own, beside whatever `make local` runs, and its emulator checks rights: a function
or task whose role lacks one fails here as it would in an account. Set POSTRAIL_E2E_DIR to a state directory that is
already up to run the tests against it, and it will not be torn down.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest

from postrail.cli.observer import deliveries_policy

REPO = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Cloud:
    """A running local cloud and the commands that speak to it."""

    state_dir: Path

    @property
    def env(self) -> dict[str, str]:
        """The environment of a shell in which the user works with this cloud."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "POSTRAIL_"))}
        return inherited | {"POSTRAIL_LOCAL_DIR": str(self.state_dir), "PYTHONPATH": str(REPO / "localstack")}

    def local_cloud(self, *args: str, timeout: int = 420) -> subprocess.CompletedProcess[str]:
        """Run the launcher, as `make local|down|status` does."""
        command = [sys.executable, "-m", "local_cloud", *args]
        return subprocess.run(
            command, cwd=REPO, env=self.env, capture_output=True, text=True, timeout=timeout, check=False
        )

    def postrail(self, *args: str, timeout: int = 240) -> subprocess.CompletedProcess[str]:
        """Run the `postrail` command of this environment."""
        command = [str(Path(sys.executable).parent / "postrail"), *args]
        return subprocess.run(
            command, cwd=REPO, env=self.env, capture_output=True, text=True, timeout=timeout, check=False
        )

    def postrail_json(self, *args: str, timeout: int = 240) -> dict[str, Any]:
        """Run `postrail … --json`, demand success, and read the one object it prints."""
        done = self.postrail(*args, "--json", timeout=timeout)
        assert done.returncode == 0, f"postrail {' '.join(args)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    @cached_property
    def outputs(self) -> dict[str, Any]:
        """Terraform's outputs by name."""
        document = json.loads((self.state_dir / "outputs.json").read_text())
        return {name: output["value"] for name, output in document.items()}

    @cached_property
    def description(self) -> dict[str, str]:
        """Endpoint, keys and DSN of the running cloud."""
        document: dict[str, str] = json.loads((self.state_dir / "cloud.json").read_text())
        return document

    def client(self, service: str) -> Any:
        """A plain boto3 client of the emulator."""
        return boto3.client(
            service,
            endpoint_url=self.description["endpoint_url"],
            region_name=self.description["region"],
            aws_access_key_id=self.description["access_key_id"],
            aws_secret_access_key=self.description["secret_access_key"],
        )

    def listening_queue(self, name: str) -> tuple[str, str]:
        """A new queue that rules and topics may send to: its URL and its ARN. Whoever makes it deletes it."""
        sqs = self.client("sqs")
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": deliveries_policy(arn)})
        return url, arn

    def sql(self, query: str, *args: object) -> list[tuple[Any, ...]]:
        """Ask the ledger's database."""
        with psycopg.connect(self.description["ledger_dsn"]) as connection:
            return connection.execute(query, args).fetchall()  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The cloud, up and seeded; at the end destroyed by Terraform, then stopped and removed."""
    existing = os.environ.get("POSTRAIL_E2E_DIR")
    running = Cloud(Path(existing) if existing else tmp_path_factory.mktemp("cloud") / "state")
    if existing:
        yield running
        return
    started = running.local_cloud("up", "--iam")
    if started.returncode:
        running.local_cloud("down")
        pytest.fail(f"the local cloud did not start:\n{started.stdout[-4000:]}\n{started.stderr[-4000:]}")
    try:
        yield running
    finally:
        destroyed = running.local_cloud("destroy")
        left = json.loads((running.state_dir / "terraform.tfstate").read_text())["resources"]
        stopped = running.local_cloud("down")
        assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
        assert left == [], "destroy leaves no resource"
        assert stopped.returncode == 0, stopped.stderr
        assert not running.state_dir.exists(), "down leaves nothing behind"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks at all that the other tests did comes after them."""
    items.sort(key=lambda item: item.path.name == "test_rights.py")
