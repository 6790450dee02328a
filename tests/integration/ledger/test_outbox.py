"""The outbox, the outcomes and the watch over waiting sequences."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.integration.ledger.support import (
    ADA,
    CLOCK,
    IDS,
    MARKUP,
    SETTLEMENT,
    count,
    make_parts,
    open_accounts,
    payment_id,
    run_engine,
)

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.outbox import PostgresOutbox
from postrail.adapters.postgres.outcomes import PostgresOutcomes
from postrail.adapters.postgres.sequences import PostgresSequences
from postrail.contracts.events import Event, PaymentPosted, PostingRequested, PostingSequenceOverdue
from postrail.domain.errors import Retryable
from postrail.ports import RecordedOutcome

PAIR = [(ADA, SETTLEMENT, 100), (ADA, MARKUP, 3)]


@pytest.fixture(autouse=True)
def _opened(database: Database) -> None:
    open_accounts(database)


def _enqueue(ledger: PostgresLedger, number: int) -> None:
    with ledger.session() as session:
        session.enqueue([part for _ in range(number) for part in make_parts([(ADA, SETTLEMENT, 1)])])


def test_the_session_that_committed_publishes_its_own_rows(database: Database, ledger: PostgresLedger) -> None:
    """They are leased to it: the relay leaves them alone, and finds nothing once they are sent."""
    report = run_engine(ledger, make_parts(PAIR))
    outbox = PostgresOutbox(database)
    assert outbox.claim_unsent(10) == []
    (row,) = ledger.take_committed()
    assert Event[PaymentPosted].model_validate_json(row.detail).data == report.events[0].data
    assert ledger.take_committed() == []
    outbox.mark_sent([row.outbox_id])
    outbox.mark_sent([row.outbox_id])
    outbox.mark_sent([])
    assert outbox.backlog() == (0, 0.0)
    assert count(database, "ledger.outbox", "sent_at IS NOT NULL") == 1


def test_rows_of_a_lost_session_fall_to_the_relay_when_the_lease_is_over(database: Database) -> None:
    _enqueue(PostgresLedger(database, outbox_lease_seconds=0), 3)
    relay = PostgresOutbox(database)
    rows = relay.claim_unsent(2)
    assert [row.outbox_id for row in rows] == sorted(row.outbox_id for row in rows)
    assert len(relay.claim_unsent(10)) == 1
    assert relay.claim_unsent(10) == []
    assert relay.backlog()[0] == 3


def test_a_relay_that_died_loses_its_lease_and_no_row(database: Database) -> None:
    _enqueue(PostgresLedger(database, outbox_lease_seconds=0), 3)
    died = PostgresOutbox(database, lease_seconds=0)
    assert len(died.claim_unsent(3)) == 3
    assert len(PostgresOutbox(database).claim_unsent(3)) == 3


def test_relays_at_once_share_the_rows_and_take_none_twice(database: Database, postgres_dsn: str) -> None:
    _enqueue(PostgresLedger(database, outbox_lease_seconds=0), 60)

    def relay(_: int) -> list[int]:
        with Database(postgres_dsn) as own:
            outbox, taken = PostgresOutbox(own), []
            while rows := outbox.claim_unsent(7):
                taken += [row.outbox_id for row in rows]
                outbox.mark_sent([row.outbox_id for row in rows])
            return taken

    with ThreadPoolExecutor(4) as threads:
        taken = [outbox_id for ids in threads.map(relay, range(4)) for outbox_id in ids]
    assert len(taken) == len(set(taken)) == 60
    assert count(database, "ledger.outbox", "sent_at IS NULL") == 0


def test_events_do_not_leave_when_the_session_rolls_back(database: Database) -> None:
    ledger = PostgresLedger(database, outbox_lease_seconds=0)

    def fail() -> None:
        with ledger.session() as session:
            session.enqueue(make_parts([(ADA, SETTLEMENT, 1)]))
            raise Retryable("later")

    with pytest.raises(Retryable):
        fail()
    assert PostgresOutbox(database).claim_unsent(10) == []


def test_an_outcome_is_kept_once_by_its_event_id(database: Database) -> None:
    first = RecordedOutcome(
        payment_id=payment_id(),
        correlation_id="run-of-a-test",
        detail_type="PaymentRejected",
        event_id=IDS.new_id("evt"),
        occurred_at=CLOCK.now(),
        reason_code="UNKNOWN_ACCOUNT",
        event='{"metadata": {}, "data": {}}',
    )
    outcomes = PostgresOutcomes(database)
    outcomes.record([first, first])
    outcomes.record([first])
    outcomes.record([])
    assert count(database, "audit.outcomes") == 1


def test_an_incomplete_sequence_is_alerted_once_and_names_what_is_missing(
    database: Database, ledger: PostgresLedger
) -> None:
    parts = make_parts([*PAIR, (ADA, MARKUP, 1)])
    run_engine(ledger, [parts[1]])
    run_engine(ledger, make_parts(PAIR))
    sequences = PostgresSequences(database)
    assert sequences.alert_overdue(older_than_seconds=60, clock=CLOCK, ids=IDS, producer="watch") == []
    (row,) = sequences.alert_overdue(older_than_seconds=0, clock=CLOCK, ids=IDS, producer="watch")
    event = Event[PostingSequenceOverdue].model_validate_json(row.detail)
    assert row.detail_type == "PostingSequenceOverdue"
    assert (event.data.missing, event.data.total) == ((1, 3), 3)
    assert event.metadata.causation_id == parts[1].metadata.event_id
    assert event.metadata.correlation_id == parts[1].metadata.correlation_id
    assert [hop.type for hop in event.metadata.trail] == ["PostingRequested"]
    assert sequences.alert_overdue(older_than_seconds=0, clock=CLOCK, ids=IDS, producer="watch") == []
    (waiting,) = sequences.list_waiting()
    assert (waiting.sequence_id, waiting.missing) == (parts[1].data.sequence_id, (1, 3))
    assert waiting.alerted_at is not None


def test_a_sequence_that_was_alerted_still_posts_when_its_parts_arrive(
    database: Database, ledger: PostgresLedger
) -> None:
    parts = make_parts(PAIR)
    run_engine(ledger, parts[:1])
    PostgresSequences(database).alert_overdue(older_than_seconds=0, clock=CLOCK, ids=IDS, producer="watch")
    assert len(run_engine(ledger, parts[1:]).posted) == 1
    assert PostgresSequences(database).list_waiting() == []


def test_what_leaves_reads_back_as_the_contract(ledger: PostgresLedger) -> None:
    """The strict contract accepts its own JSON, so nothing that the outbox sends is refused by its reader."""
    parts = make_parts(PAIR)
    with ledger.session() as session:
        session.enqueue(parts)
    rows = ledger.take_committed()
    assert [Event[PostingRequested].model_validate_json(row.detail) for row in rows] == parts
