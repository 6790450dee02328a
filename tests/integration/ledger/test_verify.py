"""`verify` proves a ledger clean, and names the first thing that is wrong with a tampered one."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from tests.integration.ledger.support import (
    ADA,
    CLOCK,
    IDS,
    MARKUP,
    SETTLEMENT,
    account,
    make_order,
    make_parts,
    open_accounts,
    post_orders,
    run_engine,
)

from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.chain import take_anchor
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.migrate import migrate
from postrail.adapters.postgres.verify import CHECKS, Difference, verify
from postrail.domain.anchor import Anchor
from postrail.domain.errors import Retryable

Tamper = psycopg.Connection[tuple[object, ...]]

RUN = "run_" + "0" * 32
HOLD = "00000000-0000-7000-8000-000000000001"


@pytest.fixture(autouse=True)
def _posted(database: Database, ledger: PostgresLedger) -> None:
    """Four batches: openings, a payment of the event road, a single order, and two orders of a batch."""
    open_accounts(database)
    run_engine(ledger, make_parts([(ADA, SETTLEMENT, 1_000), (ADA, MARKUP, 20)]))
    post_orders(ledger, make_order())
    post_orders(ledger, make_order(), make_order())


@pytest.fixture
def tamper(postgres_superuser_dsn: str) -> Iterator[Tamper]:
    """A superuser for whom no trigger and no foreign key fires."""
    with psycopg.connect(postgres_superuser_dsn, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        # These fire for everybody; what posting needs stays as it is.
        connection.execute("ALTER TABLE ledger.entries DISABLE TRIGGER entries_are_append_only")
        connection.execute("ALTER TABLE ledger.journal_transactions DISABLE TRIGGER transactions_are_append_only")
        connection.execute("ALTER TABLE ledger.batches DISABLE TRIGGER batches_stay")
        yield connection


def _first(database: Database) -> Difference:
    report = verify(database)
    assert not report.clean
    assert report.first_difference is not None
    return report.first_difference


def _found(database: Database) -> dict[str, Difference]:
    return {difference.check: difference for difference in verify(database).differences}


def _last_batch(tamper: Tamper) -> tuple[int, int, int]:
    """Id, lane and number of the newest batch."""
    row = tamper.execute("SELECT batch_id, lane, lane_no FROM ledger.batches ORDER BY batch_id DESC LIMIT 1").fetchone()
    assert row is not None
    return row  # type: ignore[return-value]


def _second_of(tamper: Tamper, batch: tuple[int, int, int]) -> str:
    """The second transaction of a batch."""
    row = tamper.execute(
        "SELECT transaction_id FROM ledger.journal WHERE batch_id = %s AND position = 2", (batch[0],)
    ).fetchone()
    assert row is not None
    return str(row[0])


def _name(batch: tuple[int, int, int]) -> str:
    return f"batch {batch[0]} (lane {batch[1]} no. {batch[2]})"


def _reseal(tamper: Tamper, lane: int) -> None:
    """Compute every hash of a lane anew, as somebody would who wants no trace."""
    tamper.execute(
        """
        DO $$
        DECLARE
            v_batch record;
            v_hash bytea := sha256(convert_to('postrail ledger, lane %(lane)s', 'UTF8'));
        BEGIN
            FOR v_batch IN SELECT * FROM ledger.batches WHERE lane = %(lane)s ORDER BY lane_no LOOP
                UPDATE ledger.batches
                   SET previous_hash = v_hash, content_hash = ledger.hash_content(batch_id),
                       hash = ledger.hash_link(v_hash, batch_id, lane, lane_no, transaction_count, recorded_at,
                                               ledger.hash_content(batch_id))
                 WHERE batch_id = v_batch.batch_id RETURNING hash INTO v_hash;
            END LOOP;
            UPDATE ledger.lanes SET head_hash = v_hash WHERE lane = %(lane)s;
        END;
        $$
        """.replace("%(lane)s", str(lane)).encode()
    )


# --- sound ledgers --------------------------------------------------------------------------------------------------


def test_a_ledger_that_was_only_posted_to_is_clean(database: Database, postgres_dsn: str) -> None:
    report = verify(postgres_dsn)
    assert report.clean
    assert report.first_difference is None
    assert (report.batches, report.transactions, report.entries) == (4, 6, 14)
    assert report.entry_sums_minor == {"GBP": 0}
    assert set(report.balance_sums_minor.values()) == {0}
    assert verify(database) == report


def test_an_empty_ledger_is_clean(empty_dsn: str) -> None:
    migrate(empty_dsn)
    assert verify(empty_dsn).clean


@pytest.mark.parametrize("connections", [1, 2, 5])
def test_any_number_of_connections_finds_the_same(
    database: Database, tamper: Tamper, monkeypatch: pytest.MonkeyPatch, connections: int
) -> None:
    """Ranges of one transaction each: every batch is looked at, and the first of them is named."""
    monkeypatch.setattr("postrail.adapters.postgres.verify._TRANSACTIONS_PER_RANGE", 1)
    assert verify(database, connections=connections).entries == 14
    tamper.execute("UPDATE ledger.journal_transactions SET description = 'another' WHERE kind = 'payment'")
    found = verify(database, connections=connections).first_difference
    assert found is not None
    assert (found.check, found.key, found.count) == ("batch_matches_its_hash", "batch 2 (lane 1 no. 2)", 3)


def test_progress_reaches_its_end(database: Database) -> None:
    steps: list[tuple[int, int]] = []
    verify(database, progress=lambda done, total: steps.append((done, total)))
    assert [done for done, _ in steps] == list(range(1, steps[-1][1] + 1))


def test_what_is_posted_meanwhile_is_not_seen_by_half(database: Database, postgres_dsn: str) -> None:
    """The checks run one after the other; a payment between two of them must not look like a difference."""
    with Database(postgres_dsn) as own:
        ledger = PostgresLedger(own)
        report = verify(database, connections=1, progress=lambda *_: post_orders(ledger, make_order()) and None)
    assert report.clean
    assert verify(database).transactions > report.transactions


def test_a_database_that_is_gone_is_reported_and_not_waited_for(database: Database, tamper: Tamper) -> None:
    def cut(done: int, _: int) -> None:
        if done == 3:
            tamper.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    with pytest.raises(Retryable):
        verify(database, progress=cut)


def test_a_connection_that_cannot_be_opened_voids_the_proof(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads a report of half the work."""
    nowhere = Database("postgresql://nobody@127.0.0.1:1/nothing")
    monkeypatch.setattr(Database, "another", lambda _: nowhere)
    with pytest.raises(Retryable, match="cannot be reached"):
        verify(database, connections=2)
    assert verify(database, connections=1).clean


