"""What the database itself refuses, to its own owner, whatever code stands above it."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors
from tests.integration.conftest import PostgresServer
from tests.integration.ledger.support import ADA, BEN, EURO, balance, make_order, open_accounts, post_orders

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.verify import verify

Owner = psycopg.Connection[tuple[object, ...]]

TRANSACTION = (
    "INSERT INTO ledger.journal_transactions"
    " (transaction_id, kind, payment_key, fingerprint, description, leg_count, occurred_at)"
    " VALUES ('txn_direct', 'opening', 'key:direct', 'f', 'by hand', {legs}, now())"
)
ENTRIES = "INSERT INTO ledger.entries (transaction_id, leg_no, account_id, amount_minor, currency) VALUES "


def _prepare(dsn: str) -> None:
    with Database(dsn) as database:
        open_accounts(database)
        post_orders(PostgresLedger(database), make_order())


@pytest.fixture(scope="module")
def prepared_database(postgres_server: PostgresServer, module_database: str) -> str:
    """A ledger with accounts and one payment, that no test changes."""
    _prepare(postgres_server.owner_dsn_of(module_database))
    return module_database


@pytest.fixture
def owner(postgres_server: PostgresServer, prepared_database: str) -> Iterator[Owner]:
    """The owner of all tables, in a transaction that is rolled back."""
    with psycopg.connect(postgres_server.owner_dsn_of(prepared_database)) as connection:
        yield connection
        connection.rollback()


def _entries(*rows: tuple[int, str, int, str]) -> bytes:
    values = ", ".join(
        f"('txn_direct', {no}, '{account}', {amount}, '{currency}')" for no, account, amount, currency in rows
    )
    return (ENTRIES + values).encode()


def _transaction(legs: int = 2) -> bytes:
    return TRANSACTION.format(legs=legs).encode()


def test_a_balanced_transaction_by_hand_moves_the_balances(postgres_dsn: str, database: Database) -> None:
    """The balances follow the entries, not the code that writes them."""
    _prepare(postgres_dsn)
    with psycopg.connect(postgres_dsn) as connection:
        connection.execute(_transaction())
        connection.execute(_entries((1, ADA, -70, "GBP"), (2, BEN, 70, "GBP")))
    assert verify(database).clean
    assert (balance(database, ADA), balance(database, BEN)) == (100_000 - 1_000 - 70, 50_070)


def test_entries_that_do_not_sum_to_zero_are_refused(owner: Owner) -> None:
    owner.execute(_transaction())
    with pytest.raises(errors.CheckViolation, match="do not sum to zero") as caught:
        owner.execute(_entries((1, ADA, -70, "GBP"), (2, BEN, 69, "GBP")))
    assert caught.value.diag.constraint_name == "entries_sum_to_zero"


def test_zero_across_currencies_is_not_zero(owner: Owner) -> None:
    owner.execute(_transaction())
    with pytest.raises(errors.CheckViolation, match=r"by -70 GBP|by 70 EUR"):
        owner.execute(_entries((1, ADA, -70, "GBP"), (2, EURO, 70, "EUR")))


def test_one_unbalanced_transaction_fails_the_whole_statement(owner: Owner) -> None:
    owner.execute(_transaction())
    owner.execute(_transaction().replace(b"txn_direct", b"txn_other").replace(b"key:direct", b"key:other"))
    rows = _entries((1, ADA, -70, "GBP"), (2, BEN, 70, "GBP"))
    with pytest.raises(errors.CheckViolation, match="txn_other"):
        owner.execute(rows + b", ('txn_other', 1, '" + ADA.encode() + b"', 5, 'GBP')"
                      b", ('txn_other', 2, '" + BEN.encode() + b"', 5, 'GBP')")  # fmt: skip


def test_entries_come_whole_in_one_statement(owner: Owner) -> None:
    owner.execute(_transaction(legs=4))
    with pytest.raises(errors.CheckViolation, match="all entries"):
        owner.execute(_entries((1, ADA, -70, "GBP"), (2, BEN, 70, "GBP")))


def test_a_balanced_pair_cannot_be_added_to_an_old_transaction(owner: Owner) -> None:
    owner.execute(_transaction())
    owner.execute(_entries((1, ADA, -70, "GBP"), (2, BEN, 70, "GBP")))
    with pytest.raises((errors.CheckViolation, errors.UniqueViolation)):
        owner.execute(_entries((3, ADA, -1, "GBP"), (4, BEN, 1, "GBP")))


def test_a_second_full_set_of_entries_collides_with_the_first(owner: Owner) -> None:
    owner.execute(_transaction())
    owner.execute(_entries((1, ADA, -70, "GBP"), (2, BEN, 70, "GBP")))
    with pytest.raises(errors.UniqueViolation):
        owner.execute(_entries((1, ADA, -70, "GBP"), (2, BEN, 70, "GBP")))


def test_a_transaction_without_entries_cannot_commit(owner: Owner) -> None:
    owner.execute(_transaction())
    with pytest.raises(errors.CheckViolation, match="has no entries"):
        owner.commit()


def test_an_entry_is_in_its_accounts_currency(owner: Owner) -> None:
    owner.execute(_transaction())
    with pytest.raises(errors.ForeignKeyViolation):
        owner.execute(_entries((1, EURO, -70, "GBP"), (2, BEN, 70, "GBP")))


def test_an_entry_of_zero_is_refused(owner: Owner) -> None:
    owner.execute(_transaction())
    with pytest.raises(errors.CheckViolation, match="amount_minor"):
        owner.execute(_entries((1, ADA, 0, "GBP"), (2, BEN, 0, "GBP")))


def test_a_balance_beyond_a_bigint_raises_and_does_not_wrap(owner: Owner) -> None:
    owner.execute(_transaction())
    with pytest.raises(errors.NumericValueOutOfRange):
        owner.execute(_entries((1, ADA, -(2**63 - 1), "GBP"), (2, BEN, 2**63 - 1, "GBP")))


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
        "UPDATE ledger.balances SET total_minor = total_minor + 1",
        "INSERT INTO ledger.balances (account_id) VALUES ('customer:000001:gbp')",
        "DELETE FROM ledger.balances",
        "TRUNCATE ledger.balances",
        "DELETE FROM ledger.accounts",
        "TRUNCATE ledger.accounts CASCADE",
        "UPDATE ledger.accounts SET currency = 'USD' WHERE account_id = 'customer:000001:gbp'",
        "UPDATE ledger.posting_sequences SET status = 'waiting', closed_at = NULL",
        "UPDATE ledger.posting_parts SET event = '{}'",
        "UPDATE audit.posting_inputs SET content = ''",
        "UPDATE audit.outcomes SET event = '{}'",
    ],
)
def test_history_and_balances_cannot_be_changed_by_their_owner(owner: Owner, statement: str) -> None:
    with pytest.raises(errors.RestrictViolation, match=r"refused|stays so|keeps its id"):
        owner.execute(statement.encode())


@pytest.mark.parametrize(
    "statement",
    ["UPDATE ledger.entries SET amount_minor = amount_minor * 2", "DELETE FROM ledger.journal_transactions"],
)
def test_append_only_holds_even_where_ordinary_triggers_are_switched_off(
    postgres_server: PostgresServer, prepared_database: str, statement: str
) -> None:
    with psycopg.connect(postgres_server.admin_dsn_of(prepared_database)) as connection:
        connection.execute("SET session_replication_role = replica")
        with pytest.raises(errors.RestrictViolation, match="append-only"):
            connection.execute(statement.encode())
        connection.rollback()


def test_a_payment_key_is_unique_in_the_journal(owner: Owner) -> None:
    owner.execute(_transaction())
    with pytest.raises(errors.UniqueViolation):
        owner.execute(_transaction().replace(b"txn_direct", b"txn_other"))
