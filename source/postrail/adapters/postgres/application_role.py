"""The database role of functions, tasks and switch: what it may do, and by which password a proxy logs it in.

The owner of the schemas runs migrations and gives this role its rights, which `sql/application_role.sql` lists. The
password never reaches the server: it gets the SCRAM verifier (RFC 5802), so that no statement that is logged, traced or
shown by pg_stat_activity holds a secret.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

import asyncpg
import psycopg
from psycopg import sql

from postrail.adapters.postgres.errors import DRIVER_ERRORS, translate
from postrail.adapters.postgres.queries import statements
from postrail.domain.errors import Retryable

Connection: TypeAlias = "psycopg.Connection[tuple[object, ...]]"

_SQL: Final = statements("application_role.sql")
_ADVISORY_LOCK: Final = 0x706F_7374_726F_6C65
"""The ASCII letters "postrole": whoever changes the role or its password does it alone."""
_CONNECT_SECONDS_MAX: Final = 5
_STATEMENT_SECONDS_MAX: Final = 20


class LoginRefused(Retryable):
    """The server does not let the role in with this password."""


def grant_rights(owner_dsn: str, role: str) -> None:
    """Give an existing role exactly the rights it needs, in one transaction: what is not listed is taken away.

    `owner_dsn` logs in as the owner of the schemas. Raises Retryable when the database cannot be reached or refuses.
    """
    with _owning(owner_dsn) as connection:
        for part in ("revoke", "grant"):
            connection.execute(sql.SQL(_SQL[part]).format(role=sql.Identifier(role)))


def ensure_login(owner_dsn: str, role: str, password: str) -> None:
    """Make the role if it is missing, and let it in with this password and no other from now on.

    Sessions that are open stay. The role may neither create roles and databases nor go past the guards of the tables,
    and it never gets `rds_iam`: Aurora would then refuse the password by which its proxy logs in. Safe to repeat.
    Raises Retryable when the database cannot be reached or refuses.
    """
    with _owning(owner_dsn) as connection:
        known = connection.execute("SELECT FROM pg_catalog.pg_roles WHERE rolname = %s", (role,)).fetchone() is not None
        verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
        command = "ALTER ROLE {} LOGIN PASSWORD {}" if known else "CREATE ROLE {} LOGIN PASSWORD {}"
        connection.execute(sql.SQL(command).format(sql.Identifier(role), sql.Literal(verifier)))


def check_login(dsn: str) -> None:
    """Log in with the password of a URI. Raises LoginRefused, or Retryable when the database cannot be reached."""
    try:
        asyncio.run(_log_in(dsn))
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError):
        # Neither the server's words nor the address that was tried: both come with the role, and one with its password.
        raise LoginRefused("the database refuses the role's password") from None
    except DRIVER_ERRORS as error:
        raise translate(error) from error


async def _log_in(dsn: str) -> None:
    connection = await asyncpg.connect(
        dsn,
        timeout=_CONNECT_SECONDS_MAX,
        command_timeout=_STATEMENT_SECONDS_MAX,
        server_settings={"application_name": "postrail-login"},
    )
    try:
        await connection.fetchval("SELECT 1")
    finally:
        await connection.close(timeout=_CONNECT_SECONDS_MAX)


@contextmanager
def _owning(dsn: str) -> Iterator[Connection]:
    """One transaction as the owner, alone among those who change roles."""
    try:
        with psycopg.connect(
            dsn, connect_timeout=_CONNECT_SECONDS_MAX, application_name="postrail-application-role"
        ) as connection:
            connection.execute(f"SET LOCAL statement_timeout = '{_STATEMENT_SECONDS_MAX}s'".encode())
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY_LOCK,))
            yield connection
    except psycopg.Error as error:
        # The words of a failed connection hold address and user; those of a failed statement may hold the verifier.
        msg = f"the application's role could not be changed: {type(error).__name__} {error.sqlstate or ''}".rstrip()
        raise Retryable(msg) from None
