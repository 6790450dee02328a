"""post: sequences are assembled whatever the order, posted whole, and refused without harm to their neighbours."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders.payments import make_account_details, make_approved, make_authorization, make_enrichment
from tests.fakes.ledger import FakeLedger
from tests.fakes.system import FakeClock, FakeIds

from postrail.contracts.envelope import next_event, start_event
from postrail.contracts.events import (
    Event,
    PaymentApproved,
    PaymentPosted,
    PaymentPostingFailed,
    PostingRequested,
)
from postrail.contracts.payment import LegData
from postrail.domain.errors import Permanent, ReasonCode, Retryable
from postrail.domain.ledger import AccountSpec, AccountStatus, AccountType
from postrail.domain.posting import Posting
from postrail.ports import PostingOrder, PostResult
from postrail.posting_inputs import JsonPostingInput
from postrail.products import load_products
from postrail.sampling.accounts import system_accounts
from postrail.stages.post import PostReport, build_posting, order_of, post
from postrail.stages.sequence_postings import sequence_postings

CUSTOMER = AccountSpec("customer:000001:gbp", AccountType.CUSTOMER, "GBP", AccountStatus.OPEN, "Ada Okafor")
IDS = FakeIds()
BOOK = load_products(Path(__file__).parents[3] / "config" / "products" / "default.yaml")
HOLD_ID = "hld_0197f0a0c0de7abc8def000000000001"
Part = Event[PostingRequested]


def make_parts(
    number: int = 1, *, account_id: str = CUSTOMER.account_id, hold_id: str | None = None, **overrides: Any
) -> list[Part]:
    """The events of one payment's sequence: principal and FX markup."""
    authorization = make_authorization(payment_id=f"pay_0197f0a0c0de7abc8def{number:012x}", hold_id=hold_id)
    enrichment = make_enrichment(account=make_account_details(account_id=account_id))
    approved = make_approved(authorization, enrichment, **{"payment_key": f"acq:test:{number}"} | overrides)
    cause = start_event(approved, correlation_id="run_0001", producer="test", clock=FakeClock(), ids=IDS)
    return requested_by(cause)


def requested_by(cause: Event[PaymentApproved]) -> list[Part]:
    (sequence,) = sequence_postings([cause.data], products=BOOK)
    if not isinstance(sequence, list):
        pytest.fail(sequence.reason)
    return [
        next_event(cause.metadata, "PaymentApproved", part, producer="test", clock=FakeClock(), ids=IDS)
        for part in sequence
    ]


def make_ledger(*accounts: AccountSpec) -> FakeLedger:
    return FakeLedger([*(accounts or (CUSTOMER,)), *system_accounts(["GBP"])])


def take(ledger: FakeLedger, parts: Sequence[Part], input_format: Any = None) -> PostReport:
    return post(parts, ledger=ledger, input_format=input_format or JsonPostingInput(), clock=FakeClock(), ids=IDS)


def with_legs(part: Part, *amounts: int) -> Part:
    """The same part with other amounts."""
    legs = tuple(
        LegData.model_construct(**leg.model_dump() | {"amount_minor": amount})
        for leg, amount in zip(part.data.part.legs, amounts, strict=True)
    )
    changed = part.data.model_copy(update={"part": part.data.part.model_copy(update={"legs": legs})})
    return part.model_copy(update={"data": changed})


