"""What an issuer approved is posted, whatever became of its hold and whatever is available; unless it was undone."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.ledger.hold_support import (
    IN_A_WEEK,
    NOW,
    capture,
    check_holds,
    place_request,
    release_request,
    standing,
)
from tests.integration.ledger.support import (
    ADA,
    BEN,
    IDS,
    SETTLEMENT,
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
from postrail.adapters.postgres.reversals import PostgresReversals
from postrail.adapters.postgres.verify import verify
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.hold import HoldStatus
from postrail.ports import HoldOutcome, PostingOrder, PostResult, PostStatus


@pytest.fixture
def holds(database: Database) -> Iterator[PostgresHolds]:
    """Ada has 1,000.00 and no overdraft; whatever a test does, holds and books add up."""
    open_accounts(database)
    PostgresAccounts(database).set_overdraft_limit(ADA, 0)
    yield PostgresHolds(database)
    check_holds(database)
    report = verify(database)
    assert report.clean, report.differences


def _placed(holds: PostgresHolds, amount_minor: int = 1_000) -> str:
    (result,) = holds.place([place_request(amount_minor=amount_minor)])
    assert result.outcome is HoldOutcome.DONE
    return result.hold_id


def _owed(amount_minor: int, hold_id: str | None = None) -> PostingOrder:
    """What the posting engine makes of an approval: it ends the hold."""
    if hold_id is not None:
        return replace(capture(hold_id, amount_minor, final=True), owed=True)
    return replace(make_order(debit(ADA, amount_minor), credit(SETTLEMENT, amount_minor)), owed=True)


def _paid_in(amount_minor: int) -> PostingOrder:
    return make_order(debit(SETTLEMENT, amount_minor), credit(ADA, amount_minor))


def _post(ledger: PostgresLedger, *orders: PostingOrder) -> list[PostResult]:
    return post_orders(ledger, *orders)


def _overdrawn(database: Database) -> int:
    (row,) = database.fetch(
        "SELECT b.overdrawn_minor FROM ledger.balances AS b JOIN ledger.accounts AS a USING (account_no)"
        " WHERE a.account_id = $1",
        ADA,
    )
    return int(row["overdrawn_minor"])


# --- the hold ---


def test_an_approval_captures_its_hold_and_ends_it(
    holds: PostgresHolds, ledger: PostgresLedger, database: Database
) -> None:
    hold_id = _placed(holds, 1_500)
    (result,) = _post(ledger, _owed(1_000, hold_id))
    assert result.status is PostStatus.POSTED
    assert standing(database) == (99_000, 0, 0, 99_000)
    (hold,) = holds.find([hold_id])
    assert (hold.status, hold.captured_minor) == (HoldStatus.CAPTURED, 1_000)


def test_what_the_posting_takes_over_the_hold_is_added_to_it(
    holds: PostgresHolds, ledger: PostgresLedger, database: Database
) -> None:
    """A rate that moved, a fee that came on top: the history of the hold shows by how much."""
    hold_id = _placed(holds, 1_000)
    (result,) = _post(ledger, _owed(1_250, hold_id))
    assert result.status is PostStatus.POSTED
    assert standing(database) == (98_750, 0, 0, 98_750)
    (hold,) = holds.find([hold_id])
    assert (hold.status, hold.amount_minor, hold.captured_minor) == (HoldStatus.CAPTURED, 1_250, 1_250)
    assert [(each.change, each.amount_minor, each.held_minor) for each in holds.history(hold_id)] == [
        ("place", 1_000, 1_000),
        ("extend", 250, 0),
        ("capture", 1_250, -1_000),
    ]


def test_an_approval_is_posted_although_its_hold_expired(
    holds: PostgresHolds, ledger: PostgresLedger, database: Database
) -> None:
    """The issuer approved, so it owes the money; that the hold is gone means only that none was set aside."""
    hold_id = _placed(holds, 1_000)
    assert holds.expire(IN_A_WEEK + timedelta(days=1), limit=10) == [hold_id]
    (result,) = _post(ledger, _owed(1_000, hold_id))
    assert result.status is PostStatus.POSTED
    assert standing(database) == (99_000, 0, 0, 99_000)
    (hold,) = holds.find([hold_id])
    assert (hold.status, hold.captured_minor) == (HoldStatus.EXPIRED, 0)


def test_an_approval_that_was_undone_is_not_posted(
    holds: PostgresHolds, ledger: PostgresLedger, database: Database
) -> None:
    """A reversal released the hold: net zero, with a reason of its own that nobody is called for."""
    hold_id = _placed(holds, 1_000)
    holds.change([release_request(hold_id)])
    (result,) = _post(ledger, _owed(1_000, hold_id))
    assert (result.status, result.reason) == (PostStatus.REFUSED, ReasonCode.HOLD_RELEASED)
    assert standing(database) == (100_000, 0, 0, 100_000)


def test_a_hold_pays_once(holds: PostgresHolds, ledger: PostgresLedger, database: Database) -> None:
    hold_id = _placed(holds, 1_000)
    first, second = _post(ledger, _owed(1_000, hold_id), _owed(1_000, hold_id))
    assert first.status is PostStatus.POSTED
    assert (second.status, second.reason) == (PostStatus.REFUSED, ReasonCode.HOLD_NOT_ACTIVE)
    assert standing(database) == (99_000, 0, 0, 99_000)


@pytest.mark.parametrize("owed", [True, False])
def test_a_credit_captures_no_hold(
    holds: PostgresHolds, ledger: PostgresLedger, database: Database, owed: bool
) -> None:
    """A refund that names a hold is somebody's mistake: the hold stays, and people look at the refund."""
    hold_id = _placed(holds, 1_000)
    (result,) = _post(ledger, replace(_paid_in(1_000), hold_id=hold_id, final_capture=True, owed=owed))
    assert (result.status, result.reason) == (PostStatus.REFUSED, ReasonCode.HOLD_NOT_FOUND)
    assert standing(database) == (100_000, 1_000, 0, 99_000)


