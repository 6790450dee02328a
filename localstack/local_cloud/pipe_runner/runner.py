"""The process: reads what Terraform deployed, plays it, and follows when it is deployed anew.

Owns a state directory's `pipe-runner.*` files. Only one runner plays in a state directory: a lock file sees to that,
and the kernel frees it however the process ends.
"""

import fcntl
import gc
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any, Final

import boto3
from botocore.config import Config

from local_cloud.layout import StateDir
from local_cloud.pipe_runner.checkpoint import CheckpointFiles
from local_cloud.pipe_runner.counters import Heartbeat, PipeCounters
from local_cloud.pipe_runner.definition import (
    BusTarget,
    PipeDefinition,
    QueueSource,
    StreamSource,
    unmanaged_pipes,
)
from local_cloud.pipe_runner.delivery import StreamDelivery
from local_cloud.pipe_runner.endpoints import (
    DeadLetterQueue,
    EventBusTarget,
    LambdaEnrichment,
    StateMachineStart,
    Target,
)
from local_cloud.pipe_runner.errors import StoppedError, UnsupportedDefinitionError
from local_cloud.pipe_runner.queue_reader import QueueReader
from local_cloud.pipe_runner.stream_reader import StreamPlay, StreamReader

logger = logging.getLogger(__name__)

_BEAT_S: Final = 1.0
_PROGRESS_LOG_S: Final = 10.0
_CONNECTIONS_MAX: Final = 64
# Longer than any stage function may run, so that a slow answer is not taken for an outage.
_READ_TIMEOUT_S: Final = 310


class Clients:
    """One boto3 client per service, shared by all threads (clients are thread-safe, sessions are not)."""

    def __init__(self, cloud: Mapping[str, str]) -> None:
        """`cloud` is the content of cloud.json."""
        session = boto3.Session(
            aws_access_key_id=cloud["access_key_id"],
            aws_secret_access_key=cloud["secret_access_key"],
            region_name=cloud["region"],
        )
        endpoint = cloud["endpoint_url"]
        config = Config(
            connect_timeout=3,
            read_timeout=_READ_TIMEOUT_S,
            max_pool_connections=_CONNECTIONS_MAX,
            # The runner has its own retries and counts them; botocore's would hide them.
            retries={"mode": "standard", "total_max_attempts": 1},
            # The runner builds its requests itself; checking each again is a fifth of its work.
            parameter_validation=False,
            # A constant instead of one that is put together twice for every request.
            user_agent="postrail-pipe-runner",
            # StartSyncExecution goes to sync-<host> otherwise, which no loopback address has.
            inject_host_prefix=False,
            # A proxy is for the world outside, and the emulator is inside.
            proxies={},
        )
        self.streams = session.client("dynamodbstreams", endpoint_url=endpoint, config=config)
        self.sqs = session.client("sqs", endpoint_url=endpoint, config=config)
        self.events = session.client("events", endpoint_url=endpoint, config=config)
        self.functions = session.client("lambda", endpoint_url=endpoint, config=config)
        self.machines = session.client("stepfunctions", endpoint_url=endpoint, config=config)

    def queue_url(self, arn: str) -> Callable[[], str]:
        """A function that answers with the queue's URL, asked for once."""
        known: list[str] = []

        def url() -> str:
            if not known:
                known.append(self.sqs.get_queue_url(QueueName=arn.rsplit(":", 1)[1])["QueueUrl"])
            return known[0]

        return url


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is deployed: the pipes to play, and the cloud they are in."""

    pipes: tuple[PipeDefinition, ...]
    cloud: Mapping[str, str]
    stamp: tuple[int, ...]


def read_deployment(state: StateDir) -> Deployment:
    """Read outputs.json and cloud.json.

    Raises OSError or ValueError while they are missing or half there, UnsupportedDefinitionError for a pipe that
    cannot be played.
    """
    stamp = deployment_stamp(state)
    outputs: dict[str, Any] = json.loads(state.outputs.read_text(encoding="utf-8"))
    cloud: dict[str, str] = json.loads(state.cloud.read_text(encoding="utf-8"))
    return Deployment(tuple(unmanaged_pipes(outputs)), cloud, stamp)


def deployment_stamp(state: StateDir) -> tuple[int, ...]:
    """Changes whenever a file that describes the deployment is replaced."""
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in (state.outputs, state.cloud))


class Generation:
    """The threads that play one deployment, until it is replaced or the runner stops."""

    def __init__(self, deployment: Deployment, state: StateDir, counters: dict[str, PipeCounters]) -> None:
        self._stop = threading.Event()
        self._state = state
        self._clients = Clients(deployment.cloud)
        self._threads = [
            threading.Thread(
                target=self._reader(pipe, counters.setdefault(pipe.name, PipeCounters())).run,
                name=pipe.name,
                daemon=True,
            )
            for pipe in deployment.pipes
        ]

    def start(self) -> None:
        """Start one thread per pipe."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Tell the threads to stop and wait until the batches in hand are settled or given up."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def dead(self) -> list[str]:
        """The names of pipes whose thread has ended, which it never should."""
        return [thread.name for thread in self._threads if not thread.is_alive()]

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise StoppedError

    def _reader(self, pipe: PipeDefinition, counters: PipeCounters) -> StreamReader | QueueReader:
        enrichment = LambdaEnrichment(self._clients.functions, pipe.enrichment_arn) if pipe.enrichment_arn else None
        target = self._target(pipe)
        if isinstance(pipe.source, QueueSource):
            return QueueReader(
                self._clients.sqs,
                pipe,
                pipe.source,
                queue_url=self._clients.queue_url(pipe.source.arn),
                enrichment=enrichment,
                target=target,
                counters=counters,
                sleep=self._sleep,
            )
        delivery = StreamDelivery(
            pipe,
            pipe.source,
            counters,
            enrichment=enrichment,
            target=target,
            dead_letters=self._dead_letters(pipe.source),
            sleep=self._sleep,
        )
        checkpoints = CheckpointFiles(self._state.checkpoints / pipe.name, pipe.source.arn)
        play = StreamPlay(
            client=self._clients.streams,
            definition=pipe,
            source=pipe.source,
            checkpoints=checkpoints,
            delivery=delivery,
            counters=counters,
            sleep=self._sleep,
        )
        return StreamReader(play)

    def _target(self, pipe: PipeDefinition) -> Target:
        if isinstance(pipe.target, BusTarget):
            return EventBusTarget(self._clients.events, pipe.target, self._sleep)
        return StateMachineStart(self._clients.machines, pipe.target)

    def _dead_letters(self, source: StreamSource) -> DeadLetterQueue | None:
        if source.dead_letter_arn is None:
            return None
        return DeadLetterQueue(self._clients.sqs, self._clients.queue_url(source.dead_letter_arn))


