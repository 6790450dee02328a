"""Modules that only a real account gets, applied to an emulator of their own: made, planned again, destroyed.

The local cloud has no VPC and a PostgreSQL beside it, so its own graph never shows that these modules can be applied.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from lambdas import build

from local_cloud import emulator, processes, provider_source, terraform_binary
from local_cloud.emulator import Emulator
from local_cloud.layout import StateDir

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

FIXTURE: Final = Path(__file__).resolve().parents[3] / "terraform" / "tests" / "fixtures" / "account_modules"
# What the emulator takes and forgets: policies of endpoints, rules by prefix list, roles of flow logs; exports of a
# database's logs, and the key of its measurements.
TARGET: Final = {"endpoints_run": False, "database_telemetry": False}


@dataclass(frozen=True)
class Account:
    """An emulator with nothing in it, and Terraform over it."""

    emulator: Emulator
    terraform_path: Path
    state: Path
    environment: dict[str, str]

    def terraform(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Terraform over the fixture, with state and data beside the emulator's."""
        command = [str(self.terraform_path), f"-chdir={FIXTURE}", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=600, check=False)

    def change(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a verb that reads and writes the state."""
        return self.terraform(verb, "-no-color", "-input=false", "-parallelism=30", f"-state={self.state}", *arguments)

    def output(self, name: str) -> Any:
        """One of the fixture's outputs."""
        done = self.terraform("output", "-json", f"-state={self.state}", name)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def client(self, service: str) -> Any:
        """A plain boto3 client of the emulator."""
        return boto3.client(
            service,
            endpoint_url=self.emulator.endpoint_url,
            region_name=self.emulator.region,
            aws_access_key_id=self.emulator.access_key_id,
            aws_secret_access_key=self.emulator.secret_access_key,
        )


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """The modules applied to an emulator; at the end destroyed, with nothing left."""
    directory = StateDir(tmp_path_factory.mktemp("account") / "state")
    directory.root.mkdir()
    terraform = terraform_binary.find_or_fetch(lambda _: None)
    cache = terraform_binary.TOOLS / "providers"
    cache.mkdir(parents=True, exist_ok=True)
    source = provider_source.choose(terraform)
    configuration = provider_source.cli_configuration(source, provider_source.registry_host(terraform), cache)
    directory.terraform_cli_config.write_text(configuration, encoding="utf-8")
    archives = directory.root / "archives"
    build.build_functions(archives)
    running = emulator.ensure_running(directory, lambda _: None, preferred_ports=())
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
    made = Account(
        running,
        terraform.path,
        directory.root / "terraform.tfstate",
        {
            **processes.loopback_environment(inherited),
            "TF_CLI_CONFIG_FILE": str(directory.terraform_cli_config),
            "TF_DATA_DIR": str(directory.terraform_data),
            "TF_IN_AUTOMATION": "1",
            "TF_VAR_target": json.dumps(TARGET),
            "TF_VAR_zip_dir": str(archives),
            "CHECKPOINT_DISABLE": "1",
            "AWS_ENDPOINT_URL": running.endpoint_url,
            "AWS_ACCESS_KEY_ID": running.access_key_id,
            "AWS_SECRET_ACCESS_KEY": running.secret_access_key,
            "AWS_REGION": running.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        },
    )
    try:
        ready = made.terraform("init", "-no-color", "-input=false")
        assert ready.returncode == 0, ready.stdout + ready.stderr
        # Twice: the emulator moves a cluster to another address when it gets its first instance.
        for _ in range(2):
            applied = made.change("apply", "-auto-approve")
            assert applied.returncode == 0, applied.stdout[-3000:] + applied.stderr[-3000:]
        yield made
        destroyed = made.change("destroy", "-auto-approve")
        assert destroyed.returncode == 0, destroyed.stdout[-3000:] + destroyed.stderr[-3000:]
        assert json.loads(made.state.read_text())["resources"] == [], "destroy leaves no resource"
    finally:
        emulator.stop(directory)


def test_a_second_plan_changes_nothing(account: Account) -> None:
    """What was made is what was asked for."""
    planned = account.change("plan", "-detailed-exitcode")
    assert planned.returncode == 0, planned.stdout[-3000:] + planned.stderr[-3000:]


def test_subnets_lie_in_three_zones_and_give_nobody_a_public_address(account: Account) -> None:
    """As EC2 tells it, not as it was asked for."""
    network = account.output("network")
    described = account.client("ec2").describe_subnets(SubnetIds=network["subnet_ids"] + network["database_subnet_ids"])
    subnets = described["Subnets"]
    assert {subnet["VpcId"] for subnet in subnets} == {network["vpc_id"]}
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 3
    assert len(subnets) == 6
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in subnets)