def test_a_hold_of_nobody_does_not_make_a_payment_owed(
    holds: PostgresHolds, ledger: PostgresLedger, database: Database
) -> None:
    """Whoever names a hold that the issuer did not place cannot overdraw an account by it."""
    (result,) = _post(ledger, _owed(500_000, IDS.new_id("hld")))
    assert (result.status, result.reason) == (PostStatus.REFUSED, ReasonCode.HOLD_NOT_FOUND)
    assert standing(database) == (100_000, 0, 0, 100_000)


# --- the limit ---


def test_an_owed_posting_overdraws_an_account_beyond_its_limit(
    holds: PostgresHolds, ledger: PostgresLedger, database: Database
) -> None:
    """A stand-in advice: the network has paid, whatever the account has."""
    (result,) = _post(ledger, _owed(100_300))
    assert result.status is PostStatus.POSTED
    assert standing(database) == (-300, 0, 0, -300)
    assert _overdrawn(database) == 300


def test_what_is_held_for_others_stays_held_while_an_owed_posting_overdraws(
    holds: PostgresHolds, ledger: PostgresLedger, database: Database
) -> None:
    other, own = _placed(holds, 60_000), _placed(holds, 40_000)
    (result,) = _post(ledger, _owed(41_000, own))
    assert result.status is PostStatus.POSTED
    assert standing(database) == (59_000, 60_000, 0, -1_000)
    (later,) = _post(ledger, _owed(60_000, other))
    assert later.status is PostStatus.POSTED
    assert standing(database) == (-1_000, 0, 0, -1_000)
    assert _overdrawn(database) == 1_000


def test_an_overdrawn_account_gives_nothing_more_and_takes_what_comes_in(
    holds: PostgresHolds, ledger: PostgresLedger, database: Database
) -> None:
    _post(ledger, _owed(100_300))
    (refused,) = _post(ledger, make_order(debit(ADA, 1), credit(SETTLEMENT, 1)))
    assert refused.reason is ReasonCode.INSUFFICIENT_FUNDS
    (held,) = holds.place([place_request(amount_minor=1)])
    assert held.reason is ReasonCode.INSUFFICIENT_FUNDS
    (paid,) = _post(ledger, _paid_in(200))
    (refused,) = _post(ledger, make_order(debit(ADA, 1), credit(SETTLEMENT, 1)))
    (owed,) = _post(ledger, _owed(50))
    assert [one.status for one in (paid, refused, owed)] == [PostStatus.POSTED, PostStatus.REFUSED, PostStatus.POSTED]
    assert (standing(database)[0], _overdrawn(database)) == (-150, 150)


def test_money_that_comes_in_makes_good_for_what_is_overdrawn(
    holds: PostgresHolds, ledger: PostgresLedger, database: Database
) -> None:
    """What was overdrawn once cannot be overdrawn again without being owed."""
    _post(ledger, _owed(100_300))
    _post(ledger, _paid_in(1_000))
    assert (standing(database)[0], _overdrawn(database)) == (700, 0)
    (refused,) = _post(ledger, make_order(debit(ADA, 701), credit(SETTLEMENT, 701)))
    assert refused.reason is ReasonCode.INSUFFICIENT_FUNDS


