"""Requests about holds: what they say, and what is wrong with them in themselves."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from postrail.domain.errors import ReasonCode
from postrail.domain.hold import CHANGE_KEY_LENGTH_MAX, ExtendHold, HoldKind, PlaceHold, ReleaseHold, is_hold_id

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOLD = "hld_0197f0a0c0de7abc8def00000000aaaa"
PAYMENT = "pay_0197f0a0c0de7abc8def00000000bbbb"
PLACE = PlaceHold(HOLD, "key", "customer:000001:gbp", "GBP", 1_000, NOW, NOW, payment_id=PAYMENT)


def test_a_sound_request_has_no_fault() -> None:
    assert PLACE.fault() is None
    assert ExtendHold(HOLD, "key", NOW, 1).fault() is None
    assert ExtendHold(HOLD, "key", NOW, expires_at=NOW).fault() is None
    assert ReleaseHold(HOLD, "k" * CHANGE_KEY_LENGTH_MAX, NOW).fault() is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount_minor": 0}, ReasonCode.INVALID_AMOUNT),
        ({"tolerance_minor": -1}, ReasonCode.INVALID_AMOUNT),
        ({"amount_minor": 2**63}, ReasonCode.AMOUNT_OVERFLOW),
        ({"tolerance_minor": 2**63}, ReasonCode.AMOUNT_OVERFLOW),
        ({"currency": "ABC"}, ReasonCode.UNKNOWN_CURRENCY),
        ({"hold_id": PAYMENT}, ReasonCode.INVALID_VALUE),
        ({"payment_id": HOLD}, ReasonCode.INVALID_VALUE),
        ({"change_key": ""}, ReasonCode.INVALID_VALUE),
        ({"change_key": "k" * (CHANGE_KEY_LENGTH_MAX + 1)}, ReasonCode.INVALID_VALUE),
        ({"change_key": "nul\x00"}, ReasonCode.INVALID_VALUE),
        ({"change_key": "capture:mine"}, ReasonCode.INVALID_VALUE),
    ],
)
def test_a_placement_that_is_wrong_in_itself_says_why(changes: dict[str, object], reason: ReasonCode) -> None:
    fault = PLACE._replace(**changes).fault()
    assert fault is not None
    assert fault.reason is reason


def test_an_extension_holds_more_or_longer_and_a_release_lets_something_go() -> None:
    faults = [
        ExtendHold(HOLD, "key", NOW).fault(),
        ExtendHold(HOLD, "key", NOW, -1).fault(),
        ReleaseHold(HOLD, "key", NOW, 0).fault(),
        ReleaseHold("hld_", "key", NOW).fault(),
    ]
    assert [fault.reason if fault else None for fault in faults] == [
        ReasonCode.INVALID_VALUE,
        ReasonCode.INVALID_AMOUNT,
        ReasonCode.INVALID_AMOUNT,
        ReasonCode.INVALID_VALUE,
    ]


def test_the_content_of_a_placement_is_whose_money_how_much_and_what_for() -> None:
    later = NOW + timedelta(minutes=5)
    again = PLACE._replace(hold_id=HOLD.replace("a", "c"), expires_at=later, occurred_at=later, change_key="other")
    assert again.fingerprint == PLACE.fingerprint
    others = [
        PLACE._replace(account_id="customer:000002:gbp"),
        PLACE._replace(currency="EUR"),
        PLACE._replace(amount_minor=1_001),
        PLACE._replace(tolerance_minor=1),
        PLACE._replace(kind=HoldKind.DISPUTE),
        PLACE._replace(payment_id=None),
    ]
    assert len({PLACE.fingerprint, *(other.fingerprint for other in others)}) == len(others) + 1


def test_the_content_of_a_change_is_the_hold_and_what_is_done_to_it() -> None:
    """One instant is one instant, in whatever time zone it is told."""
    in_paris = NOW.astimezone(timezone(timedelta(hours=1)))
    assert (
        ExtendHold(HOLD, "a", NOW, expires_at=NOW).fingerprint
        == ExtendHold(HOLD, "b", NOW, expires_at=in_paris).fingerprint
    )
    contents = [
        ExtendHold(HOLD, "key", NOW, 1),
        ExtendHold(HOLD, "key", NOW, 1, NOW),
        ExtendHold(HOLD, "key", NOW, 1, NOW + timedelta(microseconds=1)),
        ReleaseHold(HOLD, "key", NOW, 1),
        ReleaseHold(HOLD, "key", NOW),
        ReleaseHold(HOLD.replace("a", "c"), "key", NOW),
    ]
    assert len({each.fingerprint for each in contents}) == len(contents)


def test_the_form_of_a_holds_id() -> None:
    assert is_hold_id(HOLD)
    assert not any(map(is_hold_id, [PAYMENT, HOLD[:-1], HOLD + "0", HOLD.upper(), "", HOLD + "\n"]))
