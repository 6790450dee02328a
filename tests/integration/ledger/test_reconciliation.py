"""Reconciliation against a real ledger: each kind of break is found once, and what agrees is none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.builders.payments import make_authorization
from tests.integration.ledger.hold_support import place_request
from tests.integration.ledger.support import ADA, SETTLEMENT, credit, debit, make_order, open_accounts, post_orders

from postrail.adapters.postgres.holds import PostgresHolds
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.outcomes import PostgresOutcomes
from postrail.adapters.postgres.reconciliation import PostgresReconciliation, Sides, Span
from postrail.domain.errors import Retryable
from postrail.domain.reconciliation import AuthorizedPayment, BreakKind, SettlementLine
from postrail.ports import RecordedOutcome

POSTED_AT = datetime.fromtimestamp(1_790_000_000, UTC)
"""When the orders of these tests were authorized."""
NOW = POSTED_AT + timedelta(days=5)
SPAN = Span(POSTED_AT - timedelta(days=1), POSTED_AT + timedelta(days=4), settlement_days=2)


@pytest.fixture
def books(database, ledger: PostgresLedger):
    """Open accounts, and a way to post payments; returns the authorization that belongs to each."""
    open_accounts(database)

    def post(amount_minor=1_000, **changes):
        order = make_order(debit(ADA, amount_minor), credit(SETTLEMENT, amount_minor), **changes)
        (result,) = post_orders(ledger, order)
        assert result.reason is None, result
        return authorized(order.posting, amount_minor)

    return post


def authorized(posting, amount_minor, **changes):
    facts = {
        "payment_id": posting.payment_id,
        "payment_key": posting.payment_key,
        "fingerprint": posting.fingerprint,
        "amount_minor": amount_minor,
        "currency": "GBP",
        "acceptor_id": "SHOP1",
        "correlation_id": "run",
        "authorized_at": POSTED_AT,
        "posts": True,
    }
    return AuthorizedPayment(**(facts | changes))


def never_posted(**changes):
    order = make_order()
    return authorized(order.posting, 1_000, **changes)


def line(payment, amount_minor=1_000, *, line_no=1, currency="GBP"):
    return SettlementLine(line_no, payment.payment_id, "", amount_minor, currency, "2026-09-22")


@pytest.fixture
def reconcile(postgres_dsn):
    numbers = iter(range(1_000))

    def run(authorizations=(), settlement=None, *, span=SPAN, now=NOW, **sides):
        reconciliation = PostgresReconciliation(postgres_dsn)
        run_id = f"rec_{next(numbers)}"
        given = Sides(authorizations, settlement=settlement, **{"authorizations_complete": True} | sides)
        outcome = reconciliation.compare(run_id, span, given, now=now)
        return outcome, reconciliation.breaks(run_id=run_id)

    return run


def kinds(breaks):
    return sorted(each.kind for each in breaks)


class TestAgreement:
    def test_sides_that_agree_have_no_breaks(self, books, reconcile):
        payments = [books(), books(2_500)]
        lines = [line(payments[0]), line(payments[1], 2_500, line_no=2)]
        outcome, breaks = reconcile(payments, lines)
        assert breaks == []
        assert outcome.sides == {"authorizations": 2, "ledger": 2, "ends": 0, "settlement": 2}

    def test_what_ended_otherwise_is_not_missing(self, books, reconcile, database):
        payment = never_posted()
        PostgresOutcomes(database).record([_outcome(payment, "PaymentRejected")])
        assert reconcile([payment])[1] == []

    def test_what_may_still_be_on_its_way_is_not_missing(self, books, reconcile):
        assert reconcile([never_posted()], now=POSTED_AT + timedelta(minutes=5))[1] == []

    def test_declined_and_resting_authorizations_need_no_posting(self, books, reconcile):
        assert reconcile([never_posted(posts=False)])[1] == []

    def test_a_payment_outside_the_time_is_not_looked_at(self, books, reconcile):
        assert reconcile([never_posted(authorized_at=POSTED_AT - timedelta(days=30))])[1] == []


class TestPipeline:
    def test_an_approval_that_went_nowhere_is_missing(self, books, reconcile):
        payment = never_posted()
        _, (found,) = reconcile([books(), payment])
        assert (found.kind, found.subject, found.found) == (BreakKind.MISSING, payment.payment_id, "no end")
        assert (found.amount_minor, found.currency) == (1_000, "GBP")

    def test_a_missing_payment_that_is_a_dead_letter_says_where(self, books, reconcile):
        payment = never_posted()
        _, (found,) = reconcile([payment], letters=[(payment.payment_id, "enrich")])
        assert found.found == "dead letter in enrich"

    def test_a_posting_that_nobody_authorized_is_extra(self, books, reconcile):
        payment = books()
        _, (found,) = reconcile([])
        assert (found.kind, found.subject) == (BreakKind.EXTRA, payment.payment_id)

    def test_a_payment_that_came_as_an_event_is_not_missed_in_the_table(self, books, reconcile):
        """The table has only what came through it."""
        books()
        assert reconcile([], authorizations_complete=False)[1] == []

    @pytest.mark.parametrize(
        ("changes", "kind"),
        [
            ({}, BreakKind.CONTENT),
            ({"amount_minor": 1}, BreakKind.AMOUNT),
            ({"currency": "JPY"}, BreakKind.CURRENCY),
        ],
        ids=["content", "amount", "currency"],
    )
    def test_what_was_posted_otherwise_than_authorized_is_found(self, books, reconcile, changes, kind):
        """The part of the sequence still says what the pipeline was told."""
        told = make_authorization()
        same = {"amount_minor": told.amount_minor, "currency": told.currency}
        payment = replace(books(), fingerprint="0" * 32, **(same | changes))
        _, (found,) = reconcile([payment])
        assert found.kind is kind

    def test_two_ends_of_one_payment_are_found(self, books, reconcile, database):
        payment = books()
        PostgresOutcomes(database).record([_outcome(payment, "PaymentReferred")])
        _, (found,) = reconcile([payment])
        assert (found.kind, found.expected, found.found) == (BreakKind.STATUS, "PaymentReferred", "posted")

    def test_a_declined_authorization_that_was_posted_is_found(self, books, reconcile):
        _, (found,) = reconcile([replace(books(), posts=False)])
        assert found.kind is BreakKind.STATUS

    def test_a_repeat_that_was_never_parked_is_a_duplicate_and_not_missing(self, books, reconcile):
        first = books()
        repeat = replace(first, payment_id=never_posted().payment_id)
        _, (found,) = reconcile([first, repeat])
        assert (found.kind, found.subject) == (BreakKind.DUPLICATE, repeat.payment_id)

    def test_a_hold_of_a_rejected_payment_is_unresolved(self, books, reconcile, database):
        payment = never_posted()
        request = place_request(payment_id=payment.payment_id, expires_at=NOW + timedelta(days=30))
        PostgresHolds(database).place([request])
        PostgresOutcomes(database).record([_outcome(payment, "PaymentRejected")])
        # Holds are looked at by when they were placed, which the database's clock says.
        now = datetime.now(UTC) + timedelta(days=1)
        _, (found,) = reconcile([payment], now=now, span=Span(POSTED_AT - timedelta(days=1), now))
        assert (found.kind, found.expected) == (BreakKind.HOLD_UNRESOLVED, "released: PaymentRejected")
        assert found.subject == request.hold_id


class TestSettlement:
    def test_a_posting_without_a_line_is_unsettled_once_it_should_be(self, books, reconcile):
        payment = books()
        assert kinds(reconcile([payment], [])[1]) == [BreakKind.UNSETTLED]
        assert reconcile([payment], [], now=POSTED_AT + timedelta(days=1))[1] == []

    def test_a_line_without_a_posting_is_found(self, books, reconcile):
        _, (found,) = reconcile([], [line(never_posted())])
        assert (found.kind, found.found) == (BreakKind.SETTLED_UNPOSTED, "line 1")

    def test_another_amount_is_found_and_the_difference_is_at_stake(self, books, reconcile):
        payment = books()
        _, (found,) = reconcile([payment], [line(payment, 1_010)])
        assert (found.kind, found.amount_minor) == (BreakKind.SETTLED_AMOUNT, 10)
        assert (found.expected, found.found) == ("1000 GBP", "1010 GBP")

    def test_a_difference_within_the_tolerance_is_none(self, books, reconcile):
        payment = books()
        assert reconcile([payment], [line(payment, 1_010)], span=replace(SPAN, tolerance_minor=10))[1] == []

    def test_another_currency_is_found(self, books, reconcile):
        payment = books()
        _, (found,) = reconcile([payment], [line(payment, currency="EUR")])
        assert found.kind is BreakKind.SETTLED_CURRENCY

    def test_several_lines_that_sum_up_settle_one_posting(self, books, reconcile):
        payment = books()
        parts = [line(payment, 400), line(payment, 600, line_no=2)]
        assert reconcile([payment], parts)[1] == []
        assert kinds(reconcile([payment], parts[:1])[1]) == [BreakKind.SETTLED_AMOUNT]

    def test_the_whole_amount_twice_is_settled_twice(self, books, reconcile):
        payment = books()
        _, (found,) = reconcile([payment], [line(payment), line(payment, line_no=2)])
        assert (found.kind, found.amount_minor) == (BreakKind.SETTLED_TWICE, 1_000)

    def test_a_merchants_total_settles_many_postings(self, books, reconcile):
        payments = [books(), books(500), books(250)]
        total = SettlementLine(1, "", "SHOP1", 1_750, "GBP", "2026-09-21")
        assert reconcile(payments, [total])[1] == []

    def test_a_total_leaves_out_what_has_a_line_of_its_own(self, books, reconcile):
        payments = [books(), books(500), books(250)]
        lines = [line(payments[0]), SettlementLine(2, "", "SHOP1", 750, "GBP", "2026-09-21")]
        assert reconcile(payments, lines)[1] == []

    def test_a_total_that_differs_is_one_break(self, books, reconcile):
        payments = [books(), books(500)]
        _, (found,) = reconcile(payments, [SettlementLine(1, "", "SHOP1", 1_600, "GBP", "2026-09-21")])
        assert (found.kind, found.amount_minor) == (BreakKind.SETTLED_AMOUNT, 100)

    def test_a_line_may_name_the_payments_key(self, books, reconcile):
        payment = books()
        assert reconcile([payment], [replace(line(payment), reference=payment.payment_key)])[1] == []


class TestBreaksAreKept:
    def test_running_again_changes_nothing(self, books, reconcile):
        payment = never_posted()
        (first,) = reconcile([payment])[1]
        (second,) = reconcile([payment])[1]
        assert (first.break_key, second.first_run, second.last_run) == (second.break_key, "rec_0", "rec_1")

    def test_a_break_that_is_gone_is_resolved(self, books, reconcile, postgres_dsn):
        payment = never_posted()
        reconcile([payment])
        reconcile([])
        (kept,) = PostgresReconciliation(postgres_dsn).breaks(kind=BreakKind.MISSING)
        assert kept.status == "resolved"

    def test_a_run_without_settlement_resolves_no_break_of_it(self, books, reconcile, postgres_dsn):
        payment = books()
        reconcile([payment], [])
        reconcile([payment])
        (kept,) = PostgresReconciliation(postgres_dsn).breaks(kind=BreakKind.UNSETTLED)
        assert kept.status == "open"

    def test_what_comes_back_is_open_again(self, books, reconcile, postgres_dsn):
        payment = never_posted()
        reconcile([payment])
        reconcile([])
        (again,) = reconcile([payment])[1]
        assert (again.status, again.first_run) == ("open", "rec_0")

    def test_a_run_that_breaks_off_leaves_nothing(self, books, reconcile, postgres_dsn):
        def broken():
            yield never_posted()
            raise OSError("the table went away")

        with pytest.raises(OSError, match="went away"):
            reconcile(broken())
        assert PostgresReconciliation(postgres_dsn).breaks() == []

    def test_a_database_that_is_away_is_said(self):
        with pytest.raises(Retryable, match="database is away"):
            PostgresReconciliation("postgresql://nobody@127.0.0.1:1/none").breaks()


def _outcome(payment, detail_type):
    return RecordedOutcome(
        payment_id=payment.payment_id,
        correlation_id="run",
        detail_type=detail_type,
        event_id=f"evt_{payment.payment_id[4:]}",
        occurred_at=POSTED_AT,
        reason_code="RULE_REJECTED",
        event="{}",
    )