class TestAssembly:
    def test_a_complete_sequence_is_posted_with_all_legs_in_one_transaction(self) -> None:
        ledger = make_ledger()
        report = take(ledger, make_parts())
        assert [result.status for result in report.posted] == ["posted"]
        (posting,) = ledger.state.transactions.values()
        assert [leg.amount_minor for leg in posting.legs] == [2193, 2193, 60, 60]
        assert ledger.state.balances[CUSTOMER.account_id] == -2253
        assert ledger.state.balances["settlement:scheme:gbp"] == 2193
        assert ledger.state.balances["income:fx-markup:gbp"] == 60

    def test_a_part_alone_waits_and_posts_nothing(self) -> None:
        ledger = make_ledger()
        first, _ = make_parts()
        report = take(ledger, [first])
        assert report == PostReport((), (), (first.data.sequence_id,), ())
        assert ledger.state.transactions == {}
        assert ledger.state.outbox == []

    def test_the_first_part_may_come_last(self) -> None:
        ledger = make_ledger()
        first, second = make_parts()
        take(ledger, [second])
        report = take(ledger, [first])
        assert [result.sequence_id for result in report.posted] == [first.data.sequence_id]

    def test_a_sequence_that_was_posted_is_not_posted_again(self) -> None:
        ledger = make_ledger()
        parts = make_parts()
        take(ledger, parts)
        report = take(ledger, parts)
        assert (report.posted, report.refused, report.events) == ((), (), ())
        assert len(ledger.state.transactions) == 1

    @given(seed=st.integers(0, 2**32), payments=st.integers(1, 5), batch=st.integers(1, 7), copies=st.integers(1, 3))
    def test_any_order_any_batching_and_any_repetition_post_each_payment_once(
        self, seed: int, payments: int, batch: int, copies: int
    ) -> None:
        ledger = make_ledger()
        parts = [part for number in range(1, payments + 1) for part in make_parts(number)] * copies
        random.Random(seed).shuffle(parts)
        posted: list[PostResult] = []
        for start in range(0, len(parts), batch):
            posted += take(ledger, parts[start : start + batch]).posted
        assert len(posted) == len(ledger.state.transactions) == payments
        assert set(ledger.sums_by_currency().values()) == {0}
        assert ledger.state.balances[CUSTOMER.account_id] == -2253 * payments


class TestEvents:
    def test_payment_posted_is_in_the_outbox_and_follows_from_the_last_part(self) -> None:
        ledger = make_ledger()
        first, second = make_parts()
        take(ledger, [second])
        report = take(ledger, [first])
        (event,) = ledger.state.outbox
        assert report.events == (event,)
        assert isinstance(event.data, PaymentPosted)
        assert event.metadata.causation_id == first.metadata.event_id
        assert event.metadata.correlation_id == "run_0001"
        assert [hop.type for hop in event.metadata.trail] == ["PaymentApproved", "PostingRequested"]
        assert event.data.transaction_id == report.posted[0].transaction_id
        assert [leg.amount_minor for leg in event.data.legs] == [2193, 2193, 60, 60]

    def test_events_pass_their_own_contract(self) -> None:
        ledger = make_ledger()
        take(ledger, [*make_parts(1), *make_parts(2, account_id="customer:nobody:gbp")])
        kinds = set()
        for event in ledger.state.outbox:
            type_ = type(event.data)
            assert Event[type_].model_validate_json(event.model_dump_json(exclude_none=True)) == event  # type: ignore[valid-type]
            kinds.add(type_)
        assert kinds == {PaymentPosted, PaymentPostingFailed}

    def test_nothing_stays_and_nothing_leaves_when_the_transaction_fails(self) -> None:
        ledger = make_ledger()
        parts = make_parts()
        ledger.fail_next_commit = True
        with pytest.raises(Retryable):
            take(ledger, parts)
        assert (ledger.state.transactions, ledger.state.sequences, ledger.state.outbox) == ({}, {}, [])
        assert len(take(ledger, parts).posted) == 1

    def test_the_posting_input_is_kept_with_the_transaction(self) -> None:
        ledger = make_ledger()
        report = take(ledger, make_parts())
        transaction_id = report.posted[0].transaction_id
        assert transaction_id.encode() in ledger.state.posting_inputs[transaction_id]

    def test_the_postings_time_is_that_of_the_authorization(self) -> None:
        ledger = make_ledger()
        take(ledger, make_parts())
        (posting,) = ledger.state.transactions.values()
        # 2026-10-01T09:15:31.250Z
        assert posting.occurred_at_us == 1_790_846_131_250_000


