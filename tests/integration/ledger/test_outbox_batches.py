"""The outbox row that stands for a whole batch: its events are made from the journal; it stays until all are taken."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.integration.ledger.support import ADA, EURO, MARKUP, SETTLEMENT, count, make_order, make_parts, open_accounts

from postrail.adapters.aws.ledger_functions import OutboxRelay, OutboxSender
from postrail.adapters.aws.observability import Telemetry
from postrail.adapters.memory import MemoryEventBus
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.outbox import PostgresOutbox
from postrail.contracts.events import Event, PaymentPosted
from postrail.domain.posting import pair
from postrail.ports import Announcement, OutboxRow, PostingOrder, PostStatus

RUN = "run_0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _opened(database: Database) -> None:
    open_accounts(database)


def _orders(number: int) -> list[PostingOrder]:
    """Payments as the batch road posts them: without part, booking or posting input."""
    return [replace(make_order(), booking=None, posting_input=b"", posting_input_format="") for _ in range(number)]


def _post(ledger: PostgresLedger, orders: Sequence[PostingOrder]) -> None:
    with ledger.session() as session:
        results = session.post(orders, announce=Announcement(RUN))
    assert {result.status for result in results} == {PostStatus.POSTED}


def _events(rows: Sequence[OutboxRow]) -> list[Event[PaymentPosted]]:
    """The events, read by the strict contract as a consumer would."""
    return [Event[PaymentPosted].model_validate_json(row.detail) for row in rows]


class _MoodyBus(MemoryEventBus):
    """Refuses every third event until it is told to take all."""

    moody = True

    def publish_raw(self, entries: Sequence[tuple[str, str]]) -> list[int]:
        refused = [index for index in range(len(entries)) if self.moody and index % 3 == 2]
        self.taken += [entry for index, entry in enumerate(entries) if index not in refused]
        return refused


def test_one_row_gives_an_event_for_each_payment_of_its_batch(database: Database, ledger: PostgresLedger) -> None:
    fee = (*pair(ADA, SETTLEMENT, 1_000, "GBP"), *pair(ADA, MARKUP, 30, "GBP"))
    orders = [*_orders(2), replace(make_order(*fee), booking=None)]
    _post(ledger, orders)
    assert count(database, "ledger.outbox") == 1
    rows = PostgresOutbox(database).claim_unsent(10)
    assert {row.outbox_id for row in rows} == {rows[0].outbox_id}
    assert {row.detail_type for row in rows} == {"PaymentPosted"}
    events = _events(rows)
    assert [event.data.transaction_id for event in events] == [order.posting.transaction_id for order in orders]
    assert [event.data.payment_key for event in events] == [order.posting.payment_key for order in orders]
    assert [event.data.sequence_id for event in events] == [order.posting.sequence_id for order in orders]
    for event, order in zip(events, orders, strict=True):
        legs = [(leg.account_id, leg.direction, leg.amount_minor, leg.currency) for leg in event.data.legs]
        assert legs == [tuple(leg) for leg in order.posting.legs]
        assert event.metadata.payment_id == order.posting.payment_id
        assert (event.metadata.correlation_id, event.metadata.producer) == (RUN, "batch")
        assert event.metadata.occurred_at == event.data.posted_at
    (batch,) = database.fetch("SELECT recorded_at FROM ledger.batches ORDER BY batch_id DESC LIMIT 1")
    assert {event.data.posted_at for event in events} == {batch["recorded_at"]}


def test_the_same_batch_gives_the_same_events_whoever_makes_them(database: Database, ledger: PostgresLedger) -> None:
    """The ids depend on the payment alone, so that a consumer that keeps them by id keeps one."""
    _post(ledger, _orders(5))
    whole = PostgresOutbox(database, lease_seconds=0).claim_unsent(10)
    first_two = PostgresOutbox(database, lease_seconds=0).claim_unsent(2)
    assert whole[:2] == first_two
    assert len({event.metadata.event_id for event in _events(whole)}) == 5


def test_a_batch_leaves_in_slices_no_larger_than_the_limit(database: Database, ledger: PostgresLedger) -> None:
    _post(ledger, _orders(7))
    outbox = PostgresOutbox(database)
    sizes, events = [], []
    while rows := outbox.claim_unsent(3):
        sizes.append(len(rows))
        events += _events(rows)
        assert outbox.backlog()[0] == 10 - 3 * len(sizes)
        outbox.mark_sent([row.outbox_id for row in rows])
    assert sizes == [3, 3, 1]
    assert len({event.data.transaction_id for event in events}) == 7
    assert outbox.backlog() == (0, 0.0)


def test_single_events_and_batches_share_a_claim_in_their_order(database: Database) -> None:
    ledger = PostgresLedger(database, outbox_lease_seconds=0)
    first, last = make_parts([(ADA, SETTLEMENT, 1)]), make_parts([(ADA, SETTLEMENT, 2)])
    with ledger.session() as session:
        session.enqueue(first)
    _post(ledger, _orders(3))
    with ledger.session() as session:
        session.enqueue(last)
    outbox = PostgresOutbox(database)
    rows = outbox.claim_unsent(3)
    assert [row.detail_type for row in rows] == ["PostingRequested", "PaymentPosted", "PaymentPosted"]
    # The rest of the batch is leased with it; what comes behind is free.
    assert [row.detail_type for row in PostgresOutbox(database).claim_unsent(3)] == ["PostingRequested"]
    outbox.mark_sent(list({row.outbox_id for row in rows}))
    assert [row.detail_type for row in outbox.claim_unsent(3)] == ["PaymentPosted"]


def test_a_refused_payment_of_the_batch_has_no_event(database: Database, ledger: PostgresLedger) -> None:
    wrong = replace(make_order(*pair(EURO, SETTLEMENT, 5, "GBP")), booking=None)
    with ledger.session() as session:
        results = session.post([_orders(1)[0], wrong, _orders(1)[0]], announce=Announcement(RUN))
    assert [result.status for result in results] == [PostStatus.POSTED, PostStatus.REFUSED, PostStatus.POSTED]
    posted = [result.transaction_id for result in results if result.status is PostStatus.POSTED]
    events = _events(PostgresOutbox(database).claim_unsent(10))
    assert [event.data.transaction_id for event in events] == posted


def test_a_batch_in_which_nothing_was_posted_announces_nothing(database: Database, ledger: PostgresLedger) -> None:
    wrong = replace(make_order(*pair(EURO, SETTLEMENT, 5, "GBP")), booking=None)
    with ledger.session() as session:
        session.post([wrong], announce=Announcement(RUN))
    assert PostgresOutbox(database).claim_unsent(10) == []


def test_a_row_stays_unsent_until_the_bus_took_all_of_its_events(database: Database, ledger: PostgresLedger) -> None:
    """What is sent again are the same events, with the same ids."""
    _post(ledger, _orders(6))
    bus = _MoodyBus()
    sender = OutboxSender(outbox=PostgresOutbox(database, lease_seconds=0), bus=bus)
    assert sender.send_unsent(10) == (6, 4)
    assert count(database, "ledger.outbox", "sent_at IS NULL AND sent_position = 0") == 1
    bus.moody = False
    assert sender.send_unsent(10) == (6, 6)
    assert count(database, "ledger.outbox", "sent_at IS NULL") == 0
    assert len(bus.taken) == 10
    assert len(set(bus.taken)) == 6


def test_a_refused_neighbour_does_not_hold_a_sent_row_back(database: Database) -> None:
    ledger = PostgresLedger(database, outbox_lease_seconds=0)
    with ledger.session() as session:
        session.enqueue(make_parts([(ADA, SETTLEMENT, 1)]))
    _post(ledger, _orders(2))
    bus = MemoryEventBus(refuses=frozenset({"PaymentPosted"}))
    assert OutboxSender(outbox=PostgresOutbox(database), bus=bus).send_unsent(10) == (3, 1)
    assert count(database, "ledger.outbox", "sent_at IS NOT NULL AND batch_id IS NULL") == 1
    assert count(database, "ledger.outbox", "sent_at IS NULL AND batch_id IS NOT NULL") == 1


def test_a_sender_that_comes_late_moves_nothing_back_or_on(database: Database, ledger: PostgresLedger) -> None:
    """Its lease ran out and another went on: what the other has not sent yet must not count as sent."""
    _post(ledger, _orders(6))
    slow, quick = (PostgresOutbox(database, lease_seconds=0) for _ in range(2))
    (outbox_id,) = {row.outbox_id for row in slow.claim_unsent(2)}
    quick.claim_unsent(2)
    quick.mark_sent([outbox_id])
    third_and_fourth = quick.claim_unsent(2)
    slow.mark_sent([outbox_id])
    assert count(database, "ledger.outbox", "sent_position = 2 AND sent_at IS NULL") == 1
    quick.mark_sent([outbox_id])
    fifth_and_sixth = quick.claim_unsent(2)
    slow.mark_sent([outbox_id])
    quick.mark_sent([outbox_id])
    assert len({row.detail for row in third_and_fourth + fifth_and_sixth}) == 4
    assert count(database, "ledger.outbox", "sent_position = 6 AND sent_at IS NOT NULL") == 1


def test_the_relay_sends_whole_batches_in_rounds(
    database: Database, ledger: PostgresLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postrail.adapters.aws.ledger_functions._RELAY_EVENTS", 4)
    for number in (3, 9, 1):
        _post(ledger, _orders(number))
    bus = MemoryEventBus()
    sender = OutboxSender(outbox=PostgresOutbox(database), bus=bus)
    relay = OutboxRelay(sender=sender, telemetry=Telemetry("relay_outbox"))
    assert relay.handle({}) == {"sent": 13, "left": 0}
    assert len(set(bus.taken)) == 13
    assert relay.handle({}) == {"sent": 0, "left": 0}


def test_a_relay_ends_in_time_and_the_next_one_goes_on(
    database: Database, ledger: PostgresLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million events do not leave in one minute: the function ends before it is ended."""
    monkeypatch.setattr("postrail.adapters.aws.ledger_functions._RELAY_EVENTS", 2)
    _post(ledger, _orders(5))
    bus, ticks = MemoryEventBus(), iter([0.0, 1.0, 39.0, 41.0, 60.0, 61.0, 62.0])
    sender = OutboxSender(outbox=PostgresOutbox(database), bus=bus)
    relay = OutboxRelay(sender=sender, telemetry=Telemetry("relay_outbox"), seconds=lambda: next(ticks))
    assert relay.handle({}) == {"sent": 4, "left": 0}
    assert relay.handle({}) == {"sent": 1, "left": 0}
    assert len(set(bus.taken)) == 5
