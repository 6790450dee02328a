"""The steps of `up`, each of which can be taken alone and twice: what already stands is found, not made again."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from local_cloud import (
    batch_runner,
    emulator,
    localstack_emulator,
    postgres,
    processes,
    provider_source,
    terraform_binary,
)
from local_cloud.emulator import Emulator
from local_cloud.errors import LocalCloudError
from local_cloud.layout import CHECKOUT, STATE_DIR_VARIABLE, StateDir
from local_cloud.pipe_runner.definition import unmanaged_pipes
from local_cloud.pipe_runner.errors import UnsupportedDefinitionError
from local_cloud.progress import Reporter, Step
from local_cloud.terraform import ROOT_MODULE, Deployer
from postrail.adapters.postgres.installation import write_private

PIPE_RUNNER: Final = "pipe-runner"
STEPS: Final = ("terraform", "postgres", "emulator", "build", "migrate", "deploy", "pipes", "batch", "seed")
_BUILD: Final = CHECKOUT / "lambdas" / "build.py"


class Launch:
    """One local cloud being started. Each step begins with what it needs, so any of them may come first."""

    def __init__(self, state: StateDir, kind: str, reporter: Reporter, *, check_rights: bool | None = None) -> None:
        self._state = state
        self._kind = kind
        self._reporter = reporter
        self._check_rights = check_rights

    def take(self, steps: tuple[str, ...] = STEPS) -> None:
        """Take the named steps in their order. Raises LocalCloudError at the first that fails."""
        self._check_kind()
        actions: Mapping[str, Callable[[], object]] = {
            "terraform": lambda: self._terraform,
            "postgres": lambda: self._ledger,
            "emulator": lambda: self._emulator,
            "build": self.build,
            "migrate": self.migrate,
            "deploy": self.deploy,
            "pipes": self.start_pipes,
            "batch": self.start_batch_runner,
            "seed": self.seed,
        }
        for step in STEPS:
            if step in steps:
                actions[step]()

    def _check_kind(self) -> None:
        """Refuse at once what would only fail later."""
        here = read_cloud(self._state).get("emulator", self._kind)
        if here != self._kind:
            msg = f"{here} runs in {self._state.root}; end it first: make down"
            raise LocalCloudError(msg)
        if self._kind == "localstack":
            if self._check_rights:
                raise LocalCloudError("Only MiniStack is told to check rights; leave --iam away.")
            localstack_emulator.check_requirements()

    @cached_property
    def _terraform(self) -> tuple[terraform_binary.Terraform, provider_source.ProviderSource]:
        with self._reporter.step("Terraform") as step:
            terraform = terraform_binary.find_or_fetch(step.update)
            step.update("looking for the AWS provider")
            source = provider_source.choose(terraform)
            step.result = f"{terraform.name}, provider from {source.name}"
        return terraform, source

    @cached_property
    def _localstack(self) -> tuple[Emulator, postgres.Settings]:
        with self._reporter.step("LocalStack and PostgreSQL") as step:
            both = localstack_emulator.ensure_running(self._state, step.update)
            step.result = both[0].endpoint_url
        return both

    @cached_property
    def _ledger(self) -> postgres.Settings:
        if self._kind == "localstack":
            return self._localstack[1]
        with self._reporter.step("PostgreSQL") as step:
            settings = postgres.ensure_running(self._state, step.update)
            step.result = f"127.0.0.1:{settings.port}"
        return settings

    @cached_property
    def _emulator(self) -> Emulator:
        ledger = self._ledger
        if self._kind == "localstack":
            found = self._localstack[0]
        else:
            with self._reporter.step("Emulator") as step:
                found = emulator.ensure_running(self._state, step.update, check_rights=self._check_rights)
                step.result = found.endpoint_url + (", checks rights" if found.checks_rights else "")
        cloud = {
            "emulator": found.kind,
            "endpoint_url": found.endpoint_url,
            "region": found.region,
            "access_key_id": found.access_key_id,
            "secret_access_key": found.secret_access_key,
            "ledger_dsn": ledger.dsn,
            "state_dir": str(self._state.root),
            "rights": "checked" if found.checks_rights else "not checked",
        }
        text = json.dumps(cloud, indent=2)
        # Left alone when nothing changed: the pipe runner starts anew whenever the file is replaced.
        if not self._state.cloud.exists() or self._state.cloud.read_text(encoding="utf-8") != text:
            write_private(self._state.cloud, text)
        return found

    def build(self) -> None:
        """Build the functions' archives; Terraform only hashes them."""
        with self._reporter.step("Function archives") as step:
            self._run([sys.executable, str(_BUILD)], step)
            if self._kind == "localstack":
                architecture = "arm64" if os.uname().machine in {"arm64", "aarch64"} else "x86_64"
                self._run([sys.executable, str(_BUILD), "--layer", "--arch", architecture], step)

    def migrate(self) -> None:
        """Bring the ledger's schema up to date."""
        _ = self._emulator
        with self._reporter.step("Ledger migrations") as step:
            self._run([*_postrail(), "ledger", "migrate"], step)

    def seed(self) -> None:
        """Reference data and accounts; the same however often it runs."""
        with self._reporter.step("Reference data and accounts") as step:
            self._run([*_postrail(), "seed"], step)

    def deployer(self) -> Deployer:
        """Terraform over this cloud, its variables written; starts what is not running."""
        terraform, source = self._terraform
        found, ledger = self._emulator, self._ledger
        deployer = Deployer(self._state, terraform, found, ROOT_MODULE / "environments" / "local.tfvars")
        local = self._kind == "localstack"
        host, port = (
            (localstack_emulator.LEDGER_HOST, localstack_emulator.LEDGER_PORT) if local else ("127.0.0.1", None)
        )
        deployer.prepare(source, ledger, host, port or ledger.port)
        return deployer

    def deploy(self) -> None:
        """Apply the repository's Terraform and write outputs.json."""
        deployer = self.deployer()
        with self._reporter.step("Terraform init") as step:
            step.update("installing the provider")
            deployer.init()
        with self._reporter.step("Terraform apply") as step:
            step.result = deployer.apply(step.update)
            deployer.outputs()

    def start_pipes(self) -> None:
        """Start the pipe runner where pipes are stored but not run; never elsewhere."""
        try:
            pipes = unmanaged_pipes(self._outputs())
        except UnsupportedDefinitionError as error:
            message = f"The pipe runner cannot play what Terraform deployed: {error}"
            raise LocalCloudError(message) from error
        if not pipes:
            processes.stop(self._state, PIPE_RUNNER)
            return
        with self._reporter.step("Pipe runner") as step:
            if processes.running(self._state, PIPE_RUNNER) is None:
                processes.stop(self._state, PIPE_RUNNER)
                self._start_runner(PIPE_RUNNER, "local_cloud.pipe_runner", self._state.pipe_runner_status)
            step.result = ", ".join(pipe.name for pipe in pipes)

    def start_batch_runner(self) -> None:
        """Start the batch runner where ECS runs no tasks; never elsewhere."""
        batch = batch_runner.unmanaged_batch(self._outputs())
        if batch is None:
            processes.stop(self._state, batch_runner.NAME)
            return
        with self._reporter.step("Batch runner") as step:
            if processes.running(self._state, batch_runner.NAME) is None:
                processes.stop(self._state, batch_runner.NAME)
                self._start_runner(batch_runner.NAME, "local_cloud.batch_runner", self._state.batch_runner_status)
            step.result = batch["inbox"]

    def _outputs(self) -> dict[str, Any]:
        try:
            outputs: dict[str, Any] = json.loads(self._state.outputs.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LocalCloudError("Nothing is deployed yet, so there is nothing to run beside it.") from error
        return outputs

    def _start_runner(self, name: str, module: str, status: Path) -> None:
        """Start a process of ours that plays what the emulator only stores, and wait for its first heartbeat."""
        status.unlink(missing_ok=True)
        env = {**processes.loopback_environment(), "PYTHONPATH": str(CHECKOUT / "localstack")}
        command = [sys.executable, "-m", module, "--state-dir", str(self._state.root)]
        record = processes.start(self._state, name, command, env=env, cwd=self._state.root)
        if not processes.wait_for(status.exists, record, patience_s=30.0):
            tail = processes.log_tail(self._state, name)
            processes.stop(self._state, name)
            message = f"The {name} did not come up:\n{tail}"
            raise LocalCloudError(message)

    def _run(self, command: list[str], step: Step) -> None:
        """Run a command of the repository; its last line becomes the step's result, its errors the message."""
        step.update("running")
        env = {
            **processes.loopback_environment(),
            STATE_DIR_VARIABLE: str(self._state.root),
        }
        answer = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=CHECKOUT)
        if answer.returncode != 0:
            said = (answer.stderr.strip() or answer.stdout.strip())[-2000:]
            message = f"`{' '.join(command[1:])}` failed:\n{said}"
            raise LocalCloudError(message)
        lines = answer.stdout.strip().splitlines()
        step.result = lines[-1].strip() if lines else ""


def _postrail() -> list[str]:
    """The command line of the package, by the interpreter that runs this."""
    return [sys.executable, "-c", "import sys; from postrail.cli.main import main; sys.exit(main())"]


def read_cloud(state: StateDir) -> dict[str, str]:
    """cloud.json, or an empty object."""
    try:
        cloud: dict[str, str] = json.loads(state.cloud.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cloud


@contextmanager
def exclusive(state: StateDir) -> Iterator[None]:
    """Hold the state directory's lock: two `up` or `down` at once would undo each other's work."""
    state.root.mkdir(parents=True, exist_ok=True)
    with state.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            msg = f"Another up or down is at work in {state.root}; wait for it."
            raise LocalCloudError(msg) from error
        yield
