"""The embedded emulator: MiniStack as a process of its own, bound to loopback.

Its state lives and dies with the process. Who restarts it must deploy again, which `boot_id` makes visible.
"""

import json
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from local_cloud import processes
from local_cloud.errors import LocalCloudError
from local_cloud.layout import StateDir

NAME: Final = "emulator"
REGION: Final = "eu-west-2"
ACCESS_KEY_ID: Final = "test"
SECRET_ACCESS_KEY: Final = "test"  # noqa: S105 (the emulator takes any)
USUAL_PORT: Final = 4566
# Where the server writes which role asked for what; it has the name a second time, being a script of its own.
RIGHTS_LOG_VARIABLE: Final = "POSTRAIL_EMULATOR_RIGHTS_LOG"
_BOOT_PATIENCE_S: Final = 60.0
_STARTS_MAX: Final = 3
# Not found by the name of its package: the emulator gets no PYTHONPATH, which its functions would inherit.
_SERVER: Final = Path(__file__).with_name("emulator_server.py")


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator: where it answers, which boot of it this is, and whether it checks rights."""

    kind: str
    endpoint_url: str
    boot_id: str
    checks_rights: bool = False
    region: str = REGION
    access_key_id: str = ACCESS_KEY_ID
    secret_access_key: str = SECRET_ACCESS_KEY


def ensure_running(
    state: StateDir,
    update: Callable[[str], None],
    *,
    preferred_ports: Sequence[int] = (USUAL_PORT,),
    check_rights: bool | None = None,
) -> Emulator:
    """Find the emulator of this state directory, or start it: on its last port, a preferred one, or any free one.

    With `check_rights` it denies functions and tasks what their roles do not allow; None takes one that runs as it is.
    Raises LocalCloudError when it does not come up, or runs and differs in this.
    """
    record = processes.running(state, NAME)
    health = _health(record.address) if record is not None else None
    if record is not None and health is not None:
        checks = health.get("auth") == "enabled"
        if check_rights not in (None, checks):
            msg = f"The emulator in {state.root} {'checks' if checks else 'does not check'} rights; end it first: down"
            raise LocalCloudError(msg)
        return Emulator("ministack", record.address, record.boot_id, checks)
    if find_spec("ministack") is None:
        raise LocalCloudError("MiniStack is not installed here; install the extra: pip install 'postrail[emulator]'.")
    last_port = _last_port(state)
    processes.stop(state, NAME)
    for attempt in range(1, _STARTS_MAX + 1):
        port = processes.choose_port([*last_port, *preferred_ports] if attempt == 1 else [])
        update(f"starting on port {port}")
        record = _start(state, port, check_rights=bool(check_rights))
        if processes.wait_for(partial(healthy, record.address), record, patience_s=_BOOT_PATIENCE_S):
            return Emulator("ministack", record.address, record.boot_id, bool(check_rights))
        if processes.alive(record):
            break
    tail = processes.log_tail(state, NAME)
    processes.stop(state, NAME)
    message = f"The emulator did not come up; the end of {state.log(NAME)}:\n{tail}"
    raise LocalCloudError(message)


def stop(state: StateDir) -> bool:
    """End the emulator and its function workers; return whether there was one."""
    return processes.stop(state, NAME, first=signal.SIGTERM, patience_s=8.0)


def healthy(endpoint_url: str) -> bool:
    """Whether something that is a MiniStack answers there."""
    return _health(endpoint_url) is not None


def _health(endpoint_url: str) -> dict[str, Any] | None:
    try:
        # No proxy: the address is a loopback one.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{endpoint_url}/_ministack/health", timeout=5) as answer:
            health = json.load(answer)
    except (OSError, ValueError, urllib.error.URLError):
        return None
    return health if isinstance(health, dict) and "services" in health else None


def _last_port(state: StateDir) -> list[int]:
    record = processes.load(state, NAME)
    return [int(record.address.rsplit(":", 1)[1])] if record is not None else []


def _start(state: StateDir, port: int, *, check_rights: bool) -> processes.ProcessRecord:
    scratch = state.emulator
    for folder in ("s3", "state", "tmp"):
        (scratch / folder).mkdir(parents=True, exist_ok=True)
    endpoint_url = f"http://127.0.0.1:{port}"
    env = {
        **processes.loopback_environment(),
        **_settings(scratch, port, endpoint_url),
        **({"AUTH": "true", RIGHTS_LOG_VARIABLE: str(state.rights_log)} if check_rights else {}),
    }
    command = [sys.executable, "-P", str(_SERVER)]
    return processes.start(state, NAME, command, env=env, cwd=scratch, address=endpoint_url)


def _settings(scratch: Path, port: int, endpoint_url: str) -> dict[str, str]:
    return {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        # Goes into queue URLs; a name could resolve to ::1, where nothing listens.
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "S3_DATA_DIR": str(scratch / "s3"),
        "STATE_DIR": str(scratch / "state"),
        "TMPDIR": str(scratch / "tmp"),
        "LOG_LEVEL": "WARNING",
        "LAMBDA_EXECUTOR": "local",
        # No Docker, even where there is one: the emulator would run databases in it, and at its start it removes
        # every container that another MiniStack made.
        "DOCKER_HOST": f"unix://{scratch}/no-docker.sock",
        # Both would listen on every interface, whatever BIND_HOST says.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # The emulator has no metrics in log lines.
        "POWERTOOLS_METRICS_DISABLED": "true",
        # The functions' own calls lead back here.
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
