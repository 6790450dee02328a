"""Plays ECS for the batch road: takes the commands that Terraform's rule wrote for files in the inbox, and runs them.

MiniStack stores task definitions and runs none. Where the output `batch` says `managed` false, the rule that would
start a task fills a queue instead, with the very same container overrides. This process takes one at a time and runs
the package's `postrail` with the task definition's environment and nothing else of this machine: what works here does
not lean on a local cloud's files. As with ECS a run that failed is not started again; the topic `alerts` is told.
"""

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local_cloud.layout import STATE_DIR_VARIABLE, StateDir
from local_cloud.pipe_runner.runner import JsonLines, deployment_stamp
from local_cloud.processes import loopback_environment
from postrail.cli.task_roles import task_credentials

NAME: Final = "batch-runner"

logger = logging.getLogger(__name__)

_IDLE_S: Final = 1.0
# The queue hides a command for 60 s: held on to three times in that time, it comes back soon after this process dies.
_HOLD_S: Final = 60
_HOLD_AGAIN_S: Final = 20.0
# How long a run may take to finish its chunk when this process is told to stop, as ECS grants a task.
_STOP_PATIENCE_S: Final = 120.0
_COMMAND_BYTES_MAX: Final = 16_384
_POSTRAIL: Final = "import sys; from postrail.cli.main import main; sys.exit(main())"


class NotACommandError(ValueError):
    """A message of the queue holds no container overrides that ECS would take."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What Terraform says of the batch road, and the cloud it is in."""

    queue_url: str
    container: str
    environment: Mapping[str, str]
    alerts_arn: str
    cloud: Mapping[str, str]
    task_definition_arn: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """The runner's sign of life, written for `status`."""

    pid: int
    beat_at: float
    doing: str = "waiting for files"
    done: int = 0
    failed: int = 0

    def write(self, path: Path) -> None:
        """Replace the file; not synced, for it is worthless after a crash of the machine."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")
        temporary.replace(path)


def unmanaged_batch(outputs: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Terraform's output `batch` when its tasks need a runner; None when ECS runs them or there is no batch road."""
    batch: Mapping[str, Any] | None = outputs.get("batch", {}).get("value")
    return batch if batch and not batch["managed"] else None


def read_deployment(state: StateDir) -> Deployment | None:
    """What is deployed; None when nothing is to be run. Raises OSError or ValueError while the files are half there."""
    outputs: dict[str, Any] = json.loads(state.outputs.read_text(encoding="utf-8"))
    cloud: dict[str, str] = json.loads(state.cloud.read_text(encoding="utf-8"))
    batch = unmanaged_batch(outputs)
    if batch is None:
        return None
    return Deployment(
        queue_url=batch["queue_url"],
        container=batch["container"],
        environment=batch["environment"],
        alerts_arn=outputs["topics"]["value"]["alerts"],
        cloud=cloud,
        task_definition_arn=batch["task_definition_arn"],
    )


def command_of(body: str, container: str) -> list[str]:
    """The command in RunTask's overrides for this container. Raises NotACommandError, with what is wrong."""
    if len(body) > _COMMAND_BYTES_MAX:
        raise NotACommandError("overrides of more than 16 KB")
    try:
        overrides = json.loads(body)["containerOverrides"]
        mine = [one["command"] for one in overrides if one["name"] == container]
    except (ValueError, KeyError, TypeError) as error:
        raise NotACommandError("no container overrides") from error
    if len(mine) != 1 or not all(isinstance(word, str) for word in mine[0]):
        raise NotACommandError("not one command for this container")
    return list(mine[0])


