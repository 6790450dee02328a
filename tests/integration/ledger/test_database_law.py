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
Entry = tuple[int, int, str, int, str]
"""Position in the batch, leg number, account, signed amount, currency."""

TRANSACTION = (
    "INSERT INTO ledger.journal_transactions"
    " (batch_id, position, leg_count, kind, occurred_at, transaction_id, fingerprint, payment_key, description)"
    " VALUES "
)
PLAIN: tuple[Entry, Entry] = ((1, 1, ADA, -70, "GBP"), (1, 2, BEN, 70, "GBP"))


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


def _batch(owner: Owner, transactions: int = 1, lane: int = 3) -> int:
    """Open a batch by hand; its id."""
    row = owner.execute(
        "INSERT INTO ledger.batches (lane, transaction_count) VALUES (%s, %s) RETURNING batch_id", (lane, transactions)
    ).fetchone()
    assert row is not None
    return int(str(row[0]))


def _transactions(owner: Owner, batch: int, *legs: int, first: int = 1) -> None:
    """Insert transactions of so many legs each, in one statement, at positions from `first`."""
    values = ", ".join(
        f"({batch}, {position}, {count}, 'adjustment', now(), gen_random_uuid(), gen_random_uuid(),"
        f" 'key:{batch}-{position}', 'by hand')"
        for position, count in enumerate(legs, start=first)
    )
    owner.execute((TRANSACTION + values).encode())


def _entries(owner: Owner, batch: int, *entries: Entry) -> None:
    """Insert entries in one statement."""
    values = ", ".join(
        f"({batch}, {position}, {leg}, (SELECT account_no FROM ledger.accounts WHERE account_id = '{account}'),"
        f" {amount}, (SELECT currency_no FROM ledger.currencies WHERE currency = '{currency}'))"
        for position, leg, account, amount, currency in entries
    )
    owner.execute(
        "INSERT INTO ledger.entries (batch_id, position, leg_no, account_no, amount_minor, currency_no) VALUES "
        f"{values}".encode()
    )


def _open(owner: Owner, *legs: int) -> int:
    """A batch with its transactions, waiting for its entries."""
    batch = _batch(owner, len(legs))
    _transactions(owner, batch, *legs)
    return batch


def test_a_balanced_batch_by_hand_moves_the_balances_and_the_chain(postgres_dsn: str, database: Database) -> None:
    """Balances and chain follow the entries, not the code that writes them."""
    _prepare(postgres_dsn)
    with psycopg.connect(postgres_dsn) as connection:
        _entries(connection, _open(connection, 2), *PLAIN)
    assert verify(database).clean
    assert (balance(database, ADA), balance(database, BEN)) == (100_000 - 1_000 - 70, 50_070)
    link = database.fetch_one(
        "SELECT b.lane_no, b.hash = l.head_hash AS is_head FROM ledger.batches AS b"
        "  JOIN ledger.lanes AS l USING (lane) WHERE lane = 3"
    )
    assert link is not None
    assert tuple(link) == (1, True)


UNBALANCED: dict[str, tuple[Entry, ...]] = {
    "off by one": ((1, 1, ADA, -70, "GBP"), (1, 2, BEN, 69, "GBP")),
    "all credits": ((1, 1, ADA, 70, "GBP"), (1, 2, BEN, 70, "GBP")),
    "zero across currencies": ((1, 1, ADA, -70, "GBP"), (1, 2, EURO, 70, "EUR")),
}


@pytest.mark.parametrize("name", UNBALANCED)
def test_entries_that_do_not_sum_to_zero_in_each_currency_are_refused(owner: Owner, name: str) -> None:
    batch = _open(owner, 2)
    with pytest.raises(errors.CheckViolation, match="do not sum to zero: transaction txn_") as caught:
        _entries(owner, batch, *UNBALANCED[name])
    assert caught.value.diag.constraint_name == "entries_sum_to_zero"