# --- tampered books -------------------------------------------------------------------------------------------------


def test_a_changed_balance_is_named(database: Database, tamper: Tamper) -> None:
    tamper.execute(
        "UPDATE ledger.balances SET total_minor = total_minor + 1"
        " WHERE account_no = (SELECT account_no FROM ledger.accounts WHERE account_id = %s)",
        (ADA,),
    )
    first = _first(database)
    assert (first.check, first.key, first.count) == ("balance_is_the_sum_of_entries", ADA, 1)
    assert "balance says 95981" in first.detail
    assert "entries say 95980" in first.detail


def test_money_moved_between_shards_of_a_hot_account_is_named(database: Database, tamper: Tamper) -> None:
    """The logical balance is the same; the shards are not what the lanes of the batches say."""
    tamper.execute(
        "UPDATE ledger.balances SET total_minor = total_minor + CASE shard WHEN 1 THEN -5 ELSE 5 END"
        " WHERE shard IN (1, 2)"
        " AND account_no = (SELECT account_no FROM ledger.accounts WHERE account_id = %s)",
        (SETTLEMENT,),
    )
    first = _first(database)
    assert (first.check, first.key, first.count) == ("balance_is_the_sum_of_entries", f"{SETTLEMENT} shard 1", 2)


def test_the_first_of_several_balances_is_named_and_all_are_counted(database: Database, tamper: Tamper) -> None:
    tamper.execute("UPDATE ledger.balances SET entry_count = entry_count + 1 WHERE shard = 0")
    first = _first(database)
    assert (first.key, first.count) == (ADA, 5)


