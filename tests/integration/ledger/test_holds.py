"""Holds: what is promised is not available, and every request is done once."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from tests.integration.ledger.hold_support import (
    IN_A_WEEK,
    NOW,
    capture,
    check_holds,
    extend_request,
    place_request,
    release_request,
    standing,
)
from tests.integration.ledger.support import (
    ADA,
    BEN,
    CLOSED,
    EURO,
    FROZEN,
    IDS,
    SETTLEMENT,
    count,
    credit,
    debit,
    make_order,
    open_accounts,
    post_orders,
)

from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.holds import PostgresHolds
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.domain.errors import ReasonCode
from postrail.domain.hold import HoldKind, HoldStatus, PlaceHold
from postrail.domain.ledger import AccountStatus
from postrail.ports import HoldOutcome, HoldResult

BIGINT_MAX = 2**63 - 1


@pytest.fixture
def holds(database: Database) -> Iterator[PostgresHolds]:
    """Ada has 1,000.00 and no overdraft; whatever a test does, the holds add up."""
    open_accounts(database)
    PostgresAccounts(database).set_overdraft_limit(ADA, 0)
    yield PostgresHolds(database)
    check_holds(database)


def _place(holds: PostgresHolds, *requests: PlaceHold) -> list[HoldResult]:
    return holds.place(requests)


def _placed(holds: PostgresHolds, amount_minor: int = 1_000, **changes: object) -> str:
    (result,) = holds.place([place_request(amount_minor=amount_minor, **changes)])
    assert result.outcome is HoldOutcome.DONE
    return result.hold_id


# --- placing ---


def test_what_is_held_is_not_available_and_stays_posted(holds: PostgresHolds, database: Database) -> None:
    request = place_request(amount_minor=30_000, payment_id=IDS.new_id("pay"))
    assert _place(holds, request) == [HoldResult(HoldOutcome.DONE, request.hold_id, HoldStatus.ACTIVE, 30_000, 70_000)]
    assert standing(database) == (100_000, 30_000, 0, 70_000)
    (kept,) = holds.find([request.hold_id])
    assert (kept.account_id, kept.currency, kept.payment_id) == (ADA, "GBP", request.payment_id)
    assert (kept.kind, kept.expires_at, kept.closed_at) == (HoldKind.AUTHORIZATION, IN_A_WEEK, None)


def test_what_a_dispute_holds_is_locked(holds: PostgresHolds, database: Database) -> None:
    _placed(holds, 1_000)
    dispute = _placed(holds, 2_500, kind=HoldKind.DISPUTE)
    assert standing(database) == (100_000, 3_500, 2_500, 96_500)
    holds.change([release_request(dispute, 500)])
    assert standing(database) == (100_000, 3_000, 2_000, 97_000)


def test_holds_of_one_call_count_one_after_the_other(holds: PostgresHolds, database: Database) -> None:
    """The third does not fit any more; the fourth, which is smaller, does."""
    results = _place(holds, *(place_request(amount_minor=amount) for amount in (60_000, 30_000, 20_000, 10_000)))
    assert [result.reason for result in results] == [None, None, ReasonCode.INSUFFICIENT_FUNDS, None]
    assert [result.available_minor for result in results] == [40_000, 10_000, 10_000, 0]
    assert standing(database) == (100_000, 100_000, 0, 0)


def test_a_posting_cannot_take_what_is_held(holds: PostgresHolds, ledger: PostgresLedger) -> None:
    _placed(holds, 60_000)
    results = post_orders(
        ledger,
        make_order(debit(ADA, 40_001), credit(SETTLEMENT, 40_001)),
        make_order(debit(ADA, 40_000), credit(SETTLEMENT, 40_000)),
    )
    assert [result.reason for result in results] == [ReasonCode.INSUFFICIENT_FUNDS, None]


def test_an_account_without_a_limit_is_held_as_far_as_numbers_go(holds: PostgresHolds, database: Database) -> None:
    assert _place(holds, place_request(BEN, BIGINT_MAX))[0].outcome is HoldOutcome.DONE
    assert standing(database, BEN)[3] == 50_000 - BIGINT_MAX
    assert _place(holds, place_request(BEN, 1))[0].reason is ReasonCode.AMOUNT_OVERFLOW


def test_an_overdraft_limit_leaves_room_for_holds(holds: PostgresHolds, database: Database) -> None:
    PostgresAccounts(database).set_overdraft_limit(ADA, 5_000)
    results = _place(holds, place_request(amount_minor=105_001), place_request(amount_minor=105_000))
    assert [result.reason for result in results] == [ReasonCode.INSUFFICIENT_FUNDS, None]
    assert standing(database)[3] == -5_000


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (place_request("customer:999999:gbp"), ReasonCode.ACCOUNT_NOT_FOUND),
        (place_request(EURO, currency="GBP"), ReasonCode.CURRENCY_MISMATCH),
        (place_request(FROZEN), ReasonCode.ACCOUNT_NOT_OPEN),
        (place_request(CLOSED), ReasonCode.ACCOUNT_NOT_OPEN),
        (place_request(SETTLEMENT), ReasonCode.HOT_ACCOUNT),
        (place_request(amount_minor=100_001), ReasonCode.INSUFFICIENT_FUNDS),
        (place_request(amount_minor=0), ReasonCode.INVALID_AMOUNT),
        (place_request(tolerance_minor=-1), ReasonCode.INVALID_AMOUNT),
        (place_request(amount_minor=BIGINT_MAX + 1), ReasonCode.AMOUNT_OVERFLOW),
        (place_request(currency="XXQ"), ReasonCode.UNKNOWN_CURRENCY),
        (place_request(change_key="expire:me"), ReasonCode.INVALID_VALUE),
        (place_request(change_key="k" * 201), ReasonCode.INVALID_VALUE),
        (place_request(change_key=""), ReasonCode.INVALID_VALUE),
        (place_request(hold_id="hld_short", change_key="key"), ReasonCode.INVALID_VALUE),
        (place_request(payment_id="txn_0197f0a0c0de7abc8def00000000dddd"), ReasonCode.INVALID_VALUE),
    ],
    ids=lambda value: value.value if isinstance(value, ReasonCode) else "",
)
def test_a_hold_that_cannot_be_is_refused_alone_and_leaves_no_trace(
    holds: PostgresHolds, database: Database, request_: PlaceHold, reason: ReasonCode
) -> None:
    before, good, after = _place(holds, place_request(amount_minor=1), request_, place_request(amount_minor=2))
    assert (before.outcome, good.outcome, after.outcome) == (HoldOutcome.DONE, HoldOutcome.REFUSED, HoldOutcome.DONE)
    assert (good.reason, good.status) == (reason, None)
    assert good.detail
    assert standing(database) == (100_000, 3, 0, 99_997)
    assert count(database, "ledger.hold_changes") == 2


def test_a_call_of_nothing_and_a_call_of_bad_requests_only_are_answered(holds: PostgresHolds) -> None:
    assert holds.place([]) == []
    assert holds.change([]) == []
    assert [result.reason for result in holds.place([place_request(CLOSED), place_request("customer:9:gbp")])] == [
        ReasonCode.ACCOUNT_NOT_OPEN,
        ReasonCode.ACCOUNT_NOT_FOUND,
    ]


def test_a_call_of_nothing_that_is_known_is_answered(holds: PostgresHolds) -> None:
    unknown = IDS.new_id("hld")
    assert [result.reason for result in holds.place([place_request("customer:9:gbp")])] == [
        ReasonCode.ACCOUNT_NOT_FOUND
    ]
    assert [result.reason for result in holds.change([release_request(unknown), extend_request(unknown, 1)])] == [
        ReasonCode.HOLD_NOT_FOUND
    ] * 2
    assert holds.find([unknown, "hld_nonsense"]) == []
    assert holds.history(unknown) == []


# --- the same request again ---


def test_a_request_that_comes_again_names_the_first_hold_and_holds_nothing(
    holds: PostgresHolds, database: Database
) -> None:
    """A repetition makes new ids and times; who holds how much of what is the content."""
    first = place_request(amount_minor=2_000, change_key="key:1")
    again = place_request(amount_minor=2_000, change_key="key:1", expires_at=NOW + timedelta(days=1))
    _place(holds, first)
    holds.change([release_request(first.hold_id, 500)])
    assert _place(holds, again) == [HoldResult(HoldOutcome.REPEATED, first.hold_id, HoldStatus.ACTIVE, 1_500, 98_500)]
    assert standing(database)[1] == 1_500


@pytest.mark.parametrize(
    "changes",
    [{"amount_minor": 2_001}, {"account_id": BEN}, {"kind": HoldKind.DISPUTE}, {"tolerance_minor": 1}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_key_with_other_content_is_a_conflict(holds: PostgresHolds, changes: dict[str, object]) -> None:
    _placed(holds, 2_000, change_key="key:1")
    arguments = {"amount_minor": 2_000, "change_key": "key:1"} | changes
    assert _place(holds, place_request(**arguments))[0].reason is ReasonCode.HOLD_CONFLICT


def test_keys_and_ids_stand_for_one_change_of_one_kind(holds: PostgresHolds) -> None:
    hold_id = _placed(holds, 2_000, change_key="key:1")
    results = [
        *holds.change([extend_request(hold_id, 1, change_key="key:1")]),
        *holds.place([place_request(hold_id=hold_id, change_key="key:2")]),
        *holds.change([release_request(hold_id, 1, change_key="key:3")]),
        *holds.change([extend_request(hold_id, 1, change_key="key:3")]),
        *holds.change([release_request(hold_id, 2, change_key="key:3")]),
        *holds.place([place_request(change_key="key:3")]),
    ]
    assert [result.reason for result in results] == [
        ReasonCode.HOLD_CONFLICT,
        ReasonCode.HOLD_CONFLICT,
        None,
        *[ReasonCode.HOLD_CONFLICT] * 3,
    ]


def test_repetitions_and_conflicts_within_one_call_are_seen(holds: PostgresHolds, database: Database) -> None:
    first = place_request(amount_minor=100, change_key="key:1")
    results = holds.place(
        [
            first,
            place_request(amount_minor=100, change_key="key:1"),
            place_request(amount_minor=101, change_key="key:1"),
            place_request(amount_minor=7, hold_id=first.hold_id, change_key="key:2"),
        ]
    )
    assert [(result.outcome, result.reason) for result in results] == [
        (HoldOutcome.DONE, None),
        (HoldOutcome.REPEATED, None),
        (HoldOutcome.REFUSED, ReasonCode.HOLD_CONFLICT),
        (HoldOutcome.REFUSED, ReasonCode.HOLD_CONFLICT),
    ]
    assert standing(database)[1] == 100


def test_a_refusal_is_judged_anew_when_it_is_asked_again(holds: PostgresHolds, ledger: PostgresLedger) -> None:
    request = place_request(amount_minor=100_001)
    assert _place(holds, request)[0].reason is ReasonCode.INSUFFICIENT_FUNDS
    post_orders(ledger, make_order(debit(SETTLEMENT, 1), credit(ADA, 1)))
    assert _place(holds, request)[0].outcome is HoldOutcome.DONE


# --- extending and releasing ---


def test_a_hold_is_extended_by_money_by_time_or_by_both(holds: PostgresHolds, database: Database) -> None:
    hold_id = _placed(holds, 1_000)
    later = IN_A_WEEK + timedelta(days=3)
    results = holds.change(
        [
            extend_request(hold_id, 500),
            extend_request(hold_id, expires_at=later),
            extend_request(hold_id, 1, expires_at=later + timedelta(days=1)),
        ]
    )
    assert [result.remaining_minor for result in results] == [1_500, 1_500, 1_501]
    (kept,) = holds.find([hold_id])
    assert (kept.amount_minor, kept.expires_at) == (1_501, later + timedelta(days=1))
    assert standing(database)[1] == 1_501
    changes = holds.history(hold_id)
    assert [(each.change, each.amount_minor, each.held_minor) for each in changes] == [
        ("place", 1_000, 1_000),
        ("extend", 500, 500),
        ("extend", 0, 0),
        ("extend", 1, 1),
    ]


def test_extensions_keep_to_the_limit_one_after_the_other(holds: PostgresHolds) -> None:
    one, two = _placed(holds, 40_000), _placed(holds, 40_000)
    results = holds.change([extend_request(one, 15_000), extend_request(two, 5_001), extend_request(two, 5_000)])
    assert [result.reason for result in results] == [None, ReasonCode.INSUFFICIENT_FUNDS, None]
    assert [result.available_minor for result in results] == [5_000, 5_000, 0]


def test_what_is_released_makes_room_in_the_same_call(holds: PostgresHolds, database: Database) -> None:
    one, two = _placed(holds, 60_000), _placed(holds, 40_000)
    results = holds.change([extend_request(two, 1), release_request(one), extend_request(two, 60_000)])
    assert [result.reason for result in results] == [ReasonCode.INSUFFICIENT_FUNDS, None, None]
    assert standing(database) == (100_000, 100_000, 0, 0)


def test_a_release_in_part_lowers_what_can_be_captured(holds: PostgresHolds, ledger: PostgresLedger) -> None:
    hold_id = _placed(holds, 1_000)
    holds.change([release_request(hold_id, 400)])
    results = post_orders(ledger, capture(hold_id, 601), capture(hold_id, 600))
    assert [result.reason for result in results] == [ReasonCode.CAPTURE_EXCEEDS_HOLD, None]


def test_a_release_of_all_ends_the_hold(holds: PostgresHolds, database: Database, ledger: PostgresLedger) -> None:
    hold_id = _placed(holds, 1_000)
    assert holds.change([release_request(hold_id)])[0].status is HoldStatus.RELEASED
    assert standing(database) == (100_000, 0, 0, 100_000)
    (kept,) = holds.find([hold_id])
    assert kept.closed_at is not None
    results = [*holds.change([release_request(hold_id), extend_request(hold_id, 1)])]
    assert [(result.reason, result.detail) for result in results] == [
        (ReasonCode.HOLD_NOT_ACTIVE, f"hold {hold_id} is released")
    ] * 2
    assert post_orders(ledger, capture(hold_id, 1))[0].reason is ReasonCode.HOLD_NOT_ACTIVE


def test_a_change_that_comes_again_is_done_once_even_after_the_hold_ended(
    holds: PostgresHolds, database: Database
) -> None:
    hold_id = _placed(holds, 1_000)
    extension, release = extend_request(hold_id, 100), release_request(hold_id)
    done = holds.change([extension, extension, release, release, extension])
    assert [result.outcome for result in done] == [
        HoldOutcome.DONE,
        HoldOutcome.REPEATED,
        HoldOutcome.DONE,
        HoldOutcome.REPEATED,
        HoldOutcome.REPEATED,
    ]
    assert standing(database)[1] == 0


def test_changes_that_cannot_be_are_refused_alone(holds: PostgresHolds, database: Database) -> None:
    hold_id, other = _placed(holds, 1_000), _placed(holds, 1_000, account_id=BEN)
    PostgresAccounts(database).set_status(BEN, AccountStatus.FROZEN)
    results = holds.change(
        [
            release_request(hold_id, 1_001),
            release_request(hold_id, 0),
            extend_request(hold_id),
            extend_request(hold_id, -1),
            extend_request(IDS.new_id("hld"), 1),
            extend_request("hld_nonsense", 1),
            extend_request(other, 1),
            extend_request(other, expires_at=NOW),
            release_request(other, 1),
            extend_request(hold_id, BIGINT_MAX),
        ]
    )
    assert [result.reason for result in results] == [
        ReasonCode.RELEASE_EXCEEDS_HOLD,
        ReasonCode.INVALID_AMOUNT,
        ReasonCode.INVALID_VALUE,
        ReasonCode.INVALID_AMOUNT,
        ReasonCode.HOLD_NOT_FOUND,
        ReasonCode.INVALID_VALUE,
        ReasonCode.ACCOUNT_NOT_OPEN,
        None,
        None,
        ReasonCode.AMOUNT_OVERFLOW,
    ]
    assert standing(database)[1] == 1_000


# --- capturing ---


def test_a_capture_turns_what_was_held_into_what_is_posted(
    holds: PostgresHolds, database: Database, ledger: PostgresLedger
) -> None:
    hold_id = _placed(holds, 1_000)
    order = capture(hold_id, 1_000)
    assert post_orders(ledger, order)[0].reason is None
    assert standing(database) == (99_000, 0, 0, 99_000)
    (kept,) = holds.find([hold_id])
    assert (kept.status, kept.captured_minor, kept.remaining_minor) == (HoldStatus.CAPTURED, 1_000, 0)
    assert holds.history(hold_id)[-1].transaction_id == order.posting.transaction_id


def test_a_hold_is_captured_in_parts_of_one_batch_and_of_several(
    holds: PostgresHolds, database: Database, ledger: PostgresLedger
) -> None:
    hold_id = _placed(holds, 1_000)
    assert [result.reason for result in post_orders(ledger, capture(hold_id, 300), capture(hold_id, 200))] == [None] * 2
    assert standing(database) == (99_500, 500, 0, 99_000)
    results = post_orders(ledger, capture(hold_id, 501), capture(hold_id, 100, final=True), capture(hold_id, 1))
    assert [result.reason for result in results] == [
        ReasonCode.CAPTURE_EXCEEDS_HOLD,
        None,
        ReasonCode.HOLD_NOT_ACTIVE,
    ]
    assert standing(database) == (99_400, 0, 0, 99_400)


def test_a_tip_goes_over_the_hold_as_far_as_it_tolerates(
    holds: PostgresHolds, database: Database, ledger: PostgresLedger
) -> None:
    hold_id = _placed(holds, 1_000, tolerance_minor=200)
    results = post_orders(ledger, capture(hold_id, 1_201), capture(hold_id, 1_200))
    assert [result.reason for result in results] == [ReasonCode.CAPTURE_EXCEEDS_HOLD, None]
    assert standing(database) == (98_800, 0, 0, 98_800)


def test_a_tip_needs_money_that_is_available(holds: PostgresHolds, database: Database, ledger: PostgresLedger) -> None:
    """The tolerance is not held: what goes over the hold has to be there when it is captured."""
    hold_id = _placed(holds, 99_900, tolerance_minor=1_000)
    results = post_orders(ledger, capture(hold_id, 100_001), capture(hold_id, 100_000))
    assert [result.reason for result in results] == [ReasonCode.INSUFFICIENT_FUNDS, None]
    assert standing(database) == (0, 0, 0, 0)


def test_a_capture_debits_the_account_of_its_hold(holds: PostgresHolds, ledger: PostgresLedger) -> None:
    hold_id = _placed(holds, 1_000)
    results = post_orders(
        ledger,
        capture(hold_id, 100, account_id=BEN),
        capture(IDS.new_id("hld"), 100),
        capture("hld_of_another_bank", 100),
        capture(hold_id, 100),
    )
    assert [result.reason for result in results] == [*[ReasonCode.HOLD_NOT_FOUND] * 3, None]


def test_a_capture_that_comes_again_is_posted_once(
    holds: PostgresHolds, database: Database, ledger: PostgresLedger
) -> None:
    hold_id = _placed(holds, 1_000)
    order = capture(hold_id, 400)
    post_orders(ledger, order)
    assert post_orders(ledger, order)[0].reason is ReasonCode.ALREADY_POSTED
    assert standing(database) == (99_600, 600, 0, 99_000)


def test_a_captured_hold_cannot_be_released(holds: PostgresHolds, ledger: PostgresLedger) -> None:
    hold_id = _placed(holds, 1_000)
    post_orders(ledger, capture(hold_id, 1_000))
    (result,) = holds.change([release_request(hold_id)])
    assert (result.reason, result.detail) == (ReasonCode.HOLD_NOT_ACTIVE, f"hold {hold_id} is captured")


def test_the_rest_of_a_hold_that_was_captured_in_part_is_released(
    holds: PostgresHolds, database: Database, ledger: PostgresLedger
) -> None:
    hold_id = _placed(holds, 1_000)
    post_orders(ledger, capture(hold_id, 300))
    assert holds.change([release_request(hold_id, 701)])[0].reason is ReasonCode.RELEASE_EXCEEDS_HOLD
    assert holds.change([release_request(hold_id)])[0].status is HoldStatus.RELEASED
    assert standing(database) == (99_700, 0, 0, 99_700)
    assert holds.find([hold_id])[0].captured_minor == 300


# --- expiring ---


def test_holds_that_are_due_expire_oldest_first_and_others_stay(holds: PostgresHolds, database: Database) -> None:
    due = [_placed(holds, 100, expires_at=NOW - timedelta(hours=hours)) for hours in (1, 3, 2)]
    stays = _placed(holds, 100, expires_at=NOW + timedelta(microseconds=1))
    assert holds.expire(NOW, limit=2) == [due[1], due[2]]
    assert holds.expire(NOW, limit=2) == [due[0]]
    assert holds.expire(NOW, limit=2) == []
    assert [hold.status for hold in holds.find([*due, stays])] == [HoldStatus.EXPIRED] * 3 + [HoldStatus.ACTIVE]
    assert standing(database) == (100_000, 100, 0, 99_900)


def test_the_rest_of_a_hold_that_was_captured_in_part_expires(
    holds: PostgresHolds, database: Database, ledger: PostgresLedger
) -> None:
    hold_id = _placed(holds, 1_000, expires_at=NOW)
    post_orders(ledger, capture(hold_id, 400))
    assert holds.expire(NOW, limit=10) == [hold_id]
    assert standing(database) == (99_600, 0, 0, 99_600)
    (kept,) = holds.find([hold_id])
    assert (kept.status, kept.captured_minor) == (HoldStatus.EXPIRED, 400)
    (result,) = post_orders(ledger, capture(hold_id, 1))
    assert (result.reason, result.detail) == (ReasonCode.HOLD_NOT_ACTIVE, f"hold {hold_id} is expired")


def test_a_hold_that_is_due_holds_until_it_is_swept(holds: PostgresHolds, ledger: PostgresLedger) -> None:
    hold_id = _placed(holds, 1_000, expires_at=NOW - timedelta(days=1))
    assert post_orders(ledger, capture(hold_id, 1_000))[0].reason is None


# --- together with postings ---


def test_a_hold_placed_in_a_session_stands_or_falls_with_it(
    holds: PostgresHolds, database: Database, ledger: PostgresLedger
) -> None:
    def place_post_and_fail(*, fail: bool) -> None:
        with ledger.session() as session:
            hold_id = _placed(holds, 1_000)
            session.post([capture(hold_id, 1_000)])
            if fail:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place_post_and_fail(fail=True)
    assert standing(database) == (100_000, 0, 0, 100_000)
    assert count(database, "ledger.holds") == 0
    place_post_and_fail(fail=False)
    assert standing(database) == (99_000, 0, 0, 99_000)


def test_holds_are_listed_by_account_and_status(holds: PostgresHolds) -> None:
    mine = [_placed(holds, 100) for _ in range(3)]
    theirs = _placed(holds, 100, account_id=BEN)
    holds.change([release_request(mine[1])])
    listed = [hold.hold_id for hold in holds.list_holds(account_id=ADA, limit=10)]
    assert listed == mine
    active = holds.list_holds(status=HoldStatus.ACTIVE, limit=2)
    assert [hold.hold_id for hold in active] == [mine[0], mine[2]]
    assert [hold.hold_id for hold in holds.list_holds(after=active[-1].hold_id, limit=2)] == [theirs]
