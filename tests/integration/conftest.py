"""A real PostgreSQL for integration tests.

`postgres_server` is one throwaway server for the whole run, the same that `make local` would start, or the one that
POSTRAIL_TEST_DSN names (a role that may create databases). `postgres_dsn` is a fresh, migrated database for each test,
owned by a role that is no superuser, so that the ledger's guards bind the test too.
"""

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from local_cloud import postgres as local_postgres
from local_cloud.layout import StateDir
from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.application_role import ensure_login, grant_rights
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.migrate import migrate


@dataclass(frozen=True)
class PostgresServer:
    """A running server: how its administrator and the owner of databases connect (to no database in particular)."""

    admin_dsn: str
    owner_dsn: str

    @property
    def owner(self) -> str:
        return urlsplit(self.owner_dsn).username or ""

    def create_database(self, template: str = "template1") -> str:
        """The name of a new database."""
        name = f"test_{secrets.token_hex(8)}"
        self._administer("CREATE DATABASE {} TEMPLATE {} OWNER {}", name, template, self.owner)
        return name

    def drop_database(self, name: str) -> None:
        self._administer("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def admin_dsn_of(self, database: str) -> str:
        return _with_database(self.admin_dsn, database)

    def owner_dsn_of(self, database: str) -> str:
        return _with_database(self.owner_dsn, database)

    def _administer(self, command: str, *names: str) -> None:
        with psycopg.connect(self.admin_dsn, autocommit=True) as connection:
            connection.execute(sql.SQL(command).format(*map(sql.Identifier, names)))


def _with_database(dsn: str, database: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One server for the run."""
    given = os.environ.get("POSTRAIL_TEST_DSN")
    if given:
        yield PostgresServer(given, given)
        return
    state = StateDir(Path(tmp_path_factory.mktemp("cloud")))
    try:
        settings = local_postgres.ensure_running(state, lambda _: None)
        admin = f"postgresql://postgres:{settings.superuser_password}@127.0.0.1:{settings.port}/postgres"
        yield PostgresServer(admin, settings.dsn)
    finally:
        local_postgres.stop(state)
        local_postgres.remove_data(state)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of a migrated database that nobody is connected to."""
    name = postgres_server.create_database()
    migrate(postgres_server.owner_dsn_of(name))
    yield name
    postgres_server.drop_database(name)


@pytest.fixture
def postgres_database(postgres_server: PostgresServer, migrated_template: str) -> Iterator[str]:
    """The name of a fresh, migrated database."""
    name = postgres_server.create_database(migrated_template)
    yield name
    postgres_server.drop_database(name)


@pytest.fixture(scope="module")
def module_database(postgres_server: PostgresServer, migrated_template: str) -> Iterator[str]:
    """The name of a migrated database that the tests of one module share: for those that leave it as it was."""
    name = postgres_server.create_database(migrated_template)
    yield name
    postgres_server.drop_database(name)


@pytest.fixture
def postgres_dsn(postgres_server: PostgresServer, postgres_database: str) -> str:
    """A fresh, migrated database, as its owner, who is no superuser."""
    return postgres_server.owner_dsn_of(postgres_database)


@pytest.fixture
def postgres_superuser_dsn(postgres_server: PostgresServer, postgres_database: str) -> str:
    """The same database as a superuser, who can switch guards off."""
    return postgres_server.admin_dsn_of(postgres_database)


@pytest.fixture
def application_dsn(postgres_server: PostgresServer, postgres_database: str, postgres_dsn: str) -> Iterator[str]:
    """The same database as the role of functions, tasks and switch, with the rights that a deployment gives it."""
    admin, role, password = postgres_server.admin_dsn_of(postgres_database), _new_role(), secrets.token_hex(12)
    ensure_login(admin, role, password)
    grant_rights(postgres_dsn, role)
    parts = urlsplit(postgres_dsn)
    yield urlunsplit(parts._replace(netloc=f"{role}:{password}@{parts.hostname}:{parts.port}"))
    with psycopg.connect(admin, autocommit=True) as connection:
        for command in ("DROP OWNED BY {}", "DROP ROLE {}"):
            connection.execute(sql.SQL(command).format(sql.Identifier(role)))


def _new_role() -> str:
    return f"app_{secrets.token_hex(6)}"


@pytest.fixture
def empty_dsn(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh database without a schema."""
    name = postgres_server.create_database()
    yield postgres_server.owner_dsn_of(name)
    postgres_server.drop_database(name)


@pytest.fixture
def database(postgres_dsn: str) -> Iterator[Database]:
    """A connection to the fresh database."""
    with Database(postgres_dsn) as opened:
        yield opened


@pytest.fixture
def ledger(database: Database) -> PostgresLedger:
    return PostgresLedger(database)


@pytest.fixture
def accounts(database: Database) -> PostgresAccounts:
    return PostgresAccounts(database)
