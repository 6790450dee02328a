"""What the figures say of payments that a real ledger holds, and how they find it."""

import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.builders.payments import (
    make_accepted,
    make_account_details,
    make_approved,
    make_authorization,
    make_enriched,
    make_enrichment,
    make_referred,
    make_rejected,
    make_standardised,
)
from tests.unit.stages.test_post import CUSTOMER, requested_by

from postrail.adapters.aws.outcomes import outcome_of
from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.outcomes import PostgresOutcomes
from postrail.adapters.postgres.queries import statements
from postrail.adapters.system import SystemClock, SystemIds
from postrail.contracts.envelope import next_event, start_event
from postrail.contracts.events import Delivered, DuplicateParked, Event, EventData, PaymentAuthorized
from postrail.domain.errors import ReasonCode
from postrail.figures import ledger_figures
from postrail.figures.catalogue import read_catalogue
from postrail.figures.ledger_figures import LedgerFigures, ledger_now
from postrail.figures.series import SeriesReading, Window
from postrail.posting_inputs import JsonPostingInput
from postrail.sampling.accounts import system_accounts
from postrail.stages.post import post

CLOCK, IDS = SystemClock(), SystemIds()
UNKNOWN_CUSTOMER = "customer:999999:gbp"


@pytest.fixture(autouse=True)
def _opened(database: Database) -> None:
    PostgresAccounts(database).open_accounts([CUSTOMER, *system_accounts(["GBP"])], openings={}, clock=CLOCK, ids=IDS)


def road(until: EventData, producer: str = "test") -> Event[Any]:
    """An event with the trail of all stages before it."""
    authorization = getattr(until, "authorization", None) or make_authorization(payment_id=until.subject_payment_id())
    stops: Sequence[EventData] = (
        PaymentAuthorized(authorization=authorization),
        make_accepted(authorization),
        make_standardised(authorization),
        make_enriched(authorization),
    )
    if isinstance(until, DuplicateParked):
        stops = stops[:1]
    elif getattr(until, "stage", "") == "enrich":
        stops = stops[:3]
    event: Event[Any] = start_event(stops[0], correlation_id="run_0001", producer=producer, clock=CLOCK, ids=IDS)
    for data in (*stops[1:], until):
        cause_type = event.data.detail_type()
        event = next_event(event.metadata, cause_type, data, producer=producer, clock=CLOCK, ids=IDS)
    return event


def make_payment(account_id: str = CUSTOMER.account_id, **overrides: Any) -> Event[Any]:
    payment_id = IDS.new_id("pay")
    authorization = make_authorization(payment_id=payment_id, **overrides)
    enrichment = make_enrichment(account=make_account_details(account_id=account_id))
    return road(make_approved(authorization, enrichment, payment_key=f"acq:{payment_id}"))


def post_payments(ledger: PostgresLedger, *approved: Event[Any]) -> None:
    parts = [part for each in approved for part in requested_by(each)]
    post(parts, ledger=ledger, input_format=JsonPostingInput(), clock=CLOCK, ids=IDS)


def record(database: Database, *events: Event[Any]) -> None:
    delivered = [Delivered.model_construct(detail_type=event.data.detail_type(), detail=event) for event in events]
    PostgresOutcomes(database).record([outcome_of(each) for each in delivered])


def look(database: Database, name: str, buckets: int = 5, end: datetime | None = None) -> dict[str, SeriesReading]:
    figures = LedgerFigures(database, Window(end or ledger_now(database), buckets), overdue_seconds=900)
    return {reading.label: reading for reading in figures.readings()[name]()}


def values(database: Database, name: str) -> dict[str, float | None]:
    return {label: reading.latest() for label, reading in look(database, name).items()}


def rejected(stage: str, reason: ReasonCode) -> Event[Any]:
    authorization = make_authorization(payment_id=IDS.new_id("pay"))
    return road(make_rejected(authorization, stage=stage, reason_code=reason))


def parked(reason: ReasonCode) -> Event[Any]:
    return road(
        DuplicateParked(
            payment_id=IDS.new_id("pay"),
            payment_key="acq:x",
            reason_code=reason,
            parked_uri="s3://parked/x",
            first_payment_id=IDS.new_id("pay"),
            first_seen_at=CLOCK.now(),
        )
    )