_ADA_NO = f"(SELECT account_no FROM ledger.accounts WHERE account_id = '{ADA}')"
TAMPERINGS = {
    "transaction_sums_to_zero": "UPDATE ledger.entries SET amount_minor = 1 WHERE batch_id = 3 AND leg_no = 1",
    "transaction_has_its_entries": "DELETE FROM ledger.entries WHERE batch_id = 4 AND position = 2",
    "reversal_mirrors_its_original": (
        "UPDATE ledger.journal_transactions SET kind = 'reversal', reverses = transaction_id WHERE batch_id = 3"
    ),
    "batch_has_its_transactions": "UPDATE ledger.batches SET transaction_count = 9 WHERE batch_id = 3",
    "batch_matches_its_hash": "UPDATE ledger.batches SET recorded_at = now() - interval '1 day' WHERE batch_id = 3",
    "batches_are_linked": (
        "UPDATE ledger.batches SET previous_hash = sha256(''), hash = ledger.hash_link(sha256(''), batch_id, lane,"
        " lane_no, transaction_count, recorded_at, content_hash) WHERE batch_id = 3"
    ),
    "lanes_end_at_their_heads": "UPDATE ledger.lanes SET head_hash = sha256('') WHERE lane = 1",
    "entry_in_its_accounts_currency": "UPDATE ledger.accounts SET currency = 'USD' WHERE type = 'settlement'",
    "balance_is_the_sum_of_entries": "UPDATE ledger.balances SET total_minor = total_minor + 1 WHERE shard = 1",
    "account_has_its_balances": f"UPDATE ledger.balances SET status = 'frozen' WHERE account_no = {_ADA_NO}",
    "available_is_within_the_limit": (
        "ALTER TABLE ledger.balances DROP CONSTRAINT available_stays_within_limit;"
        f"UPDATE ledger.accounts SET overdraft_limit_minor = 0 WHERE account_no = {_ADA_NO};"
        "UPDATE ledger.balances SET floor_minor = 0, held_minor = 100000, locked_minor = 0"
        f" WHERE account_no = {_ADA_NO};"
        "INSERT INTO ledger.holds (hold_id, account_no, kind, amount_minor, remaining_minor, expires_at, occurred_at)"
        f" SELECT '{HOLD}', account_no, 'authorization', 100000, 100000, now(), now()"
        f"   FROM ledger.accounts WHERE account_id = '{ADA}';"
        "INSERT INTO ledger.hold_changes"
        " (hold_id, change, change_key, fingerprint, amount_minor, held_minor, occurred_at)"
        f" VALUES ('{HOLD}', 'place', 'key', '{HOLD}', 100000, 100000, now())"
    ),
    "held_is_what_holds_hold": f"UPDATE ledger.balances SET held_minor = 1 WHERE account_no = {_ADA_NO}",
    "hold_is_the_sum_of_its_changes": (
        "INSERT INTO ledger.holds"
        " (hold_id, account_no, kind, status, amount_minor, remaining_minor, expires_at, occurred_at, closed_at)"
        f" SELECT '{HOLD}', account_no, 'dispute', 'released', 5, 0, now(), now(), now()"
        f"   FROM ledger.accounts WHERE account_id = '{ADA}'"
    ),
    "capture_has_its_transaction": (
        "INSERT INTO ledger.holds (hold_id, account_no, kind, status, amount_minor, remaining_minor, captured_minor,"
        "                          expires_at, occurred_at, closed_at)"
        f" SELECT '{HOLD}', account_no, 'authorization', 'captured', 5, 0, 5, now(), now(), now()"
        f"   FROM ledger.accounts WHERE account_id = '{ADA}';"
        "INSERT INTO ledger.hold_changes (hold_id, change, change_key, fingerprint, amount_minor, held_minor,"
        "                                 occurred_at, transaction_id)"
        f" VALUES ('{HOLD}', 'place', 'key', '{HOLD}', 5, 5, now(), NULL),"
        f"        ('{HOLD}', 'capture', 'capture:{HOLD}', '{HOLD}', 5, -5, now(), '{HOLD}')"
    ),
    "posted_sequence_has_its_transaction": "DELETE FROM ledger.posting_sequences; DELETE FROM ledger.posting_parts",
    "part_belongs_to_a_sequence": (
        "INSERT INTO ledger.posting_parts (sequence_id, part_index, event_id, event)"
        " VALUES ('seq_none', 1, 'evt', '{}')"
    ),
    "posted_sequence_has_its_posting_input": "DELETE FROM audit.posting_inputs",
    "chunk_stands_for_its_batch": (
        "INSERT INTO audit.batch_chunks SELECT"
        f" '{RUN}', 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 99, '[]', '', 0"
        f"; INSERT INTO audit.batch_runs VALUES ('{RUN}', 'file', repeat('0', 64), 1, 1, 1000, now(), NULL, NULL)"
    ),
    "run_has_all_its_chunks": (
        f"INSERT INTO audit.batch_runs VALUES ('{RUN}', 'file', repeat('0', 64), 1, 1, 1000, now(), 7, now())"
    ),
}