def test_two_transactions_do_not_make_up_for_each_other(owner: Owner) -> None:
    """The batch sums to zero, its transactions do not."""
    batch = _open(owner, 2, 2)
    with pytest.raises(errors.CheckViolation, match="do not sum to zero"):
        _entries(owner, batch, *PLAIN[:1], (1, 2, BEN, 60, "GBP"), (2, 1, ADA, -60, "GBP"), (2, 2, BEN, 70, "GBP"))


NOT_WHOLE: dict[str, tuple[tuple[int, ...], tuple[Entry, ...]]] = {
    "a leg short": ((4,), PLAIN),
    "a leg too many": ((2,), (*PLAIN, (1, 3, ADA, 1, "GBP"), (1, 4, BEN, -1, "GBP"))),
    "numbers with a gap": ((2,), (PLAIN[0], (1, 3, BEN, 70, "GBP"))),
    "a number twice": ((3,), (PLAIN[0], (1, 2, BEN, 30, "GBP"), (1, 2, BEN, 40, "GBP"))),
    "numbers from zero": ((2,), ((1, 0, ADA, -70, "GBP"), (1, 1, BEN, 70, "GBP"))),
    "numbers that look the same modulo 64": ((2,), (PLAIN[0], (1, 66, BEN, 70, "GBP"))),
    "a transaction without entries": ((2, 2), PLAIN),
    "entries of no transaction": ((2, 2), (*PLAIN, (7, 1, ADA, -70, "GBP"), (7, 2, BEN, 70, "GBP"))),
    "entries beside their transactions": ((2,), tuple((2, *entry[1:]) for entry in PLAIN)),
}


@pytest.mark.parametrize("name", NOT_WHOLE)
def test_one_statement_brings_all_entries_of_a_batch_numbered_from_one(owner: Owner, name: str) -> None:
    legs, entries = NOT_WHOLE[name]
    batch = _open(owner, *legs)
    with pytest.raises(errors.CheckViolation) as caught:
        _entries(owner, batch, *entries)
    assert caught.value.diag.constraint_name in {"entries_come_whole", "legs_are_numbered"}


def test_a_transaction_has_at_most_62_legs_and_may_have_them(owner: Owner) -> None:
    """62 numbers fit as bits into a bigint."""
    legs = [(1, number, (ADA, BEN)[number % 2], (-1, 1)[number % 2], "GBP") for number in range(1, 63)]
    batch = _open(owner, 62)
    _entries(owner, batch, *legs)
    with pytest.raises(errors.CheckViolation, match="leg_count"):
        _open(owner, 63)


@pytest.mark.parametrize(
    ("count", "inserts"),
    [(2, [(2,)]), (1, [(2, 2)]), (2, [(2,), (2,)])],
    ids=["fewer than announced", "more than announced", "in two statements"],
)
def test_one_statement_brings_all_transactions_of_a_batch(
    owner: Owner, count: int, inserts: list[tuple[int, ...]]
) -> None:
    def insert_all() -> None:
        batch = _batch(owner, count)
        for number, legs in enumerate(inserts):
            _transactions(owner, batch, *legs, first=1 + number)

    with pytest.raises(errors.CheckViolation, match="one statement must insert all transactions"):
        insert_all()


def test_positions_have_no_gap(owner: Owner) -> None:
    batch = _batch(owner, 1)
    with pytest.raises(errors.CheckViolation, match="positions 1 to its count"):
        _transactions(owner, batch, 2, first=2)


def test_entries_of_two_batches_in_one_statement_are_refused(owner: Owner) -> None:
    first, second = _open(owner, 2), _batch(owner, lane=4)
    _transactions(owner, second, 2)
    with pytest.raises(errors.CheckViolation, match="one open batch"):
        owner.execute(
            "INSERT INTO ledger.entries (batch_id, position, leg_no, account_no, amount_minor, currency_no)"
            " SELECT batch_id, 1, leg_no, account_no, amount_minor, 826 FROM unnest(%s::bigint[]) AS b (batch_id),"
            "        (SELECT 1, account_no, -1 FROM ledger.accounts WHERE account_id = %s UNION ALL"
            "         SELECT 2, account_no, 1 FROM ledger.accounts WHERE account_id = %s)"
            "        AS e (leg_no, account_no, amount_minor)",
            ([first, second], ADA, BEN),
        )


