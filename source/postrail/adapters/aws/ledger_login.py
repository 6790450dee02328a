"""The password of the ledger's application role: made at the first deployment, and changed by rotations.

Nobody types it, and nobody but the proxy before the database uses it: it is in its secret, as verifier of the role, and
nowhere else. `RoleLogin.ensure` belongs to a deployment. `LoginRotation` answers Secrets Manager's four steps; each may
be repeated at any time, since Secrets Manager repeats what failed.

One role, not two that take turns: functions log in at the proxy by the name of the role, in the token they sign, and
the proxy finds the secret by that name. A name that changed with each rotation would have to be told to all of them at
once. From the second step to the fourth, some seconds, the proxy can open no new connection; those it has open stay.
"""

import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson
from botocore.exceptions import ClientError

from postrail.adapters.aws.clients import error_code, retryable
from postrail.adapters.aws.observability import logger
from postrail.adapters.aws.secrets import LedgerPlace, login_dsn
from postrail.adapters.postgres.application_role import LoginRefused, check_login, ensure_login, grant_rights
from postrail.domain.errors import Permanent, ReasonCode, Retryable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_CURRENT: Final = "AWSCURRENT"
_PENDING: Final = "AWSPENDING"
_PASSWORD_BYTES: Final = 32


class RoleLogin:
    """The application's role at one database, its secret, and the owner who may change both."""

    def __init__(
        self,
        client: "SecretsManagerClient",
        secret_arn: str,
        *,
        role: str,
        place: LedgerPlace,
        owner_dsn: Callable[[], str],
    ) -> None:
        """`place` is where the role logs in by password: the database itself, not its proxy."""
        self.client = client
        self.secret_arn = secret_arn
        self._role = role
        self._place = place
        self._owner_dsn = owner_dsn

    def ensure(self) -> None:
        """Give the role its rights, and a password if the one of its secret does not open the database.

        So it is after the first deployment, when there is no secret yet, and after the database was restored to a time
        before the last rotation. Raises Retryable when database or secret cannot be reached.
        """
        if not self._has_value():
            with retryable("keeping the ledger's first password"):
                self.client.put_secret_value(SecretId=self.secret_arn, SecretString=self.new_value())
            logger.info("password made", role=self._role)
        try:
            self.check()
        except LoginRefused:
            ensure_login(self._owner_dsn(), self._role, self._password())
            logger.info("password set", role=self._role)
        grant_rights(self._owner_dsn(), self._role)

    def new_value(self) -> str:
        """A secret's JSON with a password of 256 random bits."""
        value = {
            "username": self._role,
            "password": secrets.token_urlsafe(_PASSWORD_BYTES),
            "host": self._place.host,
            "port": self._place.port,
            "dbname": self._place.dbname,
            "sslmode": self._place.sslmode,
            "engine": "postgres",
        }
        return orjson.dumps(value).decode()

    def let_in(self, version: str) -> None:
        """Let the role in with the password of a version of the secret."""
        ensure_login(self._owner_dsn(), self._role, self._password(version))

    def check(self, version: str = "") -> None:
        """Log in with the password of a version, the current one by default. Raises LoginRefused, Retryable."""
        check_login(login_dsn(self._place, self._role, self._password(version)))

    def _has_value(self) -> bool:
        try:
            self.client.get_secret_value(SecretId=self.secret_arn, VersionStage=_CURRENT)
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                return False
            msg = f"reading the secret of the ledger's role: {error_code(error)}"
            raise Retryable(msg) from error
        return True

    def _password(self, version: str = "") -> str:
        with retryable("reading the secret of the ledger's role"):
            if version:
                answer = self.client.get_secret_value(SecretId=self.secret_arn, VersionId=version)
            else:
                answer = self.client.get_secret_value(SecretId=self.secret_arn, VersionStage=_CURRENT)
        text = answer["SecretString"]
        try:
            value = orjson.loads(text)
            username, password = value["username"], value["password"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise Retryable("the secret of the ledger's role is not complete") from None
        if username != self._role or not isinstance(password, str):
            raise Retryable("the secret of the ledger's role is that of another role")
        return password


class LoginRotation:
    """Answers Secrets Manager, which calls four times for one rotation: create, set, test and finish.

    See "Lambda function rotation" in the user guide of AWS Secrets Manager.
    """

    def __init__(self, login: RoleLogin) -> None:
        self._login = login
        self._steps: Mapping[str, Callable[[str], None]] = {
            "createSecret": self._create,
            "setSecret": self._set,
            "testSecret": self._login.check,
            "finishSecret": self._finish,
        }

    def handle(self, event: Any) -> dict[str, str]:
        """Take one step. Raises Permanent for a call that is not one of a rotation under way, else Retryable."""
        try:
            step, secret_arn, version = event["Step"], event["SecretId"], event["ClientRequestToken"]
            take = self._steps[step]
        except (KeyError, TypeError):
            raise Permanent(ReasonCode.INVALID_VALUE, "this is no step of a rotation") from None
        if secret_arn != self._login.secret_arn:
            raise Permanent(ReasonCode.INVALID_VALUE, "this function rotates another secret")
        stages = self._versions().get(version)
        if stages is None:
            raise Permanent(ReasonCode.INVALID_VALUE, "the secret has no version of this rotation")
        if _CURRENT in stages:
            # The rotation had ended, and only its answer was lost.
            return {"step": step, "version": version, "done": "before"}
        if _PENDING not in stages:
            raise Permanent(ReasonCode.INVALID_VALUE, "the version is not waiting to become current")
        take(version)
        logger.info("rotation step taken", step=step, version=version)
        return {"step": step, "version": version, "done": "now"}

    def _create(self, version: str) -> None:
        try:
            self._login.client.get_secret_value(
                SecretId=self._login.secret_arn, VersionId=version, VersionStage=_PENDING
            )
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                msg = f"reading the password of the rotation: {error_code(error)}"
                raise Retryable(msg) from error
            with retryable("keeping the password of the rotation"):
                self._login.client.put_secret_value(
                    SecretId=self._login.secret_arn,
                    ClientRequestToken=version,
                    SecretString=self._login.new_value(),
                    VersionStages=[_PENDING],
                )

    def _set(self, version: str) -> None:
        try:
            self._login.check(version)
        except LoginRefused:
            self._login.let_in(version)

    def _finish(self, version: str) -> None:
        current = next((name for name, stages in self._versions().items() if _CURRENT in stages), None)
        moved = {"RemoveFromVersionId": current} if current else {}
        with retryable("making the password of the rotation current"):
            self._login.client.update_secret_version_stage(
                SecretId=self._login.secret_arn, VersionStage=_CURRENT, MoveToVersionId=version, **moved
            )

    def _versions(self) -> Mapping[str, list[str]]:
        with retryable("looking at the versions of the ledger's password"):
            described = self._login.client.describe_secret(SecretId=self._login.secret_arn)
        return described.get("VersionIdsToStages", {})