def test_every_check_is_tried() -> None:
    """The anchors have tests of their own, below."""
    assert {*TAMPERINGS, "anchors_stand_in_the_chain"} == set(CHECKS)


def test_the_guide_names_every_check_in_its_order() -> None:
    guide = (Path(__file__).resolve().parents[3] / "docs" / "ledger-verify.md").read_text(encoding="utf-8")
    checks = guide.partition("| check |")[2].partition("\n\n")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", checks, re.MULTILINE)) == CHECKS
    assert f"all {len(CHECKS)} checks hold" in guide


@pytest.mark.parametrize("check", TAMPERINGS)
def test_each_tampering_is_found_by_its_check(database: Database, tamper: Tamper, check: str) -> None:
    tamper.execute(TAMPERINGS[check].encode())
    assert check in _found(database)


def test_a_sequence_marked_posted_without_a_transaction_is_found(database: Database, tamper: Tamper) -> None:
    tamper.execute(
        "INSERT INTO ledger.posting_sequences"
        " (sequence_id, payment_id, payment_key, fingerprint, total, correlation_id, status, closed_at)"
        " VALUES ('seq_alone', 'pay', 'key', 'f', 1, 'run', 'posted', now())"
    )
    first = _first(database)
    assert (first.check, first.key) == ("posted_sequence_has_its_transaction", "seq_alone")


# --- a tampered journal ---------------------------------------------------------------------------------------------


def test_a_changed_amount_names_its_transaction(database: Database, tamper: Tamper) -> None:
    batch = _last_batch(tamper)
    transaction_id = _second_of(tamper, batch)
    tamper.execute(
        "UPDATE ledger.entries SET amount_minor = amount_minor + 7 WHERE batch_id = %s AND position = 2 AND leg_no = 2",
        (batch[0],),
    )
    found = _found(database)
    assert found["transaction_sums_to_zero"].key == transaction_id
    assert found["transaction_sums_to_zero"].detail == "entries sum to 7 GBP"
    assert found["batch_matches_its_hash"].key == _name(batch)


