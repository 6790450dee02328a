"""The password of the ledger's application role, against a real PostgreSQL and Secrets Manager's protocol."""

import json
import secrets
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from botocore.exceptions import ClientError
from psycopg import sql
from tests.integration.aws.conftest import Cloud

from postrail.adapters.aws.ledger_login import LoginRotation, RoleLogin
from postrail.adapters.aws.secrets import LedgerPlace, login_dsn
from postrail.domain.errors import Permanent, Retryable

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


class RotatingSecrets:
    """Secrets Manager while it rotates: it shows the version of the rotation before that has a value.

    The simulators show a version once it is put. `failing` names calls that fail the next time.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self.under_way = ""
        self.failing: set[str] = set()

    def describe_secret(self, **arguments: Any) -> Any:
        self._fail("describe_secret")
        described = self._client.describe_secret(**arguments)
        if self.under_way:
            described.setdefault("VersionIdsToStages", {}).setdefault(self.under_way, ["AWSPENDING"])
        return described

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            self._fail(name)
            return getattr(self._client, name)(**arguments)

        return call

    def _fail(self, name: str) -> None:
        if name in self.failing:
            self.failing.remove(name)
            raise ClientError({"Error": {"Code": "InternalServiceError", "Message": "away"}}, name)


@dataclass
class Bench:
    """A role's login, its rotation, and what a person would look at."""

    client: RotatingSecrets
    arn: str
    role: str
    place: LedgerPlace
    owner: list[str]
    login: RoleLogin = field(init=False)
    rotation: LoginRotation = field(init=False)

    def __post_init__(self) -> None:
        client: Any = self.client
        self.login = RoleLogin(client, self.arn, role=self.role, place=self.place, owner_dsn=lambda: self.owner[-1])
        self.rotation = LoginRotation(self.login)

    def password(self) -> str:
        value = json.loads(self.client.get_secret_value(SecretId=self.arn, VersionStage="AWSCURRENT")["SecretString"])
        return str(value["password"])

    def connect(self, password: str | None = None) -> "psycopg.Connection[tuple[Any, ...]]":
        return psycopg.connect(login_dsn(self.place, self.role, password or self.password()), autocommit=True)

    def opens(self, password: str) -> bool:
        try:
            self.connect(password).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" not in str(error):
                raise
            return False
        return True

    def begin(self) -> str:
        self.client.under_way = str(uuid.uuid4())
        return self.client.under_way

    def step(self, name: str, version: str) -> dict[str, str]:
        return self.rotation.handle({"Step": name, "SecretId": self.arn, "ClientRequestToken": version})

    def rotate(self) -> None:
        version = self.begin()
        for name in STEPS:
            self.step(name, version)


@pytest.fixture
def bench(cloud: Cloud, postgres_superuser_dsn: str) -> Iterator[Bench]:
    """A database whose application's role is not there yet, and a secret without a value, as Terraform makes it."""
    client = cloud.client("secretsmanager")
    arn = client.create_secret(Name=f"{cloud.prefix}-application")["ARN"]
    parts = urlsplit(postgres_superuser_dsn)
    place = LedgerPlace(host=parts.hostname or "", port=parts.port or 0, dbname=parts.path[1:])
    role = f"app_{secrets.token_hex(6)}"
    yield Bench(RotatingSecrets(client), arn, role, place, [postgres_superuser_dsn])
    with psycopg.connect(postgres_superuser_dsn, autocommit=True) as admin:
        if admin.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
            for command in ("DROP OWNED BY {}", "DROP ROLE {}"):
                admin.execute(sql.SQL(command).format(sql.Identifier(role)))


def test_the_first_deployment_makes_role_password_and_rights_and_the_next_changes_nothing(bench: Bench) -> None:
    bench.login.ensure()
    first = bench.password()
    with bench.connect() as connection:
        assert connection.execute("SELECT count(*) FROM ledger.journal_transactions").fetchone() == (0,)
    bench.login.ensure()
    assert bench.password() == first
    assert len(first) >= 43, "256 bits"


