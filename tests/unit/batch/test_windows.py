"""What a worker remembers: exact while it fits, bounded always."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.builders.payments import PAYMENT_ID
from tests.fakes.system import NOON, FakeClock

from postrail.adapters.memory import MemoryVelocityBook
from postrail.batch.duplicate_window import DuplicateWindow
from postrail.batch.velocity_window import VelocityWindow
from postrail.domain.authorization import content_fingerprint
from postrail.ports import CardUse, Claim, ClaimStatus

ONE, OTHER = content_fingerprint("one"), content_fingerprint("other")
START = datetime(2026, 10, 1, tzinfo=UTC)


def claim(key: str, fingerprint: str = ONE, payment_id: str = PAYMENT_ID) -> Claim:
    return Claim(key, "owner", fingerprint, payment_id)


def test_the_first_sight_of_a_key_is_new_and_the_next_a_duplicate_or_a_conflict() -> None:
    window = DuplicateWindow(keys_max=100, clock=FakeClock())
    second = "pay_0197f0a0c0de7abc8def0123456789ff"
    results = window.claim([claim("a"), claim("a", payment_id=second), claim("a", OTHER), claim("b")])
    assert [result.status for result in results] == [
        ClaimStatus.NEW,
        ClaimStatus.DUPLICATE,
        ClaimStatus.CONFLICT,
        ClaimStatus.NEW,
    ]
    first = results[1].marker
    assert (first.payment_key, first.payment_id, first.fingerprint, first.seen_at) == ("a", PAYMENT_ID, ONE, NOON)


def test_the_window_remembers_at_least_half_of_its_keys_and_never_more_than_all() -> None:
    window = DuplicateWindow(keys_max=100, clock=FakeClock())
    for number in range(1_000):
        window.claim([claim(f"key-{number}")])
        assert len(window) <= 100
        if number >= 49:
            [result] = window.claim([claim(f"key-{number - 49}")])
            assert result.status is ClaimStatus.DUPLICATE
    [result] = window.claim([claim("key-0")])
    assert result.status is ClaimStatus.NEW, "what is forgotten here is the ledger's to know"


uses_strategy = st.lists(
    st.builds(
        CardUse,
        card_token=st.sampled_from(["9990000000000001", "9990000000000002"]),
        payment_id=st.sampled_from([f"pay_{number:032x}" for number in range(12)]),
        at=st.integers(0, 4 * 3600).map(lambda seconds: START + timedelta(seconds=seconds)),
    ),
    max_size=60,
)


@given(st.lists(uses_strategy, max_size=4))
def test_counts_are_those_of_a_book_that_sees_uses_one_by_one_however_they_are_batched(
    batches: list[list[CardUse]],
) -> None:
    window, book = VelocityWindow(uses_max=10_000), MemoryVelocityBook()
    for batch in batches:
        assert window.observe(batch) == [book.observe([use])[0] for use in batch]


def test_hours_that_lie_behind_leave_and_the_hour_in_hand_stays() -> None:
    window = VelocityWindow(uses_max=50)
    for hour in range(100):
        uses = [
            CardUse(f"token-{number}", f"pay-{hour}-{number}", START + timedelta(hours=hour)) for number in range(20)
        ]
        assert window.observe(uses) == [1] * 20
        assert len(window) <= 50
    again = [CardUse("token-0", "pay-x", START + timedelta(hours=99))]
    assert window.observe(again) == [2]


@given(uses_strategy, st.integers(1, 8))
def test_what_is_forgotten_does_not_depend_on_how_uses_are_batched(uses: list[CardUse], uses_max: int) -> None:
    whole, single = VelocityWindow(uses_max=uses_max), VelocityWindow(uses_max=uses_max)
    assert whole.observe(uses) == [single.observe([use])[0] for use in uses]
