"""The rights of the application's role are enough to run a batch, and to change nothing of what it kept."""

from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from tests.integration.batch.support import Bank, bodies, write_file


@pytest.fixture
def application_bank(bank: Bank, application_dsn: str) -> Bank:
    """The bank, seen by a role that has the application's rights alone."""
    return Bank(application_dsn, bank.folder)


def test_the_application_role_runs_a_batch_and_cannot_change_what_was_kept(
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
