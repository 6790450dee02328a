"""History cannot be changed: not by its owner, and the journal not even where ordinary triggers are switched off."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors
from tests.integration.conftest import PostgresServer
from tests.integration.ledger.support import ADA, CLOCK, IDS, SETTLEMENT, make_parts, open_accounts, run_engine

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.outcomes import PostgresOutcomes
from postrail.ports import RecordedOutcome

Owner = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def written_database(postgres_server: PostgresServer, module_database: str) -> str:
    """A ledger with a row in every table that keeps history."""
    with Database(postgres_server.owner_dsn_of(module_database)) as database:
        open_accounts(database)
        parts = make_parts([(ADA, SETTLEMENT, 5)])
        run_engine(PostgresLedger(database), parts)
        outcome = RecordedOutcome(
            parts[0].data.payment_id, "run", "PaymentRejected", IDS.new_id("evt"), CLOCK.now(), None, "{}"
        )
        PostgresOutcomes(database).record([outcome])
        database.execute(
            "INSERT INTO ledger.holds"
            " (hold_id, account_no, kind, amount_minor, remaining_minor, expires_at, occurred_at)"
            " SELECT gen_random_uuid(), account_no, 'authorization', 9, 9, now() + interval '1 day', now()"
            "   FROM ledger.accounts WHERE account_id = $1",
            ADA,
        )
        database.execute(
            "INSERT INTO ledger.hold_changes"
            " (hold_id, change, change_key, fingerprint, amount_minor, held_minor, occurred_at)"
            " SELECT hold_id, 'place', 'key:hold', gen_random_uuid(), 9, 9, now() FROM ledger.holds"
        )
    return module_database


@pytest.fixture
def owner(postgres_server: PostgresServer, written_database: str) -> Iterator[Owner]:
    """The owner of all tables, in a transaction that is rolled back."""
    with psycopg.connect(postgres_server.owner_dsn_of(written_database)) as connection:
        yield connection
        connection.rollback()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.entries SET amount_minor = amount_minor * 2",
        "UPDATE ledger.entries SET amount_minor = 1 WHERE false",
        "DELETE FROM ledger.entries",
        "TRUNCATE ledger.entries",
        "UPDATE ledger.journal_transactions SET description = 'another'",
        "DELETE FROM ledger.journal_transactions",
        "TRUNCATE ledger.journal_transactions CASCADE",
        "UPDATE ledger.batches SET recorded_at = now()",
        "UPDATE ledger.batches SET hash = sha256('') WHERE false",
        "DELETE FROM ledger.batches",
        "TRUNCATE ledger.batches CASCADE",
        "INSERT INTO ledger.lanes (lane, head_hash) VALUES (16, sha256(''))",
        "UPDATE ledger.lanes SET head_hash = sha256('')",
        "DELETE FROM ledger.lanes",
        "TRUNCATE ledger.lanes CASCADE",
        "UPDATE ledger.balances SET total_minor = total_minor + 1",
        "UPDATE ledger.balances SET held_minor = 0",
        "UPDATE ledger.balances SET floor_minor = NULL",
        "UPDATE ledger.balances SET status = 'open'",
        "INSERT INTO ledger.balances (account_no, currency_no, status) VALUES (1, 826, 'open')",
        "DELETE FROM ledger.balances",
        "TRUNCATE ledger.balances",
        "DELETE FROM ledger.accounts",
        "TRUNCATE ledger.accounts CASCADE",
        "UPDATE ledger.accounts SET currency = 'USD' WHERE account_id = 'customer:000001:gbp'",
        "UPDATE ledger.accounts SET sharded = true WHERE account_id = 'customer:000001:gbp'",
        "DELETE FROM ledger.holds",
        "TRUNCATE ledger.holds CASCADE",
        "UPDATE ledger.hold_changes SET amount_minor = 1",
        "DELETE FROM ledger.hold_changes",
        "TRUNCATE ledger.hold_changes",
        "UPDATE ledger.posting_sequences SET status = 'waiting', closed_at = NULL",
        "UPDATE ledger.posting_parts SET event = '{}'",
        "UPDATE audit.posting_inputs SET content = ''",
        "UPDATE audit.outcomes SET event = '{}'",
        "UPDATE audit.batch_chunks SET refused = '[]'",
    ],
)
def test_history_and_balances_cannot_be_changed_by_their_owner(owner: Owner, statement: str) -> None:
    with pytest.raises(errors.RestrictViolation, match=r"refused|stays so|keeps its id"):
        owner.execute(statement.encode())


def test_a_hold_that_ended_stays_so_and_keeps_its_account(owner: Owner) -> None:
    with pytest.raises(errors.RestrictViolation, match="keeps its id"), owner.transaction():
        owner.execute("UPDATE ledger.holds SET kind = 'dispute'")
    owner.execute("UPDATE ledger.holds SET status = 'released', remaining_minor = 0, closed_at = now()")
    with pytest.raises(errors.RestrictViolation, match="is released and stays so"):
        owner.execute("UPDATE ledger.holds SET status = 'active', closed_at = NULL")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.entries SET amount_minor = amount_minor * 2",
        "DELETE FROM ledger.journal_transactions",
        "DELETE FROM ledger.batches",
    ],
)
def test_append_only_holds_even_where_ordinary_triggers_are_switched_off(
    postgres_server: PostgresServer, written_database: str, statement: str
) -> None:
    with psycopg.connect(postgres_server.admin_dsn_of(written_database)) as connection:
        connection.execute("SET session_replication_role = replica")
        with pytest.raises(errors.RestrictViolation, match="append-only"):
            connection.execute(statement.encode())
        connection.rollback()
