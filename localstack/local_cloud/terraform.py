"""Applies the repository's own Terraform to the emulator, with state, data and variables in the state directory."""

import json
import os
import platform
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from local_cloud.emulator import Emulator
from local_cloud.errors import LocalCloudError
from local_cloud.layout import CHECKOUT, StateDir
from local_cloud.postgres import Settings
from local_cloud.processes import loopback_environment
from local_cloud.provider_source import ProviderSource, cli_configuration, registry_host
from local_cloud.terraform_binary import TOOLS, Terraform
from postrail.adapters.postgres.installation import write_private
from switch.issuing.local_tokens import LocalTokens

ROOT_MODULE: Final = CHECKOUT / "terraform"
ZIPS: Final = CHECKOUT / "build"
# SQS queues alone take 25 s each before the provider believes in them, so as many as possible wait together.
_PARALLELISM: Final = 30
_DIAGNOSTICS_MAX: Final = 5


@dataclass(slots=True)
class ApplyProgress:
    """What the JSON lines of `terraform apply -json` have told so far."""

    total: int = 0
    done: int = 0
    changes: str = ""
    errors: deque[str] = field(default_factory=lambda: deque(maxlen=_DIAGNOSTICS_MAX))

    def read(self, line: str) -> bool:
        """Take in one line; return whether there is something new to show."""
        try:
            event = json.loads(line)
        except ValueError:
            return False
        kind = event.get("type")
        if kind == "change_summary":
            changes = event.get("changes", {})
            if changes.get("operation") == "plan":
                self.total = sum(int(changes.get(name, 0)) for name in ("add", "change", "remove"))
                return True
            self.changes = str(event.get("@message", ""))
        elif kind == "apply_complete" and event.get("hook", {}).get("action") in {"create", "update", "delete"}:
            # Data sources complete as well, by a `read`, and are not in the total.
            self.done += 1
            return True
        elif kind == "diagnostic" and event.get("@level") == "error":
            diagnostic = event.get("diagnostic", {})
            where = diagnostic.get("address") or "terraform"
            text = f"{where}: {diagnostic.get('summary', '')} {diagnostic.get('detail', '')}"
            self.errors.append(" ".join(text.split())[:600])
        return False

    def text(self) -> str:
        """For people."""
        return f"{self.done} of {self.total} resources" if self.total else "comparing"


