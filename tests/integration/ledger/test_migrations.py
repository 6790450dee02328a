"""Migrations: forward, twice, at once, after a kill, from a zip."""

import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from tests.integration.ledger.support import open_accounts

import postrail
from postrail.adapters.postgres import migrate as migrate_module
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.migrate import migrate
from postrail.adapters.postgres.verify import verify
from postrail.domain.errors import Retryable

FOLDER = Path(migrate_module.__file__).parent / "migrations"
NAMES = sorted(path.stem for path in FOLDER.glob("*.sql"))


def test_a_new_database_gets_every_migration_in_order_and_the_second_run_nothing(empty_dsn: str) -> None:
    assert migrate(empty_dsn) == NAMES
    assert migrate(empty_dsn) == []
    assert verify(empty_dsn).clean


def test_four_migrators_at_once_apply_each_migration_once(empty_dsn: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        applied = list(threads.map(migrate, [empty_dsn] * 4))
    assert sorted(applied, key=len) == [[], [], [], NAMES]


def test_a_lock_row_that_a_killed_migrator_left_is_no_obstacle(
    empty_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Yoyo would wait for it, and give up."""
    _migrate_first(empty_dsn, 3, monkeypatch, tmp_path)
    with psycopg.connect(empty_dsn) as connection:
        connection.execute("INSERT INTO migrations.yoyo_lock (locked, ctime, pid) VALUES (1, now(), 1)")
    assert migrate(empty_dsn) == NAMES[3:]


def test_a_migration_and_its_mark_are_one_transaction(
    empty_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration that fails half way leaves nothing; mended, it is applied."""
    for script in FOLDER.glob("*.sql"):
        shutil.copy(script, tmp_path)
    broken = tmp_path / "9999_broken.sql"
    broken.write_text("CREATE TABLE ledger.half_done (id integer);\nSELECT 1 / 0;\n")
    monkeypatch.setattr(migrate_module, "files", lambda _: _Package(tmp_path))
    with pytest.raises(Retryable, match="division by zero"):
        migrate(empty_dsn)
    with psycopg.connect(empty_dsn) as connection:
        (table,) = connection.execute("SELECT to_regclass('ledger.half_done')").fetchone() or ("?",)
    assert table is None
    broken.write_text("CREATE TABLE ledger.half_done (id integer);\n")
    migrate_module.yoyo.migrations.Migration._Migration__all_migrations.clear()
    assert migrate(empty_dsn) == ["9999_broken"]


def _migrate_first(dsn: str, number: int, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Apply the first migrations alone, as an older version of the package would."""
    for name in NAMES[:number]:
        shutil.copy(FOLDER / f"{name}.sql", folder)
    with monkeypatch.context() as patch:
        patch.setattr(migrate_module, "files", lambda _: _Package(folder))
        assert migrate(dsn) == NAMES[:number]
    migrate_module.yoyo.migrations.Migration._Migration__all_migrations.clear()


class _Package:
    """Stands for the package's resources: its migrations lie elsewhere."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __truediv__(self, name: str) -> Path:
        return self._folder


def test_the_package_migrates_from_inside_a_zip_file(empty_dsn: str, tmp_path: Path) -> None:
    package = Path(postrail.__file__).parent
    archive = tmp_path / "function.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for path in package.rglob("*"):
            if path.suffix in {".py", ".sql"}:
                target.write(path, Path("postrail") / path.relative_to(package))
    program = (
        f"import sys; sys.path.insert(0, {str(archive)!r})\n"
        "import postrail.adapters.postgres.migrate as m, postrail.adapters.postgres.ledger\n"
        f"assert {str(archive)!r} in m.__file__, m.__file__\n"
        f"print(len(m.migrate({empty_dsn!r})))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert answer.stdout.strip() == str(len(NAMES))


def test_a_server_that_is_not_there_is_retryable() -> None:
    with pytest.raises(Retryable, match="could not be migrated"):
        migrate("postgresql://nobody@127.0.0.1:1/none")


def test_a_database_without_the_schema_says_what_to_run(empty_dsn: str) -> None:
    with Database(empty_dsn) as database, pytest.raises(Retryable, match="postrail ledger migrate"):
        open_accounts(database)


def test_no_migration_holds_a_percent_sign() -> None:
    """The driver would take it for a parameter."""
    assert [path.name for path in FOLDER.glob("*.sql") if "%" in path.read_text(encoding="utf-8")] == []


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [name[:4] for name in NAMES] == [f"{number:04}" for number in range(1, len(NAMES) + 1)]
