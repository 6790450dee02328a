"""Where the local cloud keeps what it knows: one state directory per cloud, `.local` by default.

Everything of one cloud lies in its state directory, so that a second one (`--state-dir`) runs beside the first.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STATE_DIR_VARIABLE: Final = "POSTRAIL_LOCAL_DIR"
CHECKOUT: Final = Path(__file__).resolve().parents[2]


def default_state_dir() -> Path:
    """`$POSTRAIL_LOCAL_DIR`, or `.local` in the checkout."""
    return Path(os.environ.get(STATE_DIR_VARIABLE) or CHECKOUT / ".local").resolve()


@dataclass(frozen=True, slots=True)
class StateDir:
    """The paths inside one state directory. Nothing is created by asking for a path."""

    root: Path

    @property
    def marker(self) -> Path:
        """Says that `up` made this directory, and `down` may remove it."""
        return self.root / "made-by-local-cloud"

    @property
    def lock(self) -> Path:
        """Held while `up` or `down` is at work."""
        return self.root / "lock"

    @property
    def outputs(self) -> Path:
        """`terraform output -json`."""
        return self.root / "outputs.json"

    @property
    def cloud(self) -> Path:
        """How to reach emulator and ledger; holds passwords, mode 0600."""
        return self.root / "cloud.json"

    @property
    def keys(self) -> Path:
        """The key that signs this machine's access tokens; mode 0600."""
        return self.root / "keys"

    @property
    def processes(self) -> Path:
        """One record per process that `up` started."""
        return self.root / "processes"

    @property
    def logs(self) -> Path:
        """Standard output and error of every process."""
        return self.root / "logs"

    @property
    def emulator(self) -> Path:
        """The emulator's scratch space."""
        return self.root / "emulator"

    @property
    def rights_log(self) -> Path:
        """Which role asked the emulator for what, one JSON object a line; there when it checks rights."""
        return self.root / "rights.jsonl"

    @property
    def postgres(self) -> Path:
        """The PostgreSQL data directory, unless `postgres.json` names another."""
        return self.root / "postgres"

    @property
    def postgres_settings(self) -> Path:
        """Port, password and data directory of PostgreSQL; mode 0600."""
        return self.root / "postgres.json"

    @property
    def terraform_data(self) -> Path:
        """TF_DATA_DIR."""
        return self.root / "terraform"

    @property
    def terraform_state(self) -> Path:
        """Terraform's state file."""
        return self.root / "terraform.tfstate"

    @property
    def terraform_cli_config(self) -> Path:
        """TF_CLI_CONFIG_FILE: where the provider comes from."""
        return self.root / "terraform.rc"

    @property
    def terraform_variables(self) -> Path:
        """Generated variables: the ledger's address and the zips; mode 0600."""
        return self.root / "local.auto.tfvars.json"

    @property
    def deployed_boot(self) -> Path:
        """Which boot of the emulator Terraform's state belongs to."""
        return self.root / "deployed-boot"

    @property
    def checkpoints(self) -> Path:
        """The pipe runner's checkpoints, one folder per pipe."""
        return self.root / "checkpoints"

    @property
    def pipe_runner_status(self) -> Path:
        """The pipe runner's heartbeat."""
        return self.root / "pipe-runner.json"

    @property
    def pipe_runner_lock(self) -> Path:
        """Held by the pipe runner while it plays."""
        return self.root / "pipe-runner.lock"

    @property
    def batch_runner_status(self) -> Path:
        """The batch runner's heartbeat."""
        return self.root / "batch-runner.json"

    def log(self, name: str) -> Path:
        """The log file of one process."""
        return self.logs / f"{name}.log"