def test_the_database_is_reached_from_proxy_and_owners_alone(account: Account) -> None:
    """As EC2 tells it: two groups, one port, no address."""
    groups = account.output("network")["security_group_ids"]
    (database,) = account.client("ec2").describe_security_groups(GroupIds=groups["database"])["SecurityGroups"]
    allowed = {
        (pair["GroupId"], permission["FromPort"], permission["ToPort"])
        for permission in database["IpPermissions"]
        for pair in permission["UserIdGroupPairs"]
    }
    assert allowed == {(groups[name][0], 5432, 5432) for name in ("proxy", "owners")}
    assert not any(permission["IpRanges"] for permission in database["IpPermissions"])


def test_the_database_is_encrypted_spread_and_kept(account: Account) -> None:
    """As RDS tells it: two instances in two zones, under the ledger's key, its owner's password kept by RDS."""
    made, rds = account.output("ledger"), account.client("rds")
    (cluster,) = rds.describe_db_clusters(DBClusterIdentifier=made["id"])["DBClusters"]
    assert (cluster["StorageEncrypted"], cluster["KmsKeyId"]) == (True, made["key_arn"])
    assert (cluster["IAMDatabaseAuthenticationEnabled"], cluster["BackupRetentionPeriod"]) == (True, 7)
    assert cluster["MasterUserSecret"]["SecretArn"] == made["owner_secret_arn"]
    instances = [
        rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0] for name in sorted(made["instances"])
    ]
    assert len({instance["AvailabilityZone"] for instance in instances}) == 2
    assert {(instance["DBInstanceClass"], instance["PubliclyAccessible"]) for instance in instances} == {
        ("db.serverless", False)
    }


def test_the_proxy_wants_tls_and_a_signed_token(account: Account) -> None:
    """As RDS tells it."""
    made = account.output("ledger")
    (proxy,) = account.client("rds").describe_db_proxies(DBProxyName=made["proxy"])["DBProxies"]
    assert proxy["RequireTLS"]
    assert [auth["IAMAuth"] for auth in proxy["Auth"]] == ["REQUIRED"]


def test_terraform_gives_the_proxys_password_no_value(account: Account) -> None:
    """It is made by a function; neither state nor secret has one after an apply alone."""
    made = account.output("ledger")
    secrets = account.client("secretsmanager")
    (application,) = [
        secret for secret in secrets.list_secrets()["SecretList"] if secret["Name"].endswith("ledger-application")
    ]
    # Secrets Manager has no version then; the emulator makes one without a value.
    values = [
        secrets.get_secret_value(SecretId=application["ARN"], VersionId=version).get("SecretString")
        for version in application.get("SecretVersionsToStages", {})
    ]
    assert not any(values)
    state = json.loads(account.state.read_text())
    versions = [each for each in state["resources"] if each["type"] == "aws_secretsmanager_secret_version"]
    assert versions == []
    owner = secrets.get_secret_value(SecretId=made["owner_secret_arn"])["SecretString"]
    assert json.loads(owner)["password"] not in account.state.read_text()