def test_a_rotation_replaces_the_password_and_cuts_nobody_off(bench: Bench) -> None:
    bench.login.ensure()
    with bench.connect() as session:
        passwords = [bench.password()]
        for _ in range(2):
            bench.rotate()
            passwords.append(bench.password())
        assert len(set(passwords)) == 3
        assert [bench.opens(password) for password in passwords] == [False, False, True]
        assert session.execute("SELECT 1").fetchone() == (1,), "an open session stays"


@pytest.mark.parametrize(
    ("failing_step", "call"),
    [
        ("createSecret", "put_secret_value"),
        ("setSecret", "get_secret_value"),
        ("testSecret", "get_secret_value"),
        ("finishSecret", "update_secret_version_stage"),
    ],
)
def test_a_step_that_failed_is_taken_again(bench: Bench, failing_step: str, call: str) -> None:
    """Secrets Manager begins anew, from the first step and with the same version."""
    bench.login.ensure()
    version = bench.begin()
    for name in STEPS:
        if name == failing_step:
            bench.client.failing.add(call)
            with pytest.raises(Retryable):
                bench.step(name, version)
            break
        bench.step(name, version)
    for name in STEPS:
        bench.step(name, version)
    bench.connect().close()


def test_while_the_database_is_away_the_password_stays_as_it_was(bench: Bench, postgres_superuser_dsn: str) -> None:
    bench.login.ensure()
    before, version = bench.password(), bench.begin()
    bench.step("createSecret", version)
    bench.owner.append(postgres_superuser_dsn.replace(f":{bench.place.port}/", ":1/"))
    with pytest.raises(Retryable):
        bench.step("setSecret", version)
    assert bench.password() == before
    assert bench.opens(before)
    bench.owner.pop()
    for name in STEPS[1:]:
        bench.step(name, version)
    assert not bench.opens(before)


def test_a_step_that_is_repeated_after_the_end_does_nothing(bench: Bench) -> None:
    bench.login.ensure()
    bench.rotate()
    password = bench.password()
    assert [bench.step(name, bench.client.under_way)["done"] for name in STEPS] == ["before"] * 4
    assert bench.password() == password


def test_the_password_of_a_restored_database_is_set_to_that_of_the_secret(bench: Bench) -> None:
    """A database that was restored to yesterday knows yesterday's password."""
    bench.login.ensure()
    yesterday = bench.password()
    bench.rotate()
    with psycopg.connect(bench.owner[-1], autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(bench.role), sql.Literal(yesterday)))
    assert not bench.opens(bench.password())
    bench.login.ensure()
    assert bench.opens(bench.password())


def test_the_server_gets_a_verifier_and_the_log_no_password(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.login.ensure()
    passwords = [bench.password()]
    bench.rotate()
    passwords.append(bench.password())
    with psycopg.connect(bench.owner[-1]) as admin:
        row = admin.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (bench.role,)).fetchone()
    assert row is not None
    assert row[0].startswith("SCRAM-SHA-256$")
    written = "\n".join(str(vars(record)) for record in caplog.records)
    assert "rotation step taken" in written
    assert not any(password in written for password in passwords)
    assert "SCRAM-SHA-256" not in written


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"SecretId": "arn:aws:secretsmanager:eu-west-2:123456789012:secret:another"}, id="another-secret"),
        pytest.param({"ClientRequestToken": str(uuid.UUID(int=0))}, id="a-version-that-is-not-there"),
        pytest.param({"Step": "dropSecret"}, id="an-unknown-step"),
        pytest.param({"Step": None}, id="no-step"),
    ],
)
def test_what_is_no_step_of_a_rotation_under_way_is_refused(bench: Bench, change: dict[str, Any]) -> None:
    bench.login.ensure()
    event = {"Step": "setSecret", "SecretId": bench.arn, "ClientRequestToken": bench.begin()}
    with pytest.raises(Permanent):
        bench.rotation.handle({**event, **change})
    assert bench.opens(bench.password())