def test_a_batch_without_entries_cannot_commit(owner: Owner) -> None:
    _open(owner, 2)
    with pytest.raises(errors.CheckViolation, match="transactions without entries"):
        owner.commit()


def test_a_batch_without_transactions_cannot_commit(owner: Owner) -> None:
    _batch(owner)
    with pytest.raises(errors.CheckViolation, match="transactions without entries"):
        owner.commit()


def test_a_sealed_batch_takes_no_more_entries_and_no_more_transactions(owner: Owner) -> None:
    batch = _open(owner, 2)
    _entries(owner, batch, *PLAIN)
    with pytest.raises(errors.CheckViolation, match="one open batch"), owner.transaction():
        _entries(owner, batch, *PLAIN)
    with pytest.raises(errors.CheckViolation, match="open batch"):
        _transactions(owner, batch, 2, first=2)


def test_a_batch_takes_its_link_from_its_lane_whatever_its_writer_says(owner: Owner) -> None:
    row = owner.execute(
        "INSERT INTO ledger.batches (lane, lane_no, previous_hash, transaction_count)"
        " VALUES (5, 77, sha256('elsewhere'), 1)"
        " RETURNING lane_no, previous_hash = (SELECT head_hash FROM ledger.lanes WHERE lane = 5)"
    ).fetchone()
    assert row == (1, True)


def test_a_batch_cannot_bring_its_own_hash(owner: Owner) -> None:
    with pytest.raises(errors.RestrictViolation, match="sealed by its entries"):
        owner.execute(
            "INSERT INTO ledger.batches (lane, transaction_count, content_hash, hash)"
            " VALUES (5, 1, sha256(''), sha256(''))"
        )


@pytest.mark.parametrize("sealed_first", [0, 1])
def test_two_open_batches_of_a_lane_cannot_both_be_sealed(owner: Owner, sealed_first: int) -> None:
    """Both would follow the same link: the chain would fork."""
    batches = [_open(owner, 2), _open(owner, 2)]

    def seal_both() -> None:
        _entries(owner, batches[sealed_first], *PLAIN)
        _entries(owner, batches[1 - sealed_first], *PLAIN)

    with pytest.raises(errors.CheckViolation) as caught:
        seal_both()
    assert caught.value.diag.constraint_name == "batches_are_sealed_in_order"


MISFITS: dict[str, tuple[str, tuple[Entry, Entry]]] = {
    "another currency than its account's": ("", ((1, 1, EURO, -70, "GBP"), PLAIN[1])),
    "a closed account, debited": ("closed", PLAIN),
    "a closed account, credited": ("closed", ((1, 1, ADA, 70, "GBP"), (1, 2, BEN, -70, "GBP"))),
    "a frozen account, debited": ("frozen", PLAIN),
}


@pytest.mark.parametrize("name", MISFITS)
def test_an_entry_fits_its_account(owner: Owner, name: str) -> None:
    status, entries = MISFITS[name]
    if status:
        owner.execute("UPDATE ledger.accounts SET status = %s WHERE account_id = %s", (status, ADA))
    batch = _open(owner, 2)
    with pytest.raises(errors.ForeignKeyViolation) as caught:
        _entries(owner, batch, *entries)
    assert caught.value.diag.constraint_name == "entries_fit_their_account"


def test_a_frozen_account_takes_a_credit_but_not_beside_a_debit_of_its_own(owner: Owner) -> None:
    owner.execute("UPDATE ledger.accounts SET status = 'frozen' WHERE account_id = %s", (ADA,))
    in_favour = ((1, 1, ADA, 70, "GBP"), (1, 2, BEN, -70, "GBP"))
    _entries(owner, _open(owner, 2), *in_favour)
    batch = _open(owner, 4)
    with pytest.raises(errors.ForeignKeyViolation):
        _entries(owner, batch, *in_favour, (1, 3, ADA, -1, "GBP"), (1, 4, BEN, 1, "GBP"))