class Runner:
    """Plays the current deployment of a state directory until SIGTERM or SIGINT."""

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._stop = threading.Event()
        self._started_at = time.time()
        self._counters: dict[str, PipeCounters] = {}

    def request_stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Signal handler: finish what is in hand and end."""
        self._stop.set()

    def run(self) -> None:
        """Play. Raises UnsupportedDefinitionError at start; later only logs it and keeps the pipes stopped."""
        deployment = read_deployment(self._state)
        generation = self._begin(deployment)
        logged: dict[str, dict[str, Any]] = {}
        logged_at = time.monotonic()
        try:
            while not self._stop.wait(_BEAT_S):
                ended = generation.dead()
                if deployment_stamp(self._state) != deployment.stamp or (ended and deployment.pipes):
                    generation.stop()
                    deployment, generation = self._follow(deployment, generation, ended)
                self._beat()
                if time.monotonic() - logged_at >= _PROGRESS_LOG_S:
                    logged, logged_at = self._log_progress(logged), time.monotonic()
        finally:
            generation.stop()
            self._beat()
            self._log_progress({})
            logger.info("stopped", extra={"fields": {}})

    def _begin(self, deployment: Deployment) -> Generation:
        generation = Generation(deployment, self._state, self._counters)
        names = [pipe.name for pipe in deployment.pipes]
        logger.info("playing", extra={"fields": {"pipes": names, "endpoint": deployment.cloud["endpoint_url"]}})
        generation.start()
        self._beat()
        return generation

    def _follow(self, old: Deployment, stopped: Generation, ended: list[str]) -> tuple[Deployment, Generation]:
        """Take up the new deployment; while its files cannot be used, stay stopped and look again."""
        stamp = deployment_stamp(self._state)
        try:
            new = read_deployment(self._state)
        except (OSError, ValueError, UnsupportedDefinitionError) as error:
            logger.warning("the deployment cannot be played", extra={"fields": {"cause": str(error)}})
            return Deployment((), old.cloud, stamp), stopped
        logger.info("deployment changed", extra={"fields": {"ended": ended}})
        return new, self._begin(new)

    def _beat(self) -> None:
        pipes = {name: counters.snapshot() for name, counters in self._counters.items()}
        Heartbeat(os.getpid(), self._started_at, time.time(), pipes).write(self._state.pipe_runner_status)

    def _log_progress(self, before: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        now = {name: counters.snapshot() for name, counters in self._counters.items()}
        for name, counts in now.items():
            if counts != before.get(name):
                logger.info("progress", extra={"fields": {"pipe": name, **counts}})
        return now


class JsonLines(logging.Formatter):
    """One JSON object per record: time, level, message and the `fields` given as extra."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record; a traceback becomes one field."""
        line: dict[str, Any] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def take_lock(state: StateDir) -> IO[str] | None:
    """The state directory's runner lock, held until the file is closed; None when another runner has it."""
    lock = state.pipe_runner_lock.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _log_thread_death(args: threading.ExceptHookArgs) -> None:
    kind: type[BaseException] = args.exc_type
    trace: TracebackType | None = args.exc_traceback
    name = args.thread.name if args.thread else "?"
    error = args.exc_value or kind()
    logger.error("thread ended", exc_info=(kind, error, trace), extra={"fields": {"thread": name}})


def main(state_root: Path) -> int:
    """Run in this process; return the exit code. Logs to standard output, one JSON object a line."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    threading.excepthook = _log_thread_death
    state = StateDir(state_root)
    lock = take_lock(state)
    if lock is None:
        logger.error("another pipe runner plays here", extra={"fields": {"state_dir": str(state.root)}})
        return 1
    with lock:
        runner = Runner(state)
        gc.freeze()
        gc.set_threshold(50_000)
        signal.signal(signal.SIGTERM, runner.request_stop)
        signal.signal(signal.SIGINT, runner.request_stop)
        try:
            runner.run()
        except (UnsupportedDefinitionError, OSError, ValueError) as error:
            logger.error("cannot play", extra={"fields": {"cause": str(error)}})  # noqa: TRY400 (the cause says it all)
            return 1
    return 0
