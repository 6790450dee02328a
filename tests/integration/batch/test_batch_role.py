"""The rights that docs/ledger.md and docs/batch.md name together are enough to run a batch, and to change nothing."""

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import errors, sql
from tests.integration.batch.support import Bank, bodies, write_file

DOCS = Path(__file__).resolve().parents[3] / "docs"


def grants_of(guide: str) -> str:
    block = re.search(r"```sql\n(GRANT .*?)```", (DOCS / guide).read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    return block.group(1)


@pytest.fixture
def application_bank(bank: Bank, postgres_superuser_dsn: str, tmp_path: Path) -> Iterator[Bank]:
    """The bank, seen by a role that has the documented rights alone."""
    role, password = f"app_{secrets.token_hex(6)}", secrets.token_hex(12)
    name = sql.Identifier(role)
    with psycopg.connect(postgres_superuser_dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(password)))
        with psycopg.connect(bank.dsn, autocommit=True) as owner:
            for guide in ("ledger.md", "batch.md"):
                owner.execute(grants_of(guide).replace("postrail_app", role).encode())
        parts = urlsplit(bank.dsn)
        dsn = urlunsplit(parts._replace(netloc=f"{role}:{password}@{parts.hostname}:{parts.port}"))
        yield Bank(dsn, bank.folder)
        admin.execute(sql.SQL("DROP OWNED BY {}").format(name))
        admin.execute(sql.SQL("DROP ROLE {}").format(name))


def test_the_documented_role_runs_a_batch_and_cannot_change_what_was_kept(
    bank: Bank, application_bank: Bank, tmp_path: Path
) -> None:
    report = application_bank.run(write_file(tmp_path / "day.jsonl", bodies(400)))
    assert report["posted"] == bank.posted() > 0
    with psycopg.connect(application_bank.dsn, autocommit=True) as connection:
        for statement in (
            b"UPDATE audit.batch_chunks SET posted = 0",
            b"DELETE FROM audit.batch_chunks",
            b"UPDATE audit.batch_runs SET source = 'another'",
            b"DELETE FROM audit.batch_runs",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement)
    with psycopg.connect(bank.dsn, autocommit=True) as owner, pytest.raises(errors.RestrictViolation):
        owner.execute("UPDATE audit.batch_chunks SET posted = 0")
