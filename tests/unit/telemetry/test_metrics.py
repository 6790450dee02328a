"""The metrics of the functions: lines that CloudWatch understands, with the numbers of what happened."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.builders.deliveries import clear_card_number, make_delivery, make_id, make_sqs_event, make_sqs_record
from tests.builders.emf import EmfLine, read_emf, totals
from tests.builders.payments import (
    make_accepted,
    make_approved,
    make_authorization,
    make_enriched,
    make_referred,
    make_rejected,
)
from tests.fakes.ledger import FakeLedger
from tests.fakes.system import NOON, FakeClock, FakeIds
from tests.unit.handlers.conftest import Bench
from tests.unit.stages.test_post import CUSTOMER, make_ledger, make_parts

from postrail.adapters.aws.ledger_functions import OutboxRelay, OutboxSender, PostingStage, SequenceWatch
from postrail.adapters.aws.observability import Telemetry
from postrail.adapters.memory import MemoryEventBus
from postrail.contracts.events import (
    Delivered,
    EventData,
    PaymentAccepted,
    PaymentApproved,
    PaymentAuthorized,
    PaymentEnriched,
)
from postrail.domain.errors import ReasonCode, Retryable
from postrail.ports import OutboxRow
from postrail.posting_inputs import JsonPostingInput
from postrail.stages.standardise import standardise

Told = Callable[[], list[EmfLine]]
OWN = "Postrail/postrail-test"


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """Reads the metrics that were written since the last time."""
    return lambda: read_emf(capsys.readouterr().out)


def authorized(number: int, **overrides: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {"payment_id": make_id("pay", number), "stan": f"{number:06d}"} | overrides
    return make_delivery(PaymentAuthorized(authorization=make_authorization(**fields)))


def accepted(number: int) -> dict[str, Any]:
    return make_delivery(make_accepted(make_authorization(payment_id=make_id("pay", number))))


def test_a_batch_tells_what_came_in_and_what_became_of_it(bench: Bench, told: Told) -> None:
    bench.stage(standardise, PaymentAccepted).handle(make_sqs_event(accepted(1), accepted(2), "no JSON"))
    lines = told()
    assert totals(lines, service="test") == {"Received": 3, "Published": 2, "Refused": 1, "Failed": 0}
    assert totals(lines, service="test", reason="MALFORMED_EVENT") == {"RefusedFor": 1}


def test_the_namespace_is_that_of_the_copy_and_the_service_that_of_the_stage(told: Told) -> None:
    Telemetry("enrich", namespace=OWN).batch(received=1, published=1, refused=0, failed=0)
    (line,) = told()
    assert (line.namespace, line.dimensions) == (OWN, {"service": "enrich"})


def test_duplicates_and_conflicts_are_told_apart(bench: Bench, told: Told) -> None:
    """The same payment twice is routine; the same key with another amount is somebody's mistake, or worse."""
    again = authorized(1, payment_id=make_id("pay", 8))
    changed = authorized(1, payment_id=make_id("pay", 9), amount_minor=999_999)
    bench.deduplicate().handle(make_sqs_event(authorized(1), authorized(2), again, changed))
    found = totals(told(), service="test")
    assert (found["Duplicates"], found["Conflicts"], found["Published"]) == (1, 1, 4)


def test_decisions_are_counted_and_rejections_by_their_reason(bench: Bench, told: Told) -> None:
    outcomes = [make_approved(), make_approved(), make_referred(), make_rejected(reason_code=ReasonCode.RULE_REJECTED)]

    def decide(payments: Sequence[PaymentEnriched]) -> Sequence[EventData]:
        return outcomes[: len(payments)]

    bench.stage(decide, PaymentEnriched).handle(make_sqs_event(*[make_delivery(make_enriched()) for _ in outcomes]))
    lines = told()
    found = totals(lines, service="test")
    assert (found["Approved"], found["Referred"], found["Rejected"]) == (2, 1, 1)
    assert found["Refused"] == 0, "a rejection is an answer; refused is what could not be worked on"
    assert totals(lines, service="test", reason="RULE_REJECTED") == {"RefusedFor": 1}


def test_what_comes_again_is_counted_when_it_is_done(bench: Bench, told: Told) -> None:
    """A list fails whole: neither its good payments nor its malformed one have left."""

    def throttled(payments: Sequence[PaymentAccepted]) -> Sequence[EventData]:
        raise Retryable("throttled")

    with pytest.raises(Retryable):
        bench.stage(throttled, PaymentAccepted).handle([make_sqs_record("{"), make_sqs_record(accepted(1))])
    lines = told()
    assert totals(lines, service="test")["Published"] == totals(lines, service="test")["Refused"] == 0
    assert [line for line in lines if "reason" in line.dimensions] == []


def test_no_card_number_becomes_a_dimension(bench: Bench, told: Told) -> None:
    """Reasons are a closed list: what a payment says of itself never makes a new series."""
    delivery = authorized(1)
    delivery["detail"]["data"]["authorization"]["card"]["token"] = clear_card_number()
    bench.deduplicate().handle(make_sqs_event(delivery))
    reasons = {line.dimensions["reason"] for line in told() if "reason" in line.dimensions}
    assert reasons == {"CLEAR_PAN"}