def test_amounts_changed_in_balance_name_the_transaction_that_another_hand_wrote(
    database: Database, tamper: Tamper
) -> None:
    """Sums and balances hold; the hash does not, and PostgreSQL knows which rows were written later."""
    batch = _last_batch(tamper)
    tamper.execute(
        "UPDATE ledger.entries SET amount_minor = amount_minor * 2 WHERE batch_id = %s AND position = 2", batch[:1]
    )
    for who, amount in ((ADA, -1_000), (SETTLEMENT, 1_000)):
        tamper.execute(
            "UPDATE ledger.balances SET total_minor = total_minor + %s WHERE shard IN (0, %s)"
            " AND account_no = (SELECT account_no FROM ledger.accounts WHERE account_id = %s)",
            (amount, batch[1], who),
        )
    transaction_id = _second_of(tamper, batch)
    found = _found(database)
    assert list(found) == ["batch_matches_its_hash"]
    assert found["batch_matches_its_hash"].key == _name(batch)
    assert f"{transaction_id} was written apart from the rest" in found["batch_matches_its_hash"].detail


def test_a_changed_description_breaks_the_hash_of_its_batch(database: Database, tamper: Tamper) -> None:
    tamper.execute("UPDATE ledger.journal_transactions SET description = 'Casino' WHERE batch_id = 3")
    found = _found(database)
    assert list(found) == ["batch_matches_its_hash"]
    assert found["batch_matches_its_hash"].key == "batch 3 (lane 1 no. 3)"


def test_a_resealed_batch_breaks_the_link_of_the_next(database: Database, tamper: Tamper) -> None:
    """One hash is easily computed anew; the next batch holds the old one."""
    tamper.execute("UPDATE ledger.journal_transactions SET description = 'Casino' WHERE batch_id = 3")
    tamper.execute("UPDATE ledger.batches SET content_hash = ledger.hash_content(3) WHERE batch_id = 3")
    tamper.execute(
        "UPDATE ledger.batches SET hash = ledger.hash_link(previous_hash, batch_id, lane, lane_no, transaction_count,"
        " recorded_at, content_hash) WHERE batch_id = 3"
    )
    found = _found(database)
    assert list(found) == ["batches_are_linked"]
    assert found["batches_are_linked"].key == "batch 4 (lane 1 no. 4)"
    assert "hash of batch 3" in found["batches_are_linked"].detail


def _delete_batch(tamper: Tamper, batch_id: int) -> None:
    for table in ("entries", "journal_transactions", "batches"):
        tamper.execute(f"DELETE FROM ledger.{table} WHERE batch_id = {batch_id}".encode())


def test_a_batch_cut_out_of_the_middle_is_missed(database: Database, tamper: Tamper) -> None:
    _delete_batch(tamper, 3)
    link = _found(database)["batches_are_linked"]
    assert (link.key, link.detail) == ("batch 4 (lane 1 no. 4)", "no. 3 of the lane is missing before it")


def test_a_last_batch_that_was_deleted_is_missed_by_its_lane(database: Database, tamper: Tamper) -> None:
    _delete_batch(tamper, 4)
    head = _found(database)["lanes_end_at_their_heads"]
    assert head.key == "lane 1"
    assert "last batch is no. 4, the last one there is no. 3" in head.detail


def test_rows_of_a_batch_that_is_not_there_are_found(database: Database, tamper: Tamper) -> None:
    """Whatever number they bear, they lie in one of the ranges."""
    for batch_id in (-(2**40), 2**60):
        tamper.execute(
            "INSERT INTO ledger.entries (batch_id, position, leg_no, account_no, currency_no, amount_minor)"
            " VALUES (%s, 1, 1, 1, 826, 5)",
            (batch_id,),
        )
    found = _found(database)
    assert found["transaction_has_its_entries"].detail == "entries without a transaction"
    assert found["transaction_has_its_entries"].count == 2


# --- anchors --------------------------------------------------------------------------------------------------------


