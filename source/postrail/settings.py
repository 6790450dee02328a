"""All settings, from the environment (`POSTRAIL_*`). The only module that reads it."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class LedgerSettings(BaseSettings):
    """How a process reaches the ledger's database; `postrail.bootstrap.ledger_dsn` makes an address of it.

    ledger_dsn goes before everything. With ledger_auth `iam` each login has a token of its own, for ledger_username at
    ledger_host; with `secret` the credentials are those of ledger_secret_arn, and what its JSON lacks comes from here.
    """

    model_config = SettingsConfigDict(env_prefix="POSTRAIL_", extra="ignore", frozen=True)

    ledger_dsn: str = Field(default="", description="overrides all that follows; for the command line and tests")
    ledger_auth: Literal["secret", "iam"] = "secret"
    ledger_secret_arn: str = Field(
        default="", description="secret whose JSON carries username and password, and host, port, dbname, sslmode"
    )
    ledger_host: str = ""
    ledger_port: int = Field(default=5432, ge=1, le=65_535)
    ledger_dbname: str = "ledger"
    ledger_username: str = ""
    ledger_sslmode: str = Field(default="", pattern="^(|disable|prefer|require|verify-ca|verify-full)$")
    ledger_ca_file: Path | None = Field(
        default=None,
        description="PEM file of the roots that the server's certificate leads to; default: public ones",
    )
    ledger_app_secret_arn: str = Field(
        default="",
        description="for migrations and rotations: secret of the role that functions use; empty: one role",
    )
    ledger_app_username: str = Field(default="", description="for migrations and rotations: the name of that role")


class Settings(LedgerSettings):
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
    anchors_uri: str = Field(default="", description="where anchors of the ledger are kept: s3://bucket/prefix")
    rules_file: Path | None = Field(default=None, description="default: rules/issuer-default.yaml of the config")
    config_dir: Path | None = Field(default=None, description="default: the config folder of the checkout or the zip")
    posting_input_format: str = Field(default="json", pattern="^(json|fixed_width)$")
    sequence_timeout_seconds: int = Field(default=900, ge=1)
    log_level: str = "INFO"
    metrics_namespace: str = Field(
        default="", description="CloudWatch namespace of this copy's own metrics; a batch run without one tells none"
    )

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


class SwitchSettings(LedgerSettings):
    """What a process of the switch, or a function of its API, needs to know of its surroundings."""

    model_config = SettingsConfigDict(env_prefix="POSTRAIL_", extra="ignore", frozen=True)

    ecosystem_file: Path | None = Field(default=None, description="default: ecosystem.yaml of the config folder")
    ecosystem_hosts: dict[str, str] = Field(
        default={}, description="where banks and networks are reached instead: id to host or host:port"
    )
    listen_host: str = Field(default="", description="address to listen on instead of the ecosystem's, e.g. 0.0.0.0")
    config_dir: Path | None = Field(default=None, description="default: the config folder of the checkout or the zip")
    authorizations_table: str = Field(default="", description="where the bank hands its approvals to the pipeline")
    reference_table: str = Field(default="", description="where the pipeline finds the account of a card")
    card_vault_table: str = Field(default="", description="DynamoDB table of encrypted card numbers")
    card_vault_key_arn: str = Field(default="", description="KMS key over the vault's data keys")
    card_folder: Path | None = Field(
        default=None, description="a vault in files, for one machine without KMS; card_vault_table goes before it"
    )
    notifications_topic_arn: str = ""
    token_issuer: str = Field(default="", description="the claim iss that access tokens must carry")
    token_audience: str = Field(default="postrail", description="the claim aud that access tokens must carry")
    token_keys: str = Field(default="", description="JWKS document, or its https URL, that signs access tokens")
    edge_secret_arn: str = Field(default="", description="secret that holds what the edge shows; empty: not asked for")
    hsm: str = Field(default="software", pattern="^(software|payment_cryptography)$")
    hsm_keys: str = Field(
        default="", description="JSON: key name to hex (software) or to key ARN; or the ARN of a secret that holds it"
    )
    tls_secret_arn: str = Field(
        default="", description="secret of the files that the ecosystem's tls names: JSON, path to PEM text"
    )
    health_port: int = Field(default=0, ge=0, le=65_535, description="0: none")
    log_level: str = "INFO"
    metrics_namespace: str = Field(
        default="", description="CloudWatch namespace of the metrics that a process writes each minute; empty: none"
    )