class _Outboxed:
    """A ledger whose committed rows the bus takes at once."""

    def __init__(self, ledger: FakeLedger) -> None:
        self.session = ledger.session

    def take_committed(self) -> list[OutboxRow]:
        return []


class _Outbox:
    def __init__(self, unsent: int = 0, oldest_seconds: float = 0.0) -> None:
        self._backlog = (unsent, oldest_seconds)

    def claim_unsent(self, limit: int) -> list[OutboxRow]:
        return []

    def mark_sent(self, outbox_ids: Sequence[int]) -> None:
        pytest.fail("nothing was claimed")

    def backlog(self) -> tuple[int, float]:
        return self._backlog


def _sender(outbox: _Outbox) -> OutboxSender:
    return OutboxSender(outbox=outbox, bus=MemoryEventBus())


def _post(numbers: range, clock: FakeClock, **overrides: Any) -> None:
    telemetry = Telemetry("post", namespace=OWN)
    stage = PostingStage(
        ledger=_Outboxed(make_ledger(CUSTOMER)),
        sender=_sender(_Outbox()),
        input_format=JsonPostingInput(),
        clock=clock,
        ids=FakeIds(),
        telemetry=telemetry,
    )
    parts = [part for number in numbers for part in make_parts(number, **overrides)]
    stage.take([Delivered.model_construct(detail_type="PostingRequested", detail=part) for part in parts])
    telemetry.batch(received=len(parts), published=0, refused=0, failed=0)


def test_each_posted_payment_tells_how_long_it_took_from_its_authorization(told: Told) -> None:
    """From `authorized_at`, the issuer's instant, to our clock after the commit."""
    clock = FakeClock(make_authorization().authorized_at + timedelta(milliseconds=2_345))
    _post(range(3), clock)
    (line,) = told()
    assert line.metrics["Posted"] == [3]
    assert line.metrics["PostingLatency"] == [2_345, 2_345, 2_345]


def test_more_than_a_hundred_latencies_take_several_lines_and_none_is_lost(told: Told) -> None:
    _post(range(250), FakeClock(make_authorization().authorized_at + timedelta(seconds=1)))
    lines = told()
    assert sum(len(line.metrics.get("PostingLatency", [])) for line in lines) == 250
    assert totals(lines, service="post")["Posted"] == 250


def test_a_clock_that_is_behind_the_terminals_gives_no_negative_latency(told: Told) -> None:
    _post(range(1), FakeClock(make_authorization().authorized_at - timedelta(seconds=5)))
    assert told()[0].metrics["PostingLatency"] == [0]


def test_a_posting_that_the_ledger_refuses_is_counted_with_its_reason(told: Told) -> None:
    _post(range(2), FakeClock(NOON), account_id="customer:999999:gbp")
    lines = told()
    found = totals(lines, service="post")
    assert found["PostingFailed"] == 2
    assert "Posted" not in found
    assert totals(lines, service="post", reason="ACCOUNT_NOT_FOUND") == {"RefusedFor": 2}


def test_the_relay_tells_what_is_left_in_the_outbox(told: Told) -> None:
    OutboxRelay(sender=_sender(_Outbox(17, 42.5)), telemetry=Telemetry("relay_outbox", namespace=OWN)).handle({})
    found = totals(told(), service="relay_outbox")
    assert (found["OutboxBacklog"], found["OutboxOldestSeconds"]) == (17, 42.5)


def test_the_watch_tells_of_late_sequences_even_when_each_was_said_before(told: Told) -> None:
    """An event is raised once; the alarm must stay as long as parts are missing."""

    class Said:
        def alert_overdue(self, **_: Any) -> list[OutboxRow]:
            return []

        def lateness(self, *, older_than_seconds: int) -> tuple[int, float]:
            return (3, 1_000.0 + older_than_seconds)

    watch = SequenceWatch(
        sequences=Said(),
        sender=_sender(_Outbox()),
        older_than_seconds=900,
        clock=FakeClock(),
        ids=FakeIds(),
        telemetry=Telemetry("watch_sequences", namespace=OWN),
    )
    watch.handle({})
    found = totals(told(), service="watch_sequences")
    assert (found["SequencesOverdue"], found["OldestSequenceSeconds"]) == (3, 1_900)


def test_approved_payments_of_another_type_of_event_are_not_counted(bench: Bench, told: Told) -> None:
    """Only decisions are; everything else is in Published."""

    def approve(payments: Sequence[PaymentApproved]) -> Sequence[EventData]:
        return [make_accepted() for _ in payments]

    bench.stage(approve, PaymentApproved).handle(make_sqs_event(make_delivery(make_approved())))
    assert set(totals(told(), service="test")) == {"Received", "Published", "Refused", "Failed"}


def test_where_metrics_are_disabled_nothing_is_written_or_gathered(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """Powertools alone would keep every value until it has a hundred, and write those."""
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
    telemetry = Telemetry("enrich", namespace=OWN)
    for _ in range(150):
        telemetry.refuse("UNKNOWN_ACCOUNT")
        telemetry.batch(received=1, published=0, refused=0, failed=0)
    assert told() == []