class Deployer:
    """Terraform over one emulator and one state directory."""

    def __init__(self, state: StateDir, terraform: Terraform, emulator: Emulator, variable_file: Path) -> None:
        self._state = state
        self._terraform = terraform
        self._emulator = emulator
        self._variable_file = variable_file

    def prepare(self, source: ProviderSource, ledger: Settings, ledger_host: str, ledger_port: int) -> None:
        """Write the CLI configuration and the generated variables, and drop state of an emulator that is gone."""
        cache = TOOLS / "providers"
        cache.mkdir(parents=True, exist_ok=True)
        text = cli_configuration(source, registry_host(self._terraform), cache)
        self._state.terraform_cli_config.write_text(text, encoding="utf-8")
        variables: dict[str, Any] = {
            "zip_dir": str(ZIPS),
            # `up` migrates before it deploys, so that no scheduled function meets an empty database.
            "ledger": {
                "host": ledger_host,
                "port": ledger_port,
                "dbname": "ledger",
                "username": "postrail",
                # Over loopback, or between two containers of one network.
                "sslmode": "disable",
                "migrate": False,
            },
            "ledger_password": ledger.password,
            # Whoever holds this machine's key may call its APIs; `postrail token` does.
            "token_keys": LocalTokens(self._state.keys).keys,
            "architecture": "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64",
        }
        if self._emulator.kind == "localstack":
            # LocalStack runs pipes, and functions in containers of the real runtime, which hold no packages.
            # Its tasks would need an image of ours in a registry of its own: the batch runner stands in for them.
            variables["target"] = {
                "emulator": True,
                "pipes_run": True,
                "tracing": False,
                "dependencies_layer": True,
                "tasks_run": False,
                "alarms_run": False,
                "jwt_authorizer": False,
                "endpoints_run": False,
                "database_telemetry": False,
                "audit_trail": False,
                "edge": False,
            }
        write_private(self._state.terraform_variables, json.dumps(variables, indent=2))
        self.drop_state_of_another_boot()

    def drop_state_of_another_boot(self) -> bool:
        """Throw Terraform's state away when it describes an emulator that is gone; return whether it did."""
        try:
            deployed = self._state.deployed_boot.read_text(encoding="utf-8")
        except OSError:
            deployed = ""
        if deployed == self._emulator.boot_id:
            return False
        dropped = self._state.terraform_state.exists()
        for path in (self._state.terraform_state, self._state.terraform_state.with_suffix(".tfstate.backup")):
            path.unlink(missing_ok=True)
        self._state.outputs.unlink(missing_ok=True)
        # Written before the apply: an apply that breaks off leaves state of this boot, and is to be continued.
        self._state.deployed_boot.write_text(self._emulator.boot_id, encoding="utf-8")
        return dropped

    def init(self) -> None:
        """`terraform init`. Raises LocalCloudError with Terraform's own words."""
        answer = self._run(["init", "-input=false", "-no-color"])
        if answer.returncode != 0:
            words = (answer.stderr or answer.stdout).strip()
            message = f"terraform init failed:\n{words[-2000:]}"
            raise LocalCloudError(message)

    def apply(self, update: Callable[[str], None]) -> str:
        """`terraform apply`; returns Terraform's summary. Raises LocalCloudError with the first errors."""
        return self._follow("apply", update)

    def destroy(self, update: Callable[[str], None]) -> str:
        """`terraform destroy`; returns Terraform's summary. Raises LocalCloudError with the first errors."""
        summary = self._follow("destroy", update)
        self._state.outputs.unlink(missing_ok=True)
        return summary

    def plan(self) -> tuple[bool, str]:
        """`terraform plan`: whether it would change anything, and its words. Raises LocalCloudError when it fails."""
        arguments = ["plan", "-detailed-exitcode", "-input=false", "-no-color", f"-parallelism={_PARALLELISM}"]
        answer = self._run([*arguments, f"-state={self._state.terraform_state}", *self._variable_arguments()])
        if answer.returncode not in (0, 2):
            message = f"terraform plan failed:\n{(answer.stderr or answer.stdout).strip()[-2000:]}"
            raise LocalCloudError(message)
        return answer.returncode == 2, answer.stdout

    def _follow(self, verb: str, update: Callable[[str], None]) -> str:
        arguments = [verb, "-json", "-auto-approve", "-input=false", f"-parallelism={_PARALLELISM}"]
        arguments += [f"-state={self._state.terraform_state}", *self._variable_arguments()]
        progress = ApplyProgress()
        self._state.logs.mkdir(parents=True, exist_ok=True)
        with (
            self._state.log("terraform").open("w", encoding="utf-8") as log,
            subprocess.Popen(
                self._command(arguments),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=self._environment(),
                cwd=CHECKOUT,
            ) as process,
        ):
            for line in process.stdout or ():
                log.write(line)
                progress.read(line)
                update(progress.text())
        if process.returncode != 0:
            errors = "\n".join(progress.errors) or f"see {self._state.log('terraform')}"
            message = f"terraform {verb} failed:\n{errors}"
            raise LocalCloudError(message)
        return progress.changes or progress.text()

    def outputs(self) -> dict[str, Any]:
        """`terraform output -json`, also written to outputs.json."""
        answer = self._run(["output", "-json", f"-state={self._state.terraform_state}"])
        if answer.returncode != 0:
            message = f"terraform output failed:\n{answer.stderr.strip()[-2000:]}"
            raise LocalCloudError(message)
        outputs: dict[str, Any] = json.loads(answer.stdout)
        # Left alone when nothing changed: the pipe runner starts anew whenever the file is replaced.
        if not self._state.outputs.exists() or self._state.outputs.read_text(encoding="utf-8") != answer.stdout:
            write_private(self._state.outputs, answer.stdout)
        return outputs

    def _variable_arguments(self) -> list[str]:
        return [f"-var-file={self._variable_file}", f"-var-file={self._state.terraform_variables}"]

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [str(self._terraform.path), f"-chdir={ROOT_MODULE}", *arguments]

    def _run(self, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self._command(arguments),
            capture_output=True,
            text=True,
            check=False,
            env=self._environment(),
            cwd=CHECKOUT,
        )

    def _environment(self) -> Mapping[str, str]:
        base = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
        return {
            **loopback_environment(base),
            "TF_CLI_CONFIG_FILE": str(self._state.terraform_cli_config),
            "TF_DATA_DIR": str(self._state.terraform_data),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            "AWS_ENDPOINT_URL": self._emulator.endpoint_url,
            "AWS_ACCESS_KEY_ID": self._emulator.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self._emulator.secret_access_key,
            "AWS_REGION": self._emulator.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
