"""Events that follow from events: identity, trail, JSON."""

import json
from datetime import timedelta

from tests.builders.deliveries import OCCURRED_AT, make_event, make_id
from tests.builders.payments import make_accepted, make_approved, make_authorization, make_decision
from tests.fakes.system import NOON, FakeClock

from postrail.contracts.events import Event, PaymentAccepted
from postrail.stages.follow_up import EffectIds, encode_event, first_event, follow_up

HOUR = timedelta(hours=1)


def test_the_same_cause_gives_the_same_effect_the_same_id() -> None:
    """A redelivered event makes its follower again, not a second one; also when the event itself was made again."""
    clock = FakeClock()
    causes = [make_event(make_accepted(), event_id=make_id("evt", 1), occurred_at=at) for at in (NOON, NOON + HOUR)]
    first, again = (
        follow_up(cause.metadata, "PaymentAuthorized", make_accepted(), producer="test", clock=clock)
        for cause in causes
    )
    assert first.metadata.event_id == again.metadata.event_id


def test_causes_types_and_indexes_tell_effects_apart() -> None:
    """Nothing else may take another effect's id."""
    ids = {
        EffectIds(cause, 1, effect_type, index).new_id("evt")
        for cause in (make_id("evt", 1), make_id("evt", 2))
        for effect_type in ("PaymentApproved", "PostingRequested")
        for index in (0, 1, 2)
    }
    assert len(ids) == 12


def test_a_follower_carries_the_trail_of_its_cause() -> None:
    """The audit trail travels with the payment."""
    cause = make_event(make_accepted()).metadata
    event = follow_up(cause, "PaymentAccepted", make_approved(), producer="test", clock=FakeClock())
    assert event.metadata.causation_id == cause.event_id
    assert [(hop.type, hop.event_id) for hop in event.metadata.trail] == [("PaymentAccepted", cause.event_id)]


def test_a_record_that_is_no_event_starts_a_payment_under_its_own_id() -> None:
    """The stream record takes the cause's place: seen again, it gives the same first event."""
    first, again = (
        first_event(
            make_accepted(),
            owner="c4ca4238",
            caused_at=OCCURRED_AT,
            correlation_id="run_0001:test",
            producer="deduplicate",
            clock=FakeClock(),
        )
        for _ in range(2)
    )
    assert first.metadata.event_id == again.metadata.event_id
    assert first.metadata.trail == ()


def test_encoded_events_are_read_back_equal() -> None:
    """Leaving empty fields out loses nothing, and keeps the nulls that a decision saw."""
    decision = make_decision(inputs={"issuer_country": None, "amount_minor": 2550})
    accepted = make_event(make_accepted(make_authorization(card={"issuer_country": None})))
    approved = make_event(make_approved(decision=decision))
    assert Event[PaymentAccepted].model_validate_json(encode_event(accepted)) == accepted
    assert type(approved).model_validate_json(encode_event(approved)) == approved
    assert json.loads(encode_event(approved))["data"]["decision"]["inputs"]["issuer_country"] is None