def test_an_entry_needs_an_account(owner: Owner) -> None:
    batch = _open(owner, 2)
    with pytest.raises(errors.ForeignKeyViolation, match="does not exist"):
        owner.execute(
            "INSERT INTO ledger.entries (batch_id, position, leg_no, account_no, amount_minor, currency_no)"
            " VALUES (%s, 1, 1, 2147483647, -1, 826), (%s, 1, 2, 2147483646, 1, 826)",
            (batch, batch),
        )


def test_an_entry_of_zero_is_refused(owner: Owner) -> None:
    batch = _open(owner, 2)
    with pytest.raises(errors.CheckViolation, match="amount_minor"):
        _entries(owner, batch, (1, 1, ADA, 0, "GBP"), (1, 2, BEN, 0, "GBP"))


def test_a_balance_beyond_a_bigint_raises_and_does_not_wrap(owner: Owner) -> None:
    batch = _open(owner, 2)
    with pytest.raises(errors.NumericValueOutOfRange):
        _entries(owner, batch, (1, 1, ADA, -(2**63 - 1), "GBP"), (1, 2, BEN, 2**63 - 1, "GBP"))


def test_available_money_does_not_fall_below_the_limit_holds_included(owner: Owner) -> None:
    """Ada has 990.00, may overdraw by 1.00, and 900.00 are held: 91.00 are left, whoever posts."""
    owner.execute("UPDATE ledger.accounts SET overdraft_limit_minor = 100 WHERE account_id = %s", (ADA,))
    owner.execute(
        "INSERT INTO ledger.holds (hold_id, account_no, kind, amount_minor, remaining_minor, expires_at, occurred_at)"
        " SELECT gen_random_uuid(), account_no, 'authorization', 90000, 90000, now() + interval '1 day', now()"
        "   FROM ledger.accounts WHERE account_id = %s",
        (ADA,),
    )
    batch = _open(owner, 2)
    with pytest.raises(errors.CheckViolation) as caught, owner.transaction():
        _entries(owner, batch, (1, 1, ADA, -9_101, "GBP"), (1, 2, BEN, 9_101, "GBP"))
    assert caught.value.diag.constraint_name == "available_stays_within_limit"
    _entries(owner, batch, (1, 1, ADA, -9_100, "GBP"), (1, 2, BEN, 9_100, "GBP"))
    with pytest.raises(errors.CheckViolation, match="available_stays_within_limit"):
        owner.execute("UPDATE ledger.accounts SET overdraft_limit_minor = 99 WHERE account_id = %s", (ADA,))


def test_a_hot_account_has_no_limit_and_takes_no_hold(owner: Owner) -> None:
    with pytest.raises(errors.CheckViolation, match="takes no limit"), owner.transaction():
        owner.execute("UPDATE ledger.accounts SET overdraft_limit_minor = 0 WHERE type = 'settlement'")
    with pytest.raises(errors.CheckViolation, match="takes no holds"):
        owner.execute(
            "INSERT INTO ledger.holds"
            " (hold_id, account_no, kind, amount_minor, remaining_minor, expires_at, occurred_at)"
            " SELECT gen_random_uuid(), account_no, 'dispute', 1, 1, now() + interval '1 day', now()"
            "   FROM ledger.accounts WHERE type = 'settlement'"
        )


REVERSALS: dict[str, tuple[Entry, ...]] = {
    "other amounts": ((1, 1, ADA, 69, "GBP"), (1, 2, BEN, -69, "GBP")),
    "the same side": PLAIN,
    "other accounts": ((1, 1, BEN, 70, "GBP"), (1, 2, ADA, -70, "GBP")),
    "a leg more": ((1, 1, ADA, 70, "GBP"), (1, 2, BEN, -71, "GBP"), (1, 3, ADA, 1, "GBP")),
}
MIRROR: tuple[Entry, Entry] = ((1, 1, ADA, 70, "GBP"), (1, 2, BEN, -70, "GBP"))


