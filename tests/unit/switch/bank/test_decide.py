"""The order in which a card, a limit or an advice decides: the first reason that holds is the answer."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from postrail.contracts.payment import EntryMode
from switch.bank.decide import (
    CardState,
    PinVerdict,
    judge_advice,
    judge_card,
    judge_limits,
    pin_tries_after,
)
from switch.bank.requests import Acceptor, Request
from switch.ecosystem import Service

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

CARD = CardState(
    card_token="9999990000000001",
    account_id="customer:000001:gbp",
    product="debit-standard",
    expiry="2026-11",
    status="active",
    status_reason=None,
    services=["purchase", "cash", "refund"],
    payment_limit_minor=None,
    day_limit_minor=None,
    day_limit_count=None,
    hour_limit_count=None,
    has_pin=True,
    pin_tries=0,
    currency="GBP",
    account_status="open",
    day_count=0,
    day_minor=0,
    hour_count=0,
    countries=frozenset(),
)
REQUEST = Request(
    key="900100:000001:261120120000:T0000001:11",
    fingerprint="0" * 32,
    pan_lookup=b"x" * 32,
    message_type="1100",
    function_code="100",
    transaction_type="00",
    service=Service.PURCHASE,
    amount_minor=2_550,
    currency="GBP",
    expiry="2026-11",
    sequence_number=None,
    acquirer_id="900100",
    stan="000001",
    rrn="000000000001",
    terminal_id="T0000001",
    transmitted_at=NOW,
    entry_mode=EntryMode.CHIP,
    acceptor=Acceptor("SHOP", "Shop", None, "GB", "5411"),
    approval_code=None,
    is_advice=False,
    refused_in_stead=False,
    has_pin=False,
)


def judge(request: Request = REQUEST, card: CardState | None = CARD, pin: PinVerdict = PinVerdict.ABSENT) -> str | None:
    return judge_card(request, card, pin, now=NOW, pin_tries_max=3)


def test_a_card_is_good_until_the_end_of_its_month() -> None:
    """In November 2026 a card of 2026-11 is good, one of 2026-10 is not."""
    assert judge() is None
    assert judge(replace(REQUEST, expiry=None), replace(CARD, expiry="2026-10")) == "101"


# From the last reason to the first: each spoils the case further, and must be the new answer.
WORSE: list[tuple[str, dict[str, Any], dict[str, Any], PinVerdict]] = [
    ("119", {"service": Service.ECOMMERCE}, {}, PinVerdict.ABSENT),
    ("115", {"service": None}, {}, PinVerdict.ABSENT),
    ("117", {"has_pin": True}, {}, PinVerdict.WRONG),
    ("126", {"has_pin": True}, {}, PinVerdict.UNUSABLE),
    ("106", {"has_pin": True}, {"pin_tries": 3}, PinVerdict.UNUSABLE),
    ("104", {}, {"account_status": "frozen"}, PinVerdict.UNUSABLE),
    ("114", {}, {"account_status": "closed"}, PinVerdict.UNUSABLE),
    ("101", {"expiry": "2027-01"}, {}, PinVerdict.UNUSABLE),
    ("125", {}, {"status": "ordered"}, PinVerdict.UNUSABLE),
    ("104", {}, {"status": "blocked", "status_reason": "closed"}, PinVerdict.UNUSABLE),
]


def test_the_first_reason_that_holds_is_given() -> None:
    """Status before expiry, before account, before PIN, before service."""
    request, card = REQUEST, CARD
    for code, request_change, card_change, pin in WORSE:
        request, card = replace(request, **request_change), replace(card, **card_change)
        assert judge(request, card, pin) == code
    assert judge(request, None) == "118"


def test_a_frozen_account_takes_a_refund() -> None:
    """What is owed to a customer still arrives."""
    request = replace(REQUEST, transaction_type="20", service=Service.REFUND)
    assert judge(request, replace(CARD, account_status="frozen")) is None


def test_cash_needs_a_pin_of_a_card_that_has_one() -> None:
    """112 without, and nothing is asked of a card without a PIN."""
    request = replace(REQUEST, transaction_type="01", service=Service.CASH)
    assert judge(request) == "112"
    assert judge(request, replace(CARD, has_pin=False)) is None
    assert judge(replace(request, has_pin=True), pin=PinVerdict.RIGHT) is None


@pytest.mark.parametrize(
    ("limits", "amount", "code"),
    [
        ({}, 10**9, None),
        ({"payment_limit_minor": 100}, 100, None),
        ({"payment_limit_minor": 100}, 101, "121"),
        ({"day_limit_minor": 1_000, "day_minor": 900}, 100, None),
        ({"day_limit_minor": 1_000, "day_minor": 900}, 101, "121"),
        ({"day_limit_count": 3, "day_count": 2}, 1, None),
        ({"day_limit_count": 3, "day_count": 3}, 1, "123"),
        ({"hour_limit_count": 1, "hour_count": 1}, 1, "123"),
        ({"payment_limit_minor": 1, "day_limit_count": 1, "day_count": 1}, 2, "121"),
    ],
)
def test_limits_include_the_payment_itself(limits: dict[str, int], amount: int, code: str | None) -> None:
    """Up to the limit is within it."""
    assert judge_limits(replace(CARD, **limits), amount) == code


@pytest.mark.parametrize(
    ("pin", "before", "after"),
    [
        (PinVerdict.WRONG, 0, 1),
        (PinVerdict.WRONG, 2, 3),
        (PinVerdict.WRONG, 3, None),
        (PinVerdict.RIGHT, 2, 0),
        (PinVerdict.RIGHT, 0, None),
        (PinVerdict.RIGHT, 3, None),
        (PinVerdict.UNUSABLE, 1, None),
        (PinVerdict.ABSENT, 1, None),
    ],
)
def test_tries_are_counted_until_there_are_none_left(pin: PinVerdict, before: int, after: int | None) -> None:
    """After the third wrong one not even a right one brings them back."""
    assert pin_tries_after(replace(CARD, pin_tries=before), pin, 3) == after


def test_an_advice_is_taken_over_unless_there_is_nothing_to_debit() -> None:
    """A blocked card does not matter any more; a closed account, an unknown card and a refusal do."""
    told = replace(REQUEST, is_advice=True)
    assert judge_advice(told, replace(CARD, status="blocked", status_reason="stolen")) is None
    assert judge_advice(told, replace(CARD, account_status="closed")) == "900"
    assert judge_advice(told, None) == "900"
    assert judge_advice(replace(told, refused_in_stead=True), CARD) == "900"
