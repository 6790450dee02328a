"""`verify` proves a ledger clean, and names the first thing that is wrong with a tampered one."""

from collections.abc import Iterator

import psycopg
import pytest
from tests.integration.ledger.support import (
    ADA,
    MARKUP,
    SETTLEMENT,
    make_order,
    make_parts,
    open_accounts,
    post_orders,
    run_engine,
)

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.migrate import migrate
from postrail.adapters.postgres.verify import CHECKS, Difference, verify


@pytest.fixture(autouse=True)
def _posted(database: Database, ledger: PostgresLedger) -> None:
    open_accounts(database)
    run_engine(ledger, make_parts([(ADA, SETTLEMENT, 1_000), (ADA, MARKUP, 20)]))
    post_orders(ledger, make_order())


@pytest.fixture
def tamper(postgres_superuser_dsn: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A superuser for whom triggers and foreign keys do not fire."""
    with psycopg.connect(postgres_superuser_dsn, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection


Tamper = psycopg.Connection[tuple[object, ...]]


def _first(database: Database) -> Difference:
    report = verify(database)
    assert not report.clean
    assert report.first_difference is not None
    return report.first_difference


def test_a_ledger_that_was_only_posted_to_is_clean(database: Database, postgres_dsn: str) -> None:
    report = verify(postgres_dsn)
    assert report.clean
    assert report.first_difference is None
    assert (report.transactions, report.entries) == (4, 10)
    assert report.entry_sums_minor == {"GBP": 0}
    assert set(report.balance_sums_minor.values()) == {0}
    assert verify(database) == report


def test_an_empty_ledger_is_clean(empty_dsn: str) -> None:

    migrate(empty_dsn)
    assert verify(empty_dsn).clean


def test_a_changed_balance_is_named(database: Database, tamper: Tamper) -> None:
    tamper.execute("UPDATE ledger.balances SET total_minor = total_minor + 1 WHERE account_id = %s", (ADA,))
    first = _first(database)
    assert (first.check, first.key, first.count) == ("balance_is_the_sum_of_entries", ADA, 1)
    assert "balance says 97981" in first.detail
    assert "entries say 97980" in first.detail


def test_the_first_of_several_balances_is_named_and_all_are_counted(database: Database, tamper: Tamper) -> None:
    tamper.execute("UPDATE ledger.balances SET entry_count = entry_count + 1")
    first = _first(database)
    assert (first.key, first.count) == (ADA, verify(database).accounts)


TAMPERINGS = {
    "transaction_sums_to_zero": (
        "INSERT INTO ledger.entries (transaction_id, leg_no, account_id, amount_minor, currency)"
        " SELECT transaction_id, 99, 'customer:000001:gbp', 1, 'GBP' FROM ledger.journal_transactions LIMIT 1"
    ),
    "transaction_has_its_entries": (
        "INSERT INTO ledger.journal_transactions"
        " (transaction_id, kind, payment_key, fingerprint, description, leg_count, occurred_at)"
        " VALUES ('txn_empty', 'opening', 'key:empty', 'f', 'no entries', 2, now())"
    ),
    "entry_in_its_accounts_currency": "UPDATE ledger.accounts SET currency = 'USD' WHERE type = 'settlement'",
    "balance_is_the_sum_of_entries": "DELETE FROM ledger.balances WHERE account_id LIKE 'income:%'",
    "account_has_a_balance": "DELETE FROM ledger.balances WHERE account_id = 'customer:000005:eur'",
    "posted_sequence_has_its_transaction": "DELETE FROM ledger.posting_sequences",
    "part_belongs_to_a_sequence": (
        "INSERT INTO ledger.posting_parts (sequence_id, part_index, event_id, event)"
        " VALUES ('seq_none', 1, 'evt', '{}')"
    ),
    "posted_payment_has_its_posting_input": "DELETE FROM audit.posting_inputs",
}


def test_every_check_is_tried() -> None:
    assert set(TAMPERINGS) == set(CHECKS)


@pytest.mark.parametrize("check", TAMPERINGS)
def test_each_tampering_is_found_by_its_check(database: Database, tamper: Tamper, check: str) -> None:
    tamper.execute(TAMPERINGS[check].encode())
    assert _first(database).check == check


def test_a_sequence_marked_posted_without_a_transaction_is_found(database: Database, tamper: Tamper) -> None:
    tamper.execute(
        "INSERT INTO ledger.posting_sequences"
        " (sequence_id, payment_id, payment_key, fingerprint, total, correlation_id, status, closed_at)"
        " VALUES ('seq_alone', 'pay', 'key', 'f', 1, 'run', 'posted', now())"
    )
    first = _first(database)
    assert (first.check, first.key) == ("posted_sequence_has_its_transaction", "seq_alone")
