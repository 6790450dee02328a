"""LocalStack instead of the embedded emulator: `compose.yaml`, with a PostgreSQL in the same network.

Its functions run in containers, which do not reach the machine's loopback; so the ledger is a container as well.
"""

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local_cloud import postgres, processes
from local_cloud.emulator import REGION, USUAL_PORT, Emulator
from local_cloud.errors import LocalCloudError
from local_cloud.layout import CHECKOUT, StateDir
from postrail.adapters.postgres.installation import write_private

COMPOSE_FILE: Final = CHECKOUT / "localstack" / "compose.yaml"
TOKEN_VARIABLE: Final = "LOCALSTACK_AUTH_TOKEN"  # noqa: S105 (the name of a variable)
LEDGER_HOST: Final = "ledger"
LEDGER_PORT: Final = 5432
_PATIENCE_S: Final = 180.0
_PULL_PATIENCE_S: Final = 1800.0
_PLANS: Final = "EventBridge Pipes need LocalStack's Ultimate plan; RDS, ECS and API Gateway v2 need its Base plan"


def check_requirements() -> None:
    """Look, before anything is started, at what can be known. Raises LocalCloudError that names what is missing."""
    if shutil.which("docker") is None:
        msg = f"LocalStack runs in Docker, which is not installed here. {_otherwise()}"
        raise LocalCloudError(msg)
    if not _succeeds(["docker", "info"]):
        msg = f"LocalStack runs in Docker, and no Docker daemon answers here. {_otherwise()}"
        raise LocalCloudError(msg)
    if not _succeeds(["docker", "compose", "version"]):
        msg = f"LocalStack is started by `docker compose`, which this Docker lacks. {_otherwise()}"
        raise LocalCloudError(msg)
    if not os.environ.get(TOKEN_VARIABLE):
        msg = f"LocalStack needs an auth token in {TOKEN_VARIABLE} ({_PLANS}). {_otherwise()}"
        raise LocalCloudError(msg)


def ensure_running(state: StateDir, update: Callable[[str], None]) -> tuple[Emulator, postgres.Settings]:
    """Start both containers, or find them. Raises LocalCloudError when they do not come up or the plan lacks Pipes."""
    check_requirements()
    settings = postgres.load_settings(state) or postgres.Settings(
        port=processes.choose_port([]),
        superuser_password=secrets.token_urlsafe(24),
        password=secrets.token_urlsafe(24),
        data_dir="",
    )
    write_private(state.postgres_settings, json.dumps(_as_json(settings), indent=2))
    port = _port(state)
    update("starting containers (the first time they are downloaded)")
    answer = _compose(state, settings, port, ["up", "--detach", "--wait"])
    if answer.returncode != 0:
        message = f"docker compose up failed:\n{answer.stderr.strip()[-2000:]}"
        raise LocalCloudError(message)
    endpoint_url = f"http://127.0.0.1:{port}"
    _await_health(endpoint_url, update)
    emulator = Emulator("localstack", endpoint_url, _boot_id(state, settings, port))
    _check_plan(emulator)
    postgres.ensure_database(settings)
    return emulator, settings


def stop(state: StateDir, *, keep_data: bool) -> bool:
    """Remove the containers, and the ledger's volume unless its data is kept; return whether there were any."""
    settings = postgres.load_settings(state)
    if settings is None or shutil.which("docker") is None or not _succeeds(["docker", "info"]):
        return False
    arguments = ["down", "--remove-orphans"] + ([] if keep_data else ["--volumes"])
    return _compose(state, settings, USUAL_PORT, arguments).returncode == 0


def healthy(endpoint_url: str) -> bool:
    """Whether a LocalStack answers there."""
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{endpoint_url}/_localstack/health", timeout=5) as answer:
            return "services" in json.load(answer)
    except (OSError, ValueError, urllib.error.URLError):
        return False


def _otherwise() -> str:
    return "Or use the embedded emulator, which needs none of this: make local"


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _as_json(settings: postgres.Settings) -> dict[str, object]:
    return {
        "port": settings.port,
        "superuser_password": settings.superuser_password,
        "password": settings.password,
        "data_dir": settings.data_dir,
    }


def _port(state: StateDir) -> int:
    """The port of the last start, so that a second `up` finds the running containers; else a free one."""
    try:
        cloud = json.loads(state.cloud.read_text(encoding="utf-8"))
        return int(cloud["endpoint_url"].rsplit(":", 1)[1])
    except (OSError, ValueError, KeyError):
        return processes.choose_port([USUAL_PORT])


def _compose(
    state: StateDir, settings: postgres.Settings, port: int, arguments: list[str]
) -> "subprocess.CompletedProcess[str]":
    project = f"postrail-{hashlib.sha256(str(state.root).encode()).hexdigest()[:8]}"
    env = {
        **os.environ,
        "POSTRAIL_LOCALSTACK_PORT": str(port),
        "POSTRAIL_LEDGER_PORT": str(settings.port),
        "POSTRAIL_LEDGER_PASSWORD": settings.superuser_password,
        "POSTRAIL_NETWORK": f"{project}-cloud",
        "POSTRAIL_REGION": REGION,
    }
    command = ["docker", "compose", "--project-name", project, "--file", str(COMPOSE_FILE), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=_PULL_PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        msg = f"`docker compose {arguments[0]}` did not end in {_PULL_PATIENCE_S:.0f} s."
        raise LocalCloudError(msg) from error


def _boot_id(state: StateDir, settings: postgres.Settings, port: int) -> str:
    container = _compose(state, settings, port, ["ps", "--quiet", "localstack"]).stdout.strip()
    command = ["docker", "inspect", "--format", "{{.Id}} {{.State.StartedAt}}", container]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    if answer.returncode != 0:
        raise LocalCloudError(
            "The LocalStack container has gone away right after its start; see `docker compose logs`."
        )
    return answer.stdout.strip()


def _await_health(endpoint_url: str, update: Callable[[str], None]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not healthy(endpoint_url):
        if time.monotonic() > deadline:
            msg = f"LocalStack did not become healthy in {_PATIENCE_S:.0f} s; see `docker compose logs`."
            raise LocalCloudError(msg)
        update("waiting for LocalStack to become healthy")
        time.sleep(1)


def _check_plan(emulator: Emulator) -> None:
    """Ask Pipes for a list: an activated licence without them is the one thing that only LocalStack itself knows."""
    client = boto3.client(
        "pipes",
        endpoint_url=emulator.endpoint_url,
        region_name=emulator.region,
        aws_access_key_id=emulator.access_key_id,
        aws_secret_access_key=emulator.secret_access_key,
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
    )
    try:
        client.list_pipes(Limit=1)
    except (ClientError, BotoCoreError) as error:
        msg = f"This LocalStack does not offer EventBridge Pipes: {_PLANS}. {_otherwise()}"
        raise LocalCloudError(msg) from error