def _anchored(database: Database, *anchors: Anchor) -> Difference | None:
    report = verify(database, anchors=anchors)
    assert report.anchors == len(anchors)
    return report.first_difference


def test_anchors_stand_while_the_ledger_grows(database: Database, ledger: PostgresLedger, empty_dsn: str) -> None:
    anchors = [take_anchor(database, clock=CLOCK)]
    for _ in range(3):
        post_orders(ledger, make_order())
        anchors.append(take_anchor(database, clock=CLOCK))
    assert _anchored(database, *anchors) is None
    assert len({anchor.root for anchor in anchors}) == 4
    migrate(empty_dsn)
    with Database(empty_dsn) as other:
        newborn = take_anchor(other, clock=CLOCK)
    assert _anchored(database, newborn) is None


REWRITES: dict[str, Callable[[Tamper], object]] = {
    "description": lambda tamper: tamper.execute(
        "UPDATE ledger.journal_transactions SET description = 'Casino' WHERE batch_id = 3"
    ),
    "recorded time": lambda tamper: tamper.execute(
        "UPDATE ledger.batches SET recorded_at = recorded_at - interval '1 day' WHERE batch_id = 3"
    ),
    "time of the payment": lambda tamper: tamper.execute(
        "UPDATE ledger.journal_transactions SET occurred_at = occurred_at + interval '1 day' WHERE batch_id = 3"
    ),
}


@pytest.mark.parametrize("what", REWRITES)
def test_a_lane_that_was_rewritten_whole_is_told_by_the_anchor_alone(
    database: Database, ledger: PostgresLedger, tamper: Tamper, what: str
) -> None:
    early = take_anchor(database, clock=CLOCK)
    post_orders(ledger, make_order())
    late = take_anchor(database, clock=CLOCK)
    REWRITES[what](tamper)
    _reseal(tamper, 1)
    assert verify(database).clean
    found = _anchored(database, early, late)
    assert found is not None
    assert (found.check, found.count) == ("anchors_stand_in_the_chain", 2)
    assert "lane 1 no. 4 was rewritten" in found.detail


def test_a_lane_that_was_cut_back_is_told_by_the_anchor(
    database: Database, ledger: PostgresLedger, tamper: Tamper
) -> None:
    """The last payment vanishes with its batch, its balances and the lane's memory of it."""
    before = take_anchor(database, clock=CLOCK)
    specs = [account("customer:000099:gbp")]
    PostgresAccounts(database).open_accounts(specs, openings={specs[0].account_id: 700}, clock=CLOCK, ids=IDS)
    anchor = take_anchor(database, clock=CLOCK)
    batch_id, lane, lane_no = _last_batch(tamper)
    tamper.execute(
        "UPDATE ledger.balances AS b SET total_minor = b.total_minor - e.amount_minor, entry_count = b.entry_count - 1"
        " FROM ledger.entries AS e WHERE e.batch_id = %s AND e.account_no = b.account_no AND b.shard IN (0, %s)",
        (batch_id, lane),
    )
    _delete_batch(tamper, batch_id)
    tamper.execute("UPDATE ledger.lanes SET last_no = last_no - 1 WHERE lane = %s", (lane,))
    _reseal(tamper, lane)
    assert verify(database).clean
    assert _anchored(database, before) is None
    found = _anchored(database, before, anchor)
    assert found is not None
    assert f"lane {lane} no. {lane_no} is not in the chain any more" in found.detail
    assert found.count == 1


def test_another_ledgers_anchor_does_not_stand(database: Database, empty_dsn: str) -> None:
    migrate(empty_dsn)
    with Database(empty_dsn) as other:
        open_accounts(other)
        for _ in range(4):
            post_orders(PostgresLedger(other), make_order())
        found = _anchored(other, take_anchor(database, clock=CLOCK))
    assert found is not None
    assert found.check == "anchors_stand_in_the_chain"