class TestRefusals:
    def test_a_payment_that_the_ledger_refuses_fails_and_its_neighbours_are_posted(self) -> None:
        ledger = make_ledger()
        bad = make_parts(2, account_id="customer:nobody:gbp")
        report = take(ledger, [*make_parts(1), *bad, *make_parts(3)])
        assert len(report.posted) == 2
        assert [(r.sequence_id, r.reason) for r in report.refused] == [
            (bad[0].data.sequence_id, ReasonCode.ACCOUNT_NOT_FOUND)
        ]
        (failed,) = [event.data for event in report.events if isinstance(event.data, PaymentPostingFailed)]
        assert (failed.payment_id, failed.reason_code) == (bad[0].data.payment_id, ReasonCode.ACCOUNT_NOT_FOUND)
        assert "customer:nobody:gbp" in failed.reason

    @pytest.mark.parametrize("status", [AccountStatus.FROZEN, AccountStatus.CLOSED])
    def test_an_account_that_is_not_open_takes_no_debit(self, status: AccountStatus) -> None:
        ledger = make_ledger(AccountSpec(CUSTOMER.account_id, AccountType.CUSTOMER, "GBP", status, "Ada Okafor"))
        report = take(ledger, make_parts())
        assert [result.reason for result in report.refused] == [ReasonCode.ACCOUNT_NOT_OPEN]

    def test_a_payment_key_is_posted_once_whatever_payment_id_brings_it(self) -> None:
        ledger = make_ledger()
        take(ledger, make_parts(1, payment_key="acq:same", fingerprint="0" * 32))
        again = take(ledger, make_parts(2, payment_key="acq:same", fingerprint="0" * 32))
        other = take(ledger, make_parts(3, payment_key="acq:same", fingerprint="1" * 32))
        assert [result.reason for result in again.refused] == [ReasonCode.ALREADY_POSTED]
        assert [result.reason for result in other.refused] == [ReasonCode.POSTING_CONFLICT]
        assert len(ledger.state.transactions) == 1

    def test_parts_that_contradict_each_other_close_their_sequence_and_no_other(self) -> None:
        ledger = make_ledger()
        first, second = make_parts(1)
        report = take(ledger, [first, with_legs(first, 999, 999), second, *make_parts(2)])
        assert [(r.sequence_id, r.reason) for r in report.refused] == [
            (first.data.sequence_id, ReasonCode.SEQUENCE_INCONSISTENT)
        ]
        assert len(report.posted) == 1
        failed = [event.data for event in report.events if isinstance(event.data, PaymentPostingFailed)]
        assert [data.reason_code for data in failed] == [ReasonCode.SEQUENCE_INCONSISTENT]
        assert take(ledger, [first, second]).posted == ()

    def test_legs_that_do_not_balance_are_refused_before_they_reach_the_journal(self) -> None:
        ledger = make_ledger()
        first, second = make_parts(1)
        report = take(ledger, [with_legs(first, 100, 99), second, *make_parts(2)])
        assert [result.reason for result in report.refused] == [ReasonCode.UNBALANCED]
        assert ledger.state.sequences[first.data.sequence_id].status == "refused"
        assert len(report.posted) == 1

    def test_a_booking_of_another_payment_is_refused(self) -> None:
        ledger = make_ledger()
        first, second = make_parts(1)
        stranger = make_parts(2)[0].data.booking
        swapped = first.model_copy(update={"data": first.data.model_copy(update={"booking": stranger})})
        report = take(ledger, [swapped, second])
        assert [result.reason for result in report.refused] == [ReasonCode.SEQUENCE_INCONSISTENT]

    def test_a_posting_input_that_cannot_be_built_refuses_its_payment_alone(self) -> None:
        class Picky:
            name = "picky"

            def build(self, posting: Posting, booking: PaymentApproved) -> bytes:
                if posting.payment_key == "acq:test:1":
                    raise Permanent(ReasonCode.AMOUNT_OVERFLOW, "too wide")
                return b"fine"

        report = take(make_ledger(), [*make_parts(1), *make_parts(2)], Picky())
        assert [result.reason for result in report.refused] == [ReasonCode.AMOUNT_OVERFLOW]
        assert len(report.posted) == 1

    def test_a_reason_longer_than_an_event_allows_is_cut(self) -> None:
        ledger = make_ledger()

        class Wordy:
            name = "wordy"

            def build(self, posting: Posting, booking: PaymentApproved) -> bytes:
                raise Permanent(ReasonCode.INVALID_VALUE, "x" * 500)

        (event,) = take(ledger, make_parts(), Wordy()).events
        assert len(event.data.reason) == 140

    def test_an_empty_batch_changes_nothing(self) -> None:
        ledger = make_ledger()
        assert take(ledger, []) == PostReport((), (), (), ())


