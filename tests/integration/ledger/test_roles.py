"""The application's role can do all that the functions need, and nothing more."""

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from psycopg import errors
from tests.integration.ledger.hold_support import NOW, capture, extend_request, place_request
from tests.integration.ledger.support import (
    ADA,
    BEN,
    CLOCK,
    IDS,
    MARKUP,
    SETTLEMENT,
    make_order,
    make_parts,
    open_accounts,
    payment_id,
    post_orders,
    run_engine,
)

from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.batch_runs import PostgresBatchRuns, PostgresChunks
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.follow import PostgresFollower
from postrail.adapters.postgres.holds import PostgresHolds
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.outbox import PostgresOutbox
from postrail.adapters.postgres.outcomes import PostgresOutcomes
from postrail.adapters.postgres.reversals import PostgresReversals
from postrail.adapters.postgres.sequences import PostgresSequences
from postrail.adapters.postgres.trace import trace
from postrail.adapters.postgres.verify import verify
from postrail.batch.chunks import ChunkKey, ChunkRecord, Counts
from postrail.batch.store import Run
from postrail.domain.errors import ReasonCode
from postrail.domain.ledger import AccountStatus
from postrail.ports import Announcement, RecordedOutcome


def test_the_application_role_can_do_all_that_the_functions_need(application_dsn: str) -> None:
    with Database(application_dsn) as database:
        ledger, outbox, sequences = PostgresLedger(database), PostgresOutbox(database), PostgresSequences(database)
        open_accounts(database)
        PostgresAccounts(database).set_status(BEN, AccountStatus.FROZEN)
        parts = make_parts([(ADA, SETTLEMENT, 10), (ADA, MARKUP, 1)])
        late, given_up = make_parts([(ADA, SETTLEMENT, 10), (ADA, MARKUP, 1)]), make_parts([(ADA, SETTLEMENT, 1)])
        assert len(run_engine(ledger, [*parts, late[0]]).posted) == 1
        with ledger.session() as session:
            session.receive_parts(given_up)
            session.refuse(given_up[0].data.sequence_id, ReasonCode.UNBALANCED, "by hand")
        outbox.claim_unsent(10)
        outbox.mark_sent([1])
        assert len(sequences.alert_overdue(older_than_seconds=0, clock=CLOCK, ids=IDS, producer="watch")) == 1
        outcome = RecordedOutcome(
            payment_id(), "run-of-a-test", "PaymentRejected", IDS.new_id("evt"), CLOCK.now(), None, "{}"
        )
        PostgresOutcomes(database).record([outcome])
        assert PostgresFollower(database).by_payment([outcome.payment_id])
        assert trace(database, parts[0].data.payment_id) is not None
        assert verify(database).clean


def test_the_application_role_can_run_batches_and_hold_capture_and_reverse(application_dsn: str) -> None:
    with Database(application_dsn) as database:
        open_accounts(database)
        holds, runs, chunks = PostgresHolds(database), PostgresBatchRuns(database), PostgresChunks(database)
        PostgresAccounts(database).set_overdraft_limit(ADA, 100)
        first, second = place_request(ADA, 500), place_request(BEN, 500, expires_at=NOW)
        assert [result.reason for result in holds.place([first, second])] == [None, None]
        assert [result.reason for result in holds.change([extend_request(first.hold_id, 10)])] == [None]
        assert holds.expire(NOW + timedelta(days=1), limit=10) == [second.hold_id]
        (posted,) = post_orders(PostgresLedger(database), capture(first.hold_id, 200, final=True))
        reversals = PostgresReversals(database)
        (reversed_,) = reversals.reverse([posted.transaction_id], reason="by hand", occurred_at=NOW, ids=IDS)
        assert reversed_.reason is None
        run = runs.open_run(Run(f"run_{'a' * 32}", "payments.csv", "b" * 64, 1, 2, 10, NOW))
        key = ChunkKey(run.run_id, 0, 0)
        with chunks.chunk(key) as session:
            assert not isinstance(session, Counts)
            order = replace(make_order(), booking=None)
            assert session.post([order], announce=Announcement(run.run_id))[0].reason is None
            session.keep(ChunkRecord(key, 1, 1, Counts(lines=1, posted=1)))
        runs.finish_run(run.run_id, 1)
        outbox = PostgresOutbox(database)
        outbox.mark_sent([row.outbox_id for row in outbox.claim_unsent(10)])
        assert outbox.backlog()[0] == 0
        assert verify(database).clean


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO ledger.journal_transactions DEFAULT VALUES",
        "INSERT INTO ledger.entries DEFAULT VALUES",
        "INSERT INTO ledger.batches (lane, transaction_count) VALUES (1, 1)",
        "UPDATE ledger.batches SET hash = NULL",
        "UPDATE ledger.lanes SET last_no = 0",
        "SELECT ledger.begin_batch(1, NULL, 1::smallint, now())",
        "SELECT ledger.take_lane()",
        "SELECT ledger.capture_hold(NULL, 1, 0, 1, NULL, now())",
        "INSERT INTO ledger.holds DEFAULT VALUES",
        "UPDATE ledger.holds SET remaining_minor = 0",
        "INSERT INTO ledger.hold_changes DEFAULT VALUES",
        "UPDATE audit.batch_runs SET source = 'another'",
        "UPDATE audit.batch_chunks SET posted = 0",
        "INSERT INTO ledger.account_types DEFAULT VALUES",
        "INSERT INTO audit.posting_inputs DEFAULT VALUES",
        "UPDATE ledger.balances SET total_minor = 0",
        "INSERT INTO ledger.accounts DEFAULT VALUES",
        "UPDATE ledger.accounts SET currency = 'USD'",
        "UPDATE ledger.posting_sequences SET payment_key = 'another'",
        "DELETE FROM ledger.outbox",
        "DELETE FROM audit.outcomes",
        "UPDATE ledger.outbox SET detail = ''",
        "ALTER TABLE ledger.entries DISABLE TRIGGER ALL",
        "CREATE TABLE ledger.mine (id integer)",
        "CREATE TABLE public.mine (id integer)",
        "CREATE SCHEMA mine",
        "CREATE ROLE another",
        "DELETE FROM bank.authorizations",
        "UPDATE bank.authorizations SET amount_minor = 0",
        "DELETE FROM bank.reversals",
        "DELETE FROM bank.cards",
        "UPDATE bank.cards SET pin_reference = 'another'",
        "UPDATE bank.cards SET payment_limit_minor = NULL",
        "UPDATE network.advices SET fingerprint = ''",
        "INSERT INTO network.negative_cards DEFAULT VALUES",
        "TRUNCATE network.advices",
        "DELETE FROM migrations._yoyo_migration",
    ],
)
def test_the_application_role_can_do_nothing_else(application_dsn: str, statement: str) -> None:
    with psycopg.connect(application_dsn) as connection:
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(statement.encode())
        connection.rollback()
