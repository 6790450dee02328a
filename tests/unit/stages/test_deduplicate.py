"""The duplicate check: keys, fingerprints, owners, parking."""

from datetime import timedelta
from typing import Any

import pytest
from tests.builders.deliveries import clear_card_number, make_id
from tests.builders.payments import TRANSMITTED_AT, make_authorization
from tests.fakes.system import FakeClock

from postrail.adapters.memory import MemoryDedupStore, MemoryParkingLot
from postrail.contracts.events import PaymentAccepted
from postrail.domain.errors import ReasonCode
from postrail.stages.deduplicate import Candidate, Duplicate, deduplicate, fingerprint_of, park, payment_key_of


def candidate(owner: str, body: str = "{}", **overrides: Any) -> Candidate:
    return Candidate(owner, make_authorization(**overrides), body)


def outcomes(results: list[PaymentAccepted | Duplicate]) -> list[str]:
    return [result.reason.value if isinstance(result, Duplicate) else "accepted" for result in results]


def new_store() -> MemoryDedupStore:
    return MemoryDedupStore(clock=FakeClock())


def test_a_payment_is_accepted_with_its_key_and_fingerprint() -> None:
    """What later stages and the ledger tell it by."""
    (accepted,) = deduplicate([candidate("a")], store=new_store())
    assert isinstance(accepted, PaymentAccepted)
    assert accepted.payment_key == "acq:12345678901:000123:20261001T091530Z:TERM0001:11"
    assert PaymentAccepted.model_validate(accepted.model_dump()) == accepted


def test_another_owner_with_the_same_payment_is_a_duplicate() -> None:
    """Also under a new payment id and a new approval code: a repeat may carry both."""
    store = new_store()
    deduplicate([candidate("a")], store=store)
    (verdict,) = deduplicate([candidate("b", payment_id=make_id("pay"), approval_code="ZZZZZZ")], store=store)
    assert isinstance(verdict, Duplicate)
    assert verdict.reason is ReasonCode.DUPLICATE
    assert (verdict.first.owner, verdict.first.payment_id) == ("a", make_authorization().payment_id)


@pytest.mark.parametrize(
    "overrides",
    [
        {"amount_minor": 2551},
        {"currency": "GBP"},
        {"transaction_type": "01"},
        {"card": {"token": "9999990000000002"}},
        {"merchant": {"acceptor_id": "OTHER"}},
    ],
    ids=str,
)
def test_the_same_key_with_other_content_is_a_conflict(overrides: dict[str, Any]) -> None:
    """It must not pass as a repeat of what was posted."""
    results = deduplicate([candidate("a"), candidate("b", **overrides)], store=new_store())
    assert outcomes(results) == ["accepted", "CONFLICT"]


@pytest.mark.parametrize(
    "overrides",
    [
        {"acquirer_id": "99"},
        {"stan": "000124"},
        {"terminal_id": "TERM0002"},
        {"transmission_at": TRANSMITTED_AT + timedelta(seconds=1)},
        {"message_type": "1200"},
        {"idempotency_key": "caller-key-1"},
    ],
    ids=str,
)
def test_another_key_is_another_payment(overrides: dict[str, Any]) -> None:
    """Each of the acquirer's fields tells payments apart, and so does the caller's own key."""
    results = deduplicate([candidate("a"), candidate("b", **overrides)], store=new_store())
    assert outcomes(results) == ["accepted", "accepted"]


def test_a_repeat_and_an_advice_have_the_key_of_their_request() -> None:
    """1101 and 1120 speak of the payment of 1100."""
    assert len({payment_key_of(make_authorization(message_type=mti)) for mti in ("1100", "1101", "1120")}) == 1


def test_the_callers_key_takes_the_place_of_the_acquirers_fields() -> None:
    """Two messages under one idempotency key are one payment, whatever the terminal wrote."""
    first = candidate("a", idempotency_key="caller-key-1")
    again = candidate("b", idempotency_key="caller-key-1", stan="999999")
    assert outcomes(deduplicate([first, again], store=new_store())) == ["accepted", "DUPLICATE"]


def test_the_same_owner_may_ask_again() -> None:
    """What followed its first pass may never have happened."""
    store = new_store()
    assert outcomes(deduplicate([candidate("a")], store=store)) == ["accepted"]
    assert outcomes(deduplicate([candidate("a"), candidate("a")], store=store)) == ["accepted", "accepted"]


def test_the_same_owner_with_other_content_is_a_conflict() -> None:
    """An event id that is used twice is no licence to change the amount."""
    results = deduplicate([candidate("a"), candidate("a", amount_minor=1)], store=new_store())
    assert outcomes(results) == ["accepted", "CONFLICT"]


def test_repeats_within_a_batch_are_judged_in_order() -> None:
    """The first one wins, as it would over two batches."""
    results = deduplicate([candidate(owner) for owner in ("b", "a", "b")], store=new_store())
    assert outcomes(results) == ["accepted", "DUPLICATE", "accepted"]


def test_after_the_window_the_key_is_free_again() -> None:
    """The filter is windowed; that a payment is posted once for ever is the ledger's business."""
    clock = FakeClock()
    store = MemoryDedupStore(clock=clock, window_hours=1)
    deduplicate([candidate("a")], store=store)
    clock.advance(timedelta(hours=1, seconds=1))
    assert outcomes(deduplicate([candidate("b")], store=store)) == ["accepted"]


def test_duplicates_are_parked_scrubbed_and_once() -> None:
    """People look at parked events; a retry parks the same object."""
    store, lot, clock = new_store(), MemoryParkingLot(), FakeClock()
    body = f'{{"note": "{clear_card_number()}"}}'
    results = deduplicate([candidate("a"), candidate("b", body)], store=store)
    duplicates = [result for result in results if isinstance(result, Duplicate)]
    first, again = park(duplicates, parking_lot=lot, clock=clock), park(duplicates, parking_lot=lot, clock=clock)
    assert first == again
    assert (first[0].first_payment_id, first[0].reason_code) == (make_authorization().payment_id, ReasonCode.DUPLICATE)
    (parked,) = lot.parked.values()
    assert clear_card_number() not in parked.body.decode()


def test_the_fingerprint_leaves_out_what_a_repeat_may_change() -> None:
    """Payment id, approval code, entry mode and times are not what a payment is."""
    repeat = make_authorization(payment_id=make_id("pay"), approval_code="000000", rrn="000000000000")
    assert fingerprint_of(repeat) == fingerprint_of(make_authorization())


def test_the_issuers_hold_is_no_content_of_a_payment() -> None:
    """A payment that comes with its hold from the issuer and without it from a file is the same payment."""
    held = make_authorization(hold_id="hld_0197f0a0c0de7abc8def000000000001")
    assert fingerprint_of(held) == fingerprint_of(make_authorization())
    assert payment_key_of(held) == payment_key_of(make_authorization())