class TestBuildPosting:
    """What the batch road uses: the same posting, made of parts that never were events."""

    def test_the_legs_of_all_parts_make_one_posting(self) -> None:
        parts = [part.data for part in make_parts()]
        posting = build_posting(parts, transaction_id="txn_1")
        assert [leg.amount_minor for leg in posting.legs] == [2193, 2193, 60, 60]
        assert sum(leg.direction.signed(leg.amount_minor) for leg in posting.legs) == 0
        assert (posting.transaction_id, posting.sequence_id) == ("txn_1", parts[0].sequence_id)
        assert posting.occurred_at_us == 1_790_846_131_250_000

    def test_it_is_the_posting_that_the_event_road_posts(self) -> None:
        ledger = make_ledger()
        parts = make_parts()
        take(ledger, parts)
        (posted,) = ledger.state.transactions.values()
        assert build_posting([part.data for part in parts], transaction_id=posted.transaction_id) == posted

    @pytest.mark.parametrize("kept", [slice(0, 1), slice(1, 2), slice(None, None, -1)])
    def test_parts_that_are_not_one_whole_sequence_are_refused(self, kept: slice) -> None:
        parts = [part.data for part in make_parts()][kept]
        with pytest.raises(Permanent) as refused:
            build_posting(parts, transaction_id="txn_1")
        assert refused.value.reason is ReasonCode.SEQUENCE_INCONSISTENT

    def test_parts_of_two_payments_are_refused(self) -> None:
        first, second = make_parts(1)[0].data, make_parts(2)[1].data
        with pytest.raises(Permanent) as refused:
            build_posting([first, second], transaction_id="txn_1")
        assert refused.value.reason is ReasonCode.SEQUENCE_INCONSISTENT

    def test_legs_that_are_off_by_one_are_refused(self) -> None:
        first, second = make_parts()
        with pytest.raises(Permanent) as refused:
            build_posting([with_legs(first, 2193, 2194).data, second.data], transaction_id="txn_1")
        assert refused.value.reason is ReasonCode.UNBALANCED


class TestOrders:
    """What the order asks of the ledger beside the posting itself."""

    def _order(self, **authorization: Any) -> PostingOrder:
        parts = [part.data for part in make_parts()]
        return order_of(build_posting(parts, transaction_id="txn_1"), make_authorization(**authorization))

    def test_the_hold_of_an_approval_is_captured_and_ended_and_the_posting_is_owed(self) -> None:
        order = self._order(hold_id=HOLD_ID)
        assert (order.hold_id, order.final_capture, order.owed) == (HOLD_ID, True, True)

    @pytest.mark.parametrize("message_type", ["1120", "1121", "1220"])
    def test_an_advice_is_owed_without_a_hold(self, message_type: str) -> None:
        """The network has answered for the issuer already: a refusal would change nothing."""
        order = self._order(message_type=message_type)
        assert (order.hold_id, order.final_capture, order.owed) == (None, False, True)

    def test_what_nobody_promised_is_posted_if_there_is_enough(self) -> None:
        order = self._order()
        assert (order.hold_id, order.final_capture, order.owed) == (None, False, False)

    def test_the_engine_gives_the_ledger_the_hold(self) -> None:
        """It travels in the booking that part 1 carries."""
        ledger = make_ledger()
        take(ledger, make_parts(hold_id=HOLD_ID))
        (order,) = ledger.state.orders.values()
        assert (order.hold_id, order.owed) == (HOLD_ID, True)
