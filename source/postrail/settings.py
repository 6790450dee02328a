"""All settings, from the environment (`POSTRAIL_*`). The only module that reads it."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What a function or the command line needs to know of its surroundings.

    Terraform sets these on functions; the command line reads them from Terraform's outputs (`postrail.cli.graph`).
    """

    model_config = SettingsConfigDict(env_prefix="POSTRAIL_", extra="ignore", frozen=True)

    stage: str = Field(default="cli", description="name of the function's stage, e.g. standardise")
    bus_name: str = "payments"
    dead_letter_queue_url: str = ""
    dedup_table: str = ""
    dedup_window_hours: int = Field(default=72, ge=1, le=24 * 90)
    parked_bucket: str = ""
    reference_table: str = ""
    reference_cache_seconds: int = Field(default=60, ge=0)
    velocity_table: str = ""
    ledger_secret_arn: str = Field(
        default="", description="secret whose JSON carries host, port, dbname, username, password"
    )
    ledger_dsn: str = Field(default="", description="overrides the secret; for the command line and tests")
    anchors_uri: str = Field(default="", description="where anchors of the ledger are kept: s3://bucket/prefix")
    rules_file: Path | None = Field(default=None, description="default: rules/issuer-default.yaml of the config")
    config_dir: Path | None = Field(default=None, description="default: the config folder of the checkout or the zip")
    posting_input_format: str = Field(default="json", pattern="^(json|fixed_width)$")
    sequence_timeout_seconds: int = Field(default=900, ge=1)
    log_level: str = "INFO"

    def resolved_config_dir(self) -> Path:
        """The config folder: the setting, or `config/` beside the package's parent (zip) or its checkout."""
        if self.config_dir is not None:
            return self.config_dir
        package = Path(__file__).resolve().parent
        for candidate in (package.parent / "config", package.parent.parent / "config"):
            if candidate.is_dir():
                return candidate
        return package.parent / "config"


class CommandLineSettings(BaseSettings):
    """Where the `postrail` command finds the graph it works with."""

    model_config = SettingsConfigDict(env_prefix="POSTRAIL_", extra="ignore", frozen=True)

    local_dir: Path = Field(default=Path(".local"), description="state of the local cloud: outputs.json, cloud.json")
    outputs: Path | None = Field(
        default=None, description="`terraform output -json` of a graph in a real account; then local_dir is not read"
    )
    ledger_dsn: str = Field(default="", description="overrides the ledger's secret and the local cloud's own DSN")
