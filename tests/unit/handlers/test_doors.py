"""The two doors and their one duplicate check; what bad input becomes at each."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from tests.builders.deliveries import (
    clear_card_number,
    make_delivery,
    make_id,
    make_sqs_event,
    make_stream_record,
)
from tests.builders.payments import make_authorization
from tests.unit.handlers.conftest import Bench

from postrail.contracts.base import EVENT_BYTES_MAX
from postrail.contracts.events import DuplicateParked, Event, PaymentAccepted, PaymentAuthorized
from postrail.contracts.payment import Authorization
from postrail.domain.errors import ReasonCode, Retryable
from postrail.ports import Claim, ClaimResult


def payment(number: int, **overrides: Any) -> Authorization:
    fields: dict[str, Any] = {"payment_id": make_id("pay", number), "stan": f"{number:06d}"}
    return make_authorization(**fields | overrides)


def authorized(number: int, **overrides: Any) -> dict[str, Any]:
    return make_delivery(PaymentAuthorized(authorization=payment(number, **overrides)))


def row(number: int, owner: str | None = None, **overrides: Any) -> dict[str, Any]:
    return make_stream_record(payment(number, **overrides), owner or f"record{number}")


def test_the_pipe_gets_the_details_of_accepted_payments_only(bench: Bench) -> None:
    """The Pipe puts them on the bus; the duplicate is parked, and said, by the function."""
    answer = bench.deduplicate().handle([row(1), row(2), row(1, "other", payment_id=make_id("pay", 9))])
    events = [Event[PaymentAccepted].model_validate_json(json.dumps(detail)) for detail in answer]
    assert [event.metadata.payment_id for event in events] == [make_id("pay", 1), make_id("pay", 2)]
    assert bench.published() == ["DuplicateParked"]
    parked = Event[DuplicateParked].model_validate_json(bench.bus.taken[0][1])
    assert (parked.data.payment_id, parked.data.first_payment_id) == (make_id("pay", 9), make_id("pay", 1))
    assert parked.data.reason_code is ReasonCode.DUPLICATE
    assert parked.data.parked_uri in bench.parking_lot.parked


def test_the_bus_door_publishes_what_it_accepts(bench: Bench) -> None:
    delivery = authorized(1)
    bench.deduplicate().handle(make_sqs_event(delivery, authorized(1)))
    assert bench.published() == ["PaymentAccepted", "DuplicateParked"]
    accepted = Event[PaymentAccepted].model_validate_json(bench.bus.taken[0][1])
    assert [hop.type for hop in accepted.metadata.trail] == ["PaymentAuthorized"]
    assert accepted.metadata.causation_id == delivery["detail"]["metadata"]["event_id"]


def test_one_payment_through_both_doors_is_accepted_once(bench: Bench) -> None:
    """Two doors, one check."""
    handler = bench.deduplicate()
    assert len(handler.handle([row(1)])) == 1
    handler.handle(make_sqs_event(authorized(1)))
    assert bench.published() == ["DuplicateParked"]


def test_a_redelivered_record_passes_with_the_same_event(bench: Bench) -> None:
    """The Pipe may fail after the function has answered: the retry must give the same again."""
    handler = bench.deduplicate()
    first, again = handler.handle([row(1)]), handler.handle([row(1)])
    assert first[0]["metadata"]["event_id"] == again[0]["metadata"]["event_id"]


def test_a_redelivered_duplicate_is_parked_and_said_once(bench: Bench) -> None:
    """Parking and saying so repeat the same object and the same event."""
    handler = bench.deduplicate()
    handler.handle([row(1)])
    for _ in range(2):
        assert handler.handle([row(1, "other")]) == []
    assert len(bench.parking_lot.parked) == 1
    assert bench.bus.taken[0] == bench.bus.taken[1]


def test_a_conflict_is_parked_as_one(bench: Bench) -> None:
    bench.deduplicate().handle(make_sqs_event(authorized(1), authorized(1, amount_minor=1)))
    parked = Event[DuplicateParked].model_validate_json(bench.bus.taken[1][1])
    assert parked.data.reason_code is ReasonCode.CONFLICT


class Throttled:
    """A dedup store that cannot answer."""

    def claim(self, claims: Sequence[Claim]) -> list[ClaimResult]:
        raise Retryable("throttled")


def test_a_store_that_cannot_answer_fails_the_list_and_the_batch(bench: Bench) -> None:
    handler = bench.deduplicate(store=Throttled())
    with pytest.raises(Retryable):
        handler.handle([row(1)])
    answer = handler.handle(make_sqs_event(authorized(1)))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}


def test_a_duplicate_that_cannot_be_said_fails_the_list(bench: Bench) -> None:
    """Else it would be parked, and nobody would know."""
    bench.bus.refuses = frozenset({"DuplicateParked"})
    with pytest.raises(Retryable):
        bench.deduplicate().handle([row(1), row(1, "other")])


# --- bad input -----------------------------------------------------------------------------------------------------

Change = Callable[[dict[str, Any]], object]

FLAWS: dict[str, tuple[Change, ReasonCode]] = {
    "unknown currency": (lambda a: a.update(currency="XXX"), ReasonCode.UNKNOWN_CURRENCY),
    "zero amount": (lambda a: a.update(amount_minor=0), ReasonCode.INVALID_AMOUNT),
    "negative amount": (lambda a: a.update(amount_minor=-100), ReasonCode.INVALID_AMOUNT),
    "unknown field": (lambda a: a.update(colour="red"), ReasonCode.UNKNOWN_FIELD),
    "missing field": (lambda a: a.pop("stan"), ReasonCode.MISSING_FIELD),
    "wrong type": (lambda a: a.update(amount_minor="2550"), ReasonCode.WRONG_TYPE),
    "clear card number as token": (lambda a: a["card"].update(token=clear_card_number()), ReasonCode.CLEAR_PAN),
    "clear card number as name": (lambda a: a["merchant"].update(name=clear_card_number()), ReasonCode.CLEAR_PAN),
    "oversize": (lambda a: a["merchant"].update(name="x" * EVENT_BYTES_MAX), ReasonCode.EVENT_TOO_LARGE),
    "declined": (lambda a: a.update(action_code="116"), ReasonCode.INVALID_VALUE),
}


@pytest.mark.parametrize(("change", "reason"), FLAWS.values(), ids=FLAWS)
def test_bad_events_end_in_the_dead_letters_with_a_reason(bench: Bench, change: Change, reason: ReasonCode) -> None:
    """The bus door: neighbours pass, nothing is left in the queue, no clear card number is kept."""
    bad = authorized(2)
    change(bad["detail"]["data"]["authorization"])
    assert bench.deduplicate().handle(make_sqs_event(authorized(1), bad, authorized(3))) == {"batchItemFailures": []}
    assert bench.published() == ["PaymentAccepted"] * 2
    (letter,) = bench.dead_letters.letters
    assert (letter.reason, letter.payment_id, letter.correlation_id) == (reason, make_id("pay", 2), "run_0001:test")
    assert clear_card_number() not in letter.body + letter.detail


@pytest.mark.parametrize(("change", "reason"), FLAWS.values(), ids=FLAWS)
def test_bad_rows_end_in_the_dead_letters_with_a_reason(bench: Bench, change: Change, reason: ReasonCode) -> None:
    """The table door: the Pipe gets the neighbours' details, and nothing to retry."""
    bad = row(2)
    image = bad["dynamodb"]["NewImage"]
    authorization = json.loads(image["authorization"]["S"])
    change(authorization)
    image["authorization"]["S"] = json.dumps(authorization)
    assert len(bench.deduplicate().handle([row(1), bad, row(3)])) == 2
    (letter,) = bench.dead_letters.letters
    assert (letter.reason, letter.payment_id, letter.correlation_id) == (reason, make_id("pay", 2), "run_0001:test")
    assert clear_card_number() not in letter.body + letter.detail