def test_a_new_limit_counts_for_what_is_overdrawn(
    holds: PostgresHolds, ledger: PostgresLedger, database: Database
) -> None:
    _post(ledger, _owed(100_300))
    accounts = PostgresAccounts(database)
    accounts.set_overdraft_limit(ADA, 200)
    assert _overdrawn(database) == 100
    accounts.set_overdraft_limit(ADA, None)
    assert _overdrawn(database) == 0


def test_what_overdrew_an_account_is_kept(holds: PostgresHolds, ledger: PostgresLedger, database: Database) -> None:
    _post(ledger, _owed(99_900))
    second, third = _post(ledger, _owed(300), _owed(50))
    rows = database.fetch(
        "SELECT ledger.id_text('txn', transaction_id) AS transaction_id, overdrawn_minor FROM ledger.overdrafts"
    )
    assert [tuple(row) for row in rows] == [(second.transaction_id, 200), (third.transaction_id, 250)]
    with pytest.raises(Permanent, match="what overdrew an account is kept"):
        database.execute("DELETE FROM ledger.overdrafts")


def test_a_credit_that_is_owed_back_is_taken_back_whatever_is_available(
    holds: PostgresHolds, ledger: PostgresLedger, database: Database
) -> None:
    """A refund was posted and spent, and then the acquirer reverses it."""
    (refund, spent) = _post(ledger, _paid_in(5_000), make_order(debit(ADA, 105_000), credit(SETTLEMENT, 105_000)))
    assert spent.status is PostStatus.POSTED
    reversals = PostgresReversals(database)
    (refused,) = reversals.reverse([refund.transaction_id], reason="undone", occurred_at=NOW, ids=IDS)
    assert refused.reason is ReasonCode.INSUFFICIENT_FUNDS
    (done,) = reversals.reverse([refund.transaction_id], reason="undone", occurred_at=NOW, ids=IDS, owed=True)
    assert done.status is PostStatus.POSTED
    assert (standing(database)[0], _overdrawn(database)) == (-5_000, 5_000)


def test_one_batch_of_owed_and_ordinary_orders_leaves_each_its_own_verdict(
    holds: PostgresHolds, ledger: PostgresLedger, database: Database
) -> None:
    hold_id = _placed(holds, 99_000)
    results = _post(
        ledger,
        make_order(debit(ADA, 1_001), credit(SETTLEMENT, 1_001)),
        _owed(100_500, hold_id),
        make_order(debit(BEN, 100), credit(SETTLEMENT, 100)),
        make_order(debit(ADA, 1), credit(SETTLEMENT, 1)),
        _paid_in(600),
        make_order(debit(ADA, 100), credit(SETTLEMENT, 100)),
    )
    assert [result.reason for result in results] == [
        ReasonCode.INSUFFICIENT_FUNDS,
        None,
        None,
        ReasonCode.INSUFFICIENT_FUNDS,
        None,
        None,
    ]
    assert (standing(database), _overdrawn(database)) == ((0, 0, 0, 0), 0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["owed", "plain", "in", "hold", "capture"]), st.integers(1, 90_000)),
        min_size=1,
        max_size=12,
    )
)
def test_however_orders_mix_nothing_but_what_is_owed_takes_an_account_below_its_limit(
    holds: PostgresHolds, ledger: PostgresLedger, database: Database, steps: list[tuple[str, int]]
) -> None:
    """A step that is not owed never leaves less available than before and than the limit; the rest always happens."""
    open_holds: list[str] = []
    for step, amount in steps:
        before = standing(database)[3]
        if step == "hold":
            (placed,) = holds.place([place_request(amount_minor=amount)])
            passed = placed.outcome is HoldOutcome.DONE
            open_holds += [placed.hold_id] if passed else []
        else:
            passed = _post(ledger, _step(step, amount, open_holds))[0].status is PostStatus.POSTED
        after = standing(database)[3]
        assert passed is (step not in {"plain", "hold"} or before - amount >= 0)
        assert _overdrawn(database) == max(0, -after)


def _step(step: str, amount_minor: int, open_holds: list[str]) -> PostingOrder:
    if step == "plain":
        return make_order(debit(ADA, amount_minor), credit(SETTLEMENT, amount_minor))
    if step == "in":
        return _paid_in(amount_minor)
    return _owed(amount_minor, open_holds.pop() if step == "capture" and open_holds else None)
