"""Posting sequences: parts in any order, repeated, contradicting, and at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import pytest
from tests.integration.ledger.support import (
    ADA,
    MARKUP,
    SETTLEMENT,
    balance,
    count,
    make_parts,
    open_accounts,
    run_engine,
)

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.verify import verify
from postrail.domain.errors import ReasonCode

THREE = [(ADA, SETTLEMENT, 1_000), (ADA, MARKUP, 30), (ADA, MARKUP, 4)]


@pytest.fixture(autouse=True)
def _opened(database: Database) -> None:
    open_accounts(database)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_parts_post_once_in_any_order_of_arrival(
    database: Database, ledger: PostgresLedger, order: tuple[int, ...]
) -> None:
    parts = make_parts(THREE)
    reports = [run_engine(ledger, [parts[place]]) for place in order]
    assert [len(report.posted) for report in reports] == [0, 0, 1]
    assert balance(database, ADA) == 100_000 - 1_034
    assert verify(database).clean


def test_parts_that_come_again_post_nothing(database: Database, ledger: PostgresLedger) -> None:
    parts = make_parts(THREE)
    assert len(run_engine(ledger, [*parts, *parts]).posted) == 1
    for part in parts:
        again = run_engine(ledger, [part])
        assert (again.posted, again.refused, again.events) == ((), (), ())
    assert count(database, "ledger.journal", "kind = 'payment'") == 1
    assert count(database, "ledger.posting_parts") == 3


def test_a_part_that_was_decided_again_is_a_repetition(database: Database, ledger: PostgresLedger) -> None:
    """A redelivered approval brings the same legs with other event ids and times: no contradiction."""
    first = make_parts(THREE, payment="pay_0197f0a0c0de7abc8def00000000ffff")
    later = make_parts(THREE, payment="pay_0197f0a0c0de7abc8def00000000ffff")
    assert first[0].metadata.event_id != later[0].metadata.event_id
    run_engine(ledger, first[:1])
    report = run_engine(ledger, later)
    assert len(report.posted) == 1
    assert count(database, "audit.contradicting_parts") == 0


def test_stored_parts_come_back_as_they_were(ledger: PostgresLedger) -> None:
    parts = make_parts(THREE)
    with ledger.session() as session:
        assert session.receive_parts(parts[:2]) == []
    with ledger.session() as session:
        (sequence,) = session.receive_parts(parts[2:])
    assert sequence.parts == tuple(parts)


def test_a_complete_sequence_stays_available_until_it_is_closed(ledger: PostgresLedger) -> None:
    parts = make_parts(THREE)
    with ledger.session() as session:
        assert len(session.receive_parts(parts)) == 1
    with ledger.session() as session:
        assert len(session.receive_parts(parts[:1])) == 1
        session.refuse(parts[0].data.sequence_id, ReasonCode.UNBALANCED, "by hand")
    with ledger.session() as session:
        assert session.receive_parts(parts) == []


@pytest.mark.parametrize(
    "contradiction",
    [
        {"total": 4},
        {"payment_key": "key:another-payment"},
        {"fingerprint": "0" * 32},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_part_with_other_facts_refuses_its_sequence(
    database: Database, ledger: PostgresLedger, contradiction: dict[str, object]
) -> None:
    payment = "pay_0197f0a0c0de7abc8def00000000aaaa"
    neighbour = make_parts(THREE)
    run_engine(ledger, make_parts(THREE, payment=payment)[:2])
    stranger = make_parts(THREE, payment=payment, **contradiction)[2]
    report = run_engine(ledger, [stranger, *neighbour])
    assert [result.reason for result in report.refused] == [ReasonCode.SEQUENCE_INCONSISTENT]
    assert len(report.posted) == 1
    assert count(database, "ledger.posting_sequences", "status = 'refused'") == 1
    assert count(database, "audit.contradicting_parts") == 1
    late = run_engine(ledger, make_parts(THREE, payment=payment))
    assert (late.posted, late.refused) == ((), ())


def test_other_legs_at_the_same_index_refuse_the_sequence_even_within_one_batch(
    database: Database, ledger: PostgresLedger
) -> None:
    payment = "pay_0197f0a0c0de7abc8def00000000bbbb"
    parts = make_parts(THREE, payment=payment)
    other = make_parts([*THREE[:2], (ADA, MARKUP, 5)], payment=payment, fingerprint=parts[0].data.fingerprint)
    with ledger.session() as session:
        assert session.receive_parts([*parts, other[2]]) == []
        assert session.inconsistent() == [other[2]]
    assert count(database, "ledger.posting_sequences", "reason = 'SEQUENCE_INCONSISTENT'") == 1


def test_a_contradiction_after_posting_is_kept_for_audit_and_changes_nothing(
    database: Database, ledger: PostgresLedger
) -> None:
    payment = "pay_0197f0a0c0de7abc8def00000000cccc"
    parts = make_parts(THREE, payment=payment)
    run_engine(ledger, parts)
    late = make_parts([(ADA, SETTLEMENT, 9_999), *THREE[1:]], payment=payment, fingerprint=parts[0].data.fingerprint)
    report = run_engine(ledger, late)
    assert (report.posted, report.refused, report.events) == ((), (), ())
    assert count(database, "audit.contradicting_parts") == 1
    assert balance(database, ADA) == 100_000 - 1_034


def test_the_last_two_parts_in_two_sessions_at_once_post_once(
    postgres_dsn: str, database: Database, ledger: PostgresLedger
) -> None:
    """One session holds its uncommitted part while the other arrives: the other waits, and then sees both."""
    for _ in range(10):
        parts = make_parts(THREE)
        run_engine(ledger, parts[:1])
        barrier = threading.Barrier(2)

        def bring(place: int, parts: list = parts, barrier: threading.Barrier = barrier) -> int:  # type: ignore[type-arg]
            with Database(postgres_dsn) as own:
                own.fetch("SELECT 1")
                barrier.wait()
                return len(run_engine(PostgresLedger(own), [parts[place]]).posted)

        with ThreadPoolExecutor(2) as threads:
            assert sum(threads.map(bring, (1, 2))) == 1
    assert balance(database, ADA) == 100_000 - 10 * 1_034
    assert verify(database).clean


def test_many_sessions_with_shuffled_repeated_parts_post_each_payment_once(
    postgres_dsn: str, database: Database
) -> None:
    payments = [make_parts(THREE) for _ in range(12)]

    def deliver(worker: int) -> int:
        posted = 0
        with Database(postgres_dsn) as own:
            ledger = PostgresLedger(own)
            for step in range(len(payments)):
                one, two = payments[(step + worker) % 12], payments[(step * 5 + worker) % 12]
                batch = [one[(worker + step) % 3], two[worker % 3], one[worker % 3], two[(worker + 1) % 3]]
                posted += len(run_engine(ledger, batch).posted)
        return posted

    with ThreadPoolExecutor(4) as threads:
        posted = sum(threads.map(deliver, range(4)))
    posted += len(run_engine(PostgresLedger(database), [part for parts in payments for part in parts]).posted)
    assert posted == 12
    assert count(database, "ledger.journal", "kind = 'payment'") == 12
    assert balance(database, ADA) == 100_000 - 12 * 1_034
    assert verify(database).clean