def test_each_stage_is_told_by_the_trails_of_what_passed_it(database: Database, ledger: PostgresLedger) -> None:
    """Two posted, one refused by the ledger, one rejected by the rules, one that enrichment did not know."""
    post_payments(ledger, make_payment(), make_payment(), make_payment(UNKNOWN_CUSTOMER))
    record(
        database,
        rejected("apply_rules", ReasonCode.RULE_REJECTED),
        rejected("enrich", ReasonCode.UNKNOWN_ACCOUNT),
    )
    assert values(database, "throughput") == {
        "accepted": 5,
        "standardised": 5,
        "enriched": 4,
        "decided": 4,
        "posted": 2,
    }
    assert values(database, "decisions") == {"approved": 3, "rejected": 1, "referred": 0}
    assert values(database, "postings") == {"posted": 2, "failed": 1}


def test_refusals_are_told_by_stage_and_reason(database: Database, ledger: PostgresLedger) -> None:
    post_payments(ledger, make_payment(UNKNOWN_CUSTOMER))
    record(database, *[rejected("enrich", ReasonCode.NO_EXCHANGE_RATE) for _ in range(2)])
    assert values(database, "refusals") == {"post ACCOUNT_NOT_FOUND": 1, "enrich NO_EXCHANGE_RATE": 2}


def test_without_refusals_there_is_one_series_of_none(database: Database) -> None:
    assert values(database, "refusals") == {"all": 0}


def test_referred_payments_are_decided_and_no_refusal(database: Database) -> None:
    record(database, road(make_referred()))
    assert values(database, "decisions") == {"approved": 0, "rejected": 0, "referred": 1}
    assert values(database, "refusals") == {"all": 0}


def test_duplicates_and_conflicts_are_told_apart(database: Database) -> None:
    record(database, parked(ReasonCode.DUPLICATE), parked(ReasonCode.DUPLICATE), parked(ReasonCode.CONFLICT))
    assert values(database, "duplicates") == {"duplicates": 2, "conflicts": 1}


def test_latency_is_from_the_issuers_authorization_to_the_ledgers_commit(
    database: Database, ledger: PostgresLedger
) -> None:
    """Of ninety-nine payments and a slow one, the slow one is the percentile of the hundred."""
    ages = [timedelta(seconds=1)] * 99 + [timedelta(seconds=100)]
    post_payments(ledger, *[make_payment(authorized_at=CLOCK.now() - age) for age in ages])
    found = values(database, "latency")
    assert found["p50"] is not None
    assert 1_000 <= found["p50"] < 15_000
    assert found["p99"] is not None
    assert found["p99"] > found["p50"]


def test_a_latency_without_postings_is_unknown_and_not_zero(database: Database) -> None:
    p50 = look(database, "latency")["p50"]
    assert p50.latest() is None
    assert p50.why == "nothing was posted"


def test_what_happened_before_is_in_its_own_minute(database: Database, ledger: PostgresLedger) -> None:
    """Seen from three minutes later, the last two minutes had none."""
    post_payments(ledger, make_payment())
    later = ledger_now(database) + timedelta(minutes=3)
    posted = look(database, "postings", end=later)["posted"]
    assert [point.value for point in posted.points] == [0, 1, 0, 0, 0]
    assert posted.points[-1].at == later


def test_what_came_in_a_file_is_left_out(database: Database, ledger: PostgresLedger) -> None:
    """Its payments may be days old, and its run tells of them."""
    post_payments(ledger, make_payment())
    database.execute(
        "INSERT INTO audit.batch_runs (run_id, source, content_sha256, size_bytes, partitions, chunk_size, started_at) "
        "VALUES ('run_' || repeat('0', 32), 'day.csv', repeat('0', 64), 1, 1, 1, now())"
    )
    database.execute(
        "INSERT INTO audit.batch_chunks (run_id, partition, chunk_no, first_line, last_line, lines, posted, "
        "duplicates, conflicts, rejected, referred, malformed, failed, batch_id, refused, documents, "
        "documents_size_bytes) SELECT 'run_' || repeat('0', 32), 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, max(batch_id), "
        "'[]', '', 0 FROM ledger.batches"
    )
    record(database, road(make_rejected(make_authorization(payment_id=IDS.new_id("pay"))), producer="batch"))
    assert values(database, "postings")["posted"] == 0
    assert values(database, "refusals") == {"all": 0}


