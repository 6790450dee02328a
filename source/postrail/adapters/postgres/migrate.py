"""Brings a database to the newest schema.

The migrations are numbered SQL files, forward only, applied by yoyo. Two things are done around it. yoyo commits a
migration and its mark in two transactions, so that a process killed between them leaves a schema that cannot be
migrated any more: here both are one transaction. And yoyo's lock is a row that a killed process leaves behind: here
an advisory lock, which the server frees when its connection goes, keeps migrators apart.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlencode, urlsplit, urlunsplit

import psycopg
import yoyo

from postrail.domain.errors import Permanent, ReasonCode, Retryable

_BOOKKEEPING_SCHEMA = "migrations"
_ADVISORY_LOCK = 0x706F_7374_7261_696C
"""The ASCII letters "postrail": one lock for all who migrate this database."""


def migrate(dsn: str) -> list[str]:
    """Apply what is missing; returns the names of the migrations applied, oldest first, [] when there was nothing.

    `dsn` is a `postgresql://` URI whose role may create schemas in the database. Safe to run twice, and at the same
    time: the second waits, and finds nothing to do. Raises Retryable when the database cannot be reached or refuses.
    """
    try:
        with _alone(dsn), _migration_folder() as folder:
            return _apply(dsn, folder)
    except psycopg.Error as error:
        msg = f"the ledger could not be migrated: {error}"
        raise Retryable(msg) from error


@contextmanager
def _alone(dsn: str) -> Iterator[None]:
    with psycopg.connect(dsn, autocommit=True, connect_timeout=5, application_name="postrail-migrate") as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_ADVISORY_LOCK,))
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_BOOKKEEPING_SCHEMA}")
        yield


@contextmanager
def _migration_folder() -> Iterator[Path]:
    folder = files("postrail.adapters.postgres") / "migrations"
    if isinstance(folder, Path):
        yield folder
        return
    # The package is imported from a zip file: yoyo reads files only.
    with tempfile.TemporaryDirectory() as copy:
        for script in folder.iterdir():
            if script.name.endswith(".sql"):
                with script.open("rb") as source, (Path(copy) / script.name).open("wb") as target:
                    shutil.copyfileobj(source, target)
        yield Path(copy)


def _apply(dsn: str, folder: Path) -> list[str]:
    migrations = yoyo.read_migrations(str(folder))
    if not migrations:
        raise Permanent(ReasonCode.INVALID_VALUE, f"no migrations in {folder}: the package is incomplete")
    applied = []
    with yoyo.get_backend(_yoyo_uri(dsn)) as backend:
        # Whoever left this row is gone, or the advisory lock would not be ours.
        backend.break_lock()
        for migration in backend.to_apply(migrations):
            with backend.transaction():
                migration.process_steps(backend, "apply")
                # yoyo's log would look up the machine's user and host name, which a Lambda may not have.
                backend.mark_one(migration, log=False)
            applied.append(str(migration.id))
    return applied


def _yoyo_uri(dsn: str) -> str:
    parts = urlsplit(dsn)
    query = "&".join(filter(None, (parts.query, urlencode({"schema": _BOOKKEEPING_SCHEMA}))))
    return urlunsplit(("postgresql+psycopg", parts.netloc, parts.path, query, ""))