def task_environment(
    deployment: Deployment, scratch: Path, credentials: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What the command sees: the task definition's environment, the way to the cloud, and a folder to write to.

    Without `credentials`, as environment variables, the command acts as the local cloud's owner.
    """
    cloud = deployment.cloud
    base = loopback_environment()
    base.pop(STATE_DIR_VARIABLE, None)
    given = {
        "AWS_ENDPOINT_URL": cloud["endpoint_url"],
        "AWS_REGION": cloud["region"],
        "AWS_DEFAULT_REGION": cloud["region"],
        "AWS_ACCESS_KEY_ID": cloud["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": cloud["secret_access_key"],
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
    }
    if cloud["emulator"] == "localstack":
        # Its secret names the ledger by a host of the containers' network, where this process is not.
        given["POSTRAIL_LEDGER_DSN"] = cloud["ledger_dsn"]
    return base | given | dict(credentials or {}) | dict(deployment.environment)


class BatchRunner:
    """Takes commands from the queue, one at a time, until it is told to stop."""

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._stop = threading.Event()
        self._progress = Progress(os.getpid(), time.time())
        self._scratch = state.root / "batch"
        self._clients: dict[str, Any] = {}

    def request_stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Signal handler: let the run finish its chunk, and end."""
        self._stop.set()

    def run(self) -> None:
        """Run commands. Raises OSError or ValueError when there is no deployment at the start."""
        self._scratch.mkdir(exist_ok=True)
        stamp, deployment = deployment_stamp(self._state), read_deployment(self._state)
        self._beat()
        while not self._stop.is_set():
            if deployment_stamp(self._state) != stamp:
                stamp, deployment = deployment_stamp(self._state), self._read_again()
            if deployment is None or not self._take(deployment):
                self._stop.wait(_IDLE_S)
            self._beat()

    def _read_again(self) -> Deployment | None:
        self._clients.clear()
        try:
            return read_deployment(self._state)
        except (OSError, ValueError, KeyError) as error:
            self._note("the deployment cannot be read", cause=str(error))
            return None

    def _take(self, deployment: Deployment) -> bool:
        """Run the command at hand, if there is one; False when there is none."""
        try:
            answer = self._client("sqs", deployment).receive_message(
                QueueUrl=deployment.queue_url, MaxNumberOfMessages=1, WaitTimeSeconds=0
            )
        except (BotoCoreError, ClientError) as error:
            self._note("the queue does not answer", cause=str(error))
            return False
        for message in answer.get("Messages", []):
            if self._settled(deployment, message):
                self._delete(deployment, message)
        return bool(answer.get("Messages"))

    def _settled(self, deployment: Deployment, message: Mapping[str, Any]) -> bool:
        try:
            command = command_of(message["Body"], deployment.container)
        except NotACommandError as error:
            self._note("left on the queue", cause=str(error))
            return False
        self._beat(doing=f"running: {' '.join(command)}")
        try:
            environment = task_environment(deployment, self._scratch, self._credentials(deployment))
        except (BotoCoreError, ClientError) as error:
            self._note("no credentials for the task; the command is still on the queue", cause=str(error))
            return False
        code = self._execute(deployment, command, environment, message["ReceiptHandle"])
        if code is None:
            self._note("stopped in the middle; the command is still on the queue", command=command)
            return False
        logger.info("run ended", extra={"fields": {"command": command, "exit_code": code}})
        if code:
            self._alert(deployment, command, code)
        done, failed = (self._progress.done + (code == 0), self._progress.failed + (code != 0))
        self._beat(doing="waiting for files", done=done, failed=failed)
        return True

    def _credentials(self, deployment: Deployment) -> dict[str, str] | None:
        """Those of the task's role where the emulator checks rights; elsewhere they would change nothing."""
        if deployment.cloud.get("rights") != "checked":
            return None
        ecs, sts = self._client("ecs", deployment), self._client("sts", deployment)
        return task_credentials(ecs, sts, deployment.task_definition_arn)

    def _execute(
        self, deployment: Deployment, command: Sequence[str], environment: Mapping[str, str], receipt: str
    ) -> int | None:
        """Run a command to its end and return its exit code; None when this process was told to stop meanwhile."""
        with (
            self._state.log("batch-runs").open("ab") as log,
            subprocess.Popen(
                [sys.executable, "-c", _POSTRAIL, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._scratch,
                env=environment,
            ) as process,
        ):
            held_at = time.monotonic()
            while process.poll() is None and not self._stop.wait(0.2):
                self._beat()
                if time.monotonic() - held_at > _HOLD_AGAIN_S:
                    held_at = time.monotonic()
                    self._hold(deployment, receipt)
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(_STOP_PATIENCE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                return None
        return process.returncode

    def _hold(self, deployment: Deployment, receipt: str) -> None:
        try:
            self._client("sqs", deployment).change_message_visibility(
                QueueUrl=deployment.queue_url, ReceiptHandle=receipt, VisibilityTimeout=_HOLD_S
            )
        except (BotoCoreError, ClientError) as error:
            # It may come a second time then, which every run must bear.
            self._note("could not hold on to the command", cause=str(error))

    def _delete(self, deployment: Deployment, message: Mapping[str, Any]) -> None:
        try:
            self._client("sqs", deployment).delete_message(
                QueueUrl=deployment.queue_url, ReceiptHandle=message["ReceiptHandle"]
            )
        except (BotoCoreError, ClientError) as error:
            self._note("could not delete a command that was run", cause=str(error))

    def _alert(self, deployment: Deployment, command: Sequence[str], code: int) -> None:
        text = f"A batch run failed with exit code {code}: postrail {' '.join(command)}\nSee logs/batch-runs.log."
        try:
            self._client("sns", deployment).publish(TopicArn=deployment.alerts_arn, Message=text)
        except (BotoCoreError, ClientError) as error:
            self._note("could not publish the alert", cause=str(error))

    def _client(self, service: str, deployment: Deployment) -> Any:
        if service not in self._clients:
            cloud = deployment.cloud
            session = boto3.Session(
                aws_access_key_id=cloud["access_key_id"],
                aws_secret_access_key=cloud["secret_access_key"],
                region_name=cloud["region"],
            )
            config = Config(
                connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2}, proxies={}
            )
            self._clients[service] = session.client(service, endpoint_url=cloud["endpoint_url"], config=config)  # type: ignore[call-overload]
        return self._clients[service]

    def _beat(self, **changes: Any) -> None:
        self._progress = replace(self._progress, beat_at=time.time(), **changes)
        self._progress.write(self._state.batch_runner_status)

    def _note(self, message: str, **fields: object) -> None:
        logger.warning(message, extra={"fields": fields})


def main(state_root: Path) -> int:
    """Run in this process; return the exit code. Logs to standard output, one JSON object a line."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    runner = BatchRunner(StateDir(state_root))
    signal.signal(signal.SIGTERM, runner.request_stop)
    signal.signal(signal.SIGINT, runner.request_stop)
    try:
        runner.run()
    except (OSError, ValueError, KeyError) as error:
        logger.error("cannot run", extra={"fields": {"cause": str(error)}})  # noqa: TRY400 (the cause says it all)
        return 1
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state-dir", type=Path, default=Path(os.environ.get(STATE_DIR_VARIABLE, ".local")))
    sys.exit(main(parser.parse_args().state_dir.resolve()))