def test_a_window_that_holds_more_than_is_looked_at_is_told_as_far_as_it_is_whole(
    database: Database, ledger: PostgresLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number that leaves some out is worse than none."""
    monkeypatch.setattr(ledger_figures, "ROWS_MAX", 2)
    for _ in range(3):
        post_payments(ledger, make_payment())
    posted = look(database, "postings")["posted"]
    assert posted.points == ()
    assert posted.why == "more happened than is counted here"


def test_the_outbox_tells_what_waits_and_since_when(database: Database, ledger: PostgresLedger) -> None:
    post_payments(ledger, make_payment(), make_payment())
    assert values(database, "outbox_backlog") == {"waiting": 2}
    age = values(database, "outbox_age")["oldest"]
    assert age is not None
    assert 0 <= age < 60


def test_sequences_that_wait_are_overdue_when_their_time_is_over(database: Database, ledger: PostgresLedger) -> None:
    first, *_ = requested_by(make_payment())
    post([first], ledger=ledger, input_format=JsonPostingInput(), clock=CLOCK, ids=IDS)
    window = Window(ledger_now(database))
    assert LedgerFigures(database, window, overdue_seconds=900).sequences()[0].latest() == 0
    assert LedgerFigures(database, window, overdue_seconds=0).sequences()[0].latest() == 1


def test_connections_count_this_one(database: Database) -> None:
    found = values(database, "connections")["database"]
    assert found is not None
    assert found >= 1


def test_banks_are_told_by_what_they_answered(database: Database) -> None:
    now = ledger_now(database)
    for number, code in enumerate(("000", "000", "116", "909")):
        database.execute(
            "INSERT INTO bank.authorizations (payment_id, bank_id, authorization_key, fingerprint, message_type, "
            "function_code, transaction_type, amount_minor, currency, action_code, rrn, answer, transmitted_at, "
            "decided_at) VALUES "
            "($1::uuid, 'acme', $2, gen_random_uuid(), '1100', '100', '00', 1, 'GBP', $3, 'r', '{}', $4, $4)",
            IDS.new_id("pay")[4:],
            f"key{number}",
            code,
            now,
        )
    assert values(database, "switch_approved") == {"acme": 2}
    assert values(database, "switch_declined") == {"acme": 2}


def test_networks_are_told_by_what_they_stored(database: Database) -> None:
    """An approval in a bank's stead is an advice; a timeout is a reversal with its reason."""
    for key, type_, reason, code in (
        ("a", "1120", "1", "123456"),
        ("b", "1420", "4021", None),
        ("c", "1420", "4000", None),
    ):
        database.execute(
            "INSERT INTO network.advices (network_id, bank_id, advice_key, original_key, fingerprint, message_type, "
            "reason, payload, approval_code, next_attempt_at) "
            "VALUES ('visto', 'acme', $1, $1, sha256('x'), $2, $3, 'x', $4, now())",
            key,
            type_,
            reason,
            code,
        )
    assert values(database, "switch_stand_in") == {"visto": 1}
    assert values(database, "switch_timed_out") == {"visto": 1}


@pytest.mark.parametrize("name", ["switch_approved", "switch_timed_out", "switch_reversed", "switch_latency"])
def test_a_switch_that_nobody_heard_of_is_unknown(database: Database, name: str) -> None:
    (reading,) = look(database, name).values()
    assert reading.latest() is None
    assert reading.why


def test_every_local_reading_of_the_catalogue_but_those_of_queues_is_there(database: Database) -> None:
    """A name that nobody reads would be a dash for ever."""
    catalogue = read_catalogue(Path(__file__).parents[3] / "config" / "figures.yaml")
    named = {figure.local for figure in catalogue.figures if figure.local}
    others = {"queue_depth", "queue_age", "dead_letters", "parked", "cost"}
    assert named - others <= set(LedgerFigures(database, Window(CLOCK.now()), overdue_seconds=1).readings())


@pytest.mark.parametrize("name", ["posted", "sent", "ended", "decided", "reversed", "stored", "holds_expired"])
def test_no_statement_reads_a_whole_table(database: Database, name: str) -> None:
    """With scans forbidden each still has a plan: by a key walked backwards, or by an index of times."""
    more = {"decided": ("00000000-0000-7000-8000-000000000000",), "stored": ("4021",)}.get(name, ())
    database.execute("SET enable_seqscan = off")
    database.execute("SET enable_bitmapscan = on")
    sql = "EXPLAIN (FORMAT JSON) " + statements("figures.sql", "postrail.figures")[name]
    (row,) = database.fetch(sql, ledger_now(database), 60, 5, 20_000, *more)
    plan = json.dumps(json.loads(row[0]))
    assert not re.search(r'"Node Type": "Seq Scan"', plan)