ROW_FLAWS: dict[str, tuple[Change, ReasonCode]] = {
    "no image": (lambda r: r["dynamodb"].pop("NewImage"), ReasonCode.MISSING_FIELD),
    "no stream data": (lambda r: r.update(dynamodb=None), ReasonCode.MISSING_FIELD),
    "no record id": (lambda r: r.update(eventID=""), ReasonCode.MISSING_FIELD),
    "no authorization": (lambda r: r["dynamodb"]["NewImage"].pop("authorization"), ReasonCode.MISSING_FIELD),
    "authorization no text": (
        lambda r: r["dynamodb"]["NewImage"].update(authorization={"M": {}}),
        ReasonCode.WRONG_TYPE,
    ),
    "authorization no JSON": (
        lambda r: r["dynamodb"]["NewImage"].update(authorization={"S": "{"}),
        ReasonCode.MALFORMED_EVENT,
    ),
    "no correlation id": (lambda r: r["dynamodb"]["NewImage"].pop("correlation_id"), ReasonCode.MISSING_FIELD),
    "correlation id with blanks": (
        lambda r: r["dynamodb"]["NewImage"].update(correlation_id={"S": "a b c d e f"}),
        ReasonCode.INVALID_VALUE,
    ),
    "card number as correlation id": (
        lambda r: r["dynamodb"]["NewImage"].update(correlation_id={"S": clear_card_number()}),
        ReasonCode.CLEAR_PAN,
    ),
    "another payment's id": (
        lambda r: r["dynamodb"]["NewImage"].update(payment_id={"S": make_id("pay", 77)}),
        ReasonCode.INVALID_VALUE,
    ),
}


@pytest.mark.parametrize(("change", "reason"), ROW_FLAWS.values(), ids=ROW_FLAWS)
def test_bad_records_have_their_reasons_too(bench: Bench, change: Change, reason: ReasonCode) -> None:
    """What is wrong around the authorization."""
    bad = row(2)
    change(bad)
    assert len(bench.deduplicate().handle([row(1), bad])) == 1
    (letter,) = bench.dead_letters.letters
    assert letter.reason is reason
    assert clear_card_number() not in str(letter)