def _reversal(owner: Owner, original_batch: int, legs: int) -> int:
    """A batch with a transaction that says it takes back the only one of another batch."""
    batch = _batch(owner)
    owner.execute(
        "INSERT INTO ledger.journal_transactions (batch_id, position, leg_count, kind, occurred_at, transaction_id,"
        "                                         reverses, fingerprint, payment_key, description)"
        " SELECT %s, 1, %s, 'reversal', now(), gen_random_uuid(), transaction_id, fingerprint,"
        "        'reversal:' || %s || payment_key, 'back'"
        "   FROM ledger.journal_transactions WHERE batch_id = %s",
        (batch, legs, str(batch), original_batch),
    )
    return batch


@pytest.mark.parametrize("name", REVERSALS)
def test_a_reversal_mirrors_its_original_leg_by_leg(owner: Owner, name: str) -> None:
    original = _open(owner, 2)
    _entries(owner, original, *PLAIN)
    batch = _reversal(owner, original, len(REVERSALS[name]))
    with pytest.raises(errors.CheckViolation) as caught:
        _entries(owner, batch, *REVERSALS[name])
    assert caught.value.diag.constraint_name == "reversals_mirror_their_original"


def test_a_transaction_is_reversed_once_and_a_reversal_never(owner: Owner) -> None:
    original = _open(owner, 2)
    _entries(owner, original, *PLAIN)
    back = _reversal(owner, original, 2)
    _entries(owner, back, *MIRROR)
    with pytest.raises(errors.UniqueViolation), owner.transaction():
        _reversal(owner, original, 2)
    forth = _reversal(owner, back, 2)
    with pytest.raises(errors.CheckViolation, match="no reversal itself"):
        _entries(owner, forth, *PLAIN)


def test_a_reversal_needs_an_original(owner: Owner) -> None:
    batch = _batch(owner)
    owner.execute(
        "INSERT INTO ledger.journal_transactions (batch_id, position, leg_count, kind, occurred_at, transaction_id,"
        "                                         reverses, fingerprint, payment_key, description)"
        " VALUES (%s, 1, 2, 'reversal', now(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'r', 'r')",
        (batch,),
    )
    with pytest.raises(errors.CheckViolation, match="must take back"):
        _entries(owner, batch, *MIRROR)


def test_a_payment_key_is_unique_in_the_journal(owner: Owner) -> None:
    batch = _open(owner, 2)
    _entries(owner, batch, *PLAIN)
    again = _batch(owner)
    with pytest.raises(errors.UniqueViolation, match="payment_key"):
        owner.execute(
            f"{TRANSACTION} (%s, 1, 2, 'adjustment', now(), gen_random_uuid(), gen_random_uuid(), %s, 'x')".encode(),
            (again, f"key:{batch}-1"),
        )


def test_a_hash_does_not_depend_on_the_encoding_of_the_client(postgres_dsn: str, database: Database) -> None:
    """A Latin-1 client writes a name with an accent; whoever verifies it in UTF-8 finds the same bytes."""
    _prepare(postgres_dsn)
    with psycopg.connect(postgres_dsn, client_encoding="latin1") as connection:
        batch = _batch(connection)
        connection.execute(
            f"{TRANSACTION} (%s, 1, 2, 'adjustment', now(), gen_random_uuid(), gen_random_uuid(), %s, %s)".encode(),
            (batch, "key:accent", "Café Müller"),
        )
        _entries(connection, batch, *PLAIN)
        assert connection.execute("SHOW client_encoding").fetchone() == ("LATIN1",)
    row = database.fetch_one(
        "SELECT b.content_hash = ledger.hash_content(b.batch_id) AS same, t.description"
        "  FROM ledger.batches AS b JOIN ledger.journal_transactions AS t USING (batch_id) WHERE b.batch_id = $1",
        batch,
    )
    assert row is not None
    assert tuple(row) == (True, "Café Müller")
    assert verify(database).clean
