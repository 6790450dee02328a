"""When payments are due: made before the first one leaves, the right number, at the right pace."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrail.load.schedule import BURST_SECONDS, Profile, due_times, offered_until

COUNTS = st.integers(1, 500)
RATES = st.floats(0.5, 5_000, allow_nan=False)


@given(st.sampled_from(list(Profile)), COUNTS, RATES)
def test_every_payment_has_its_time_and_none_is_before_another(profile, count, rate):
    due = due_times(profile, count, rate)
    assert len(due) == count
    assert due[0] == 0
    assert all(earlier <= later for earlier, later in pairwise(due))


@given(COUNTS, RATES)
def test_a_steady_load_keeps_its_rate(count, rate):
    due = due_times(Profile.STEADY, count, rate)
    assert due[-1] == pytest.approx((count - 1) / rate)


def test_bursts_send_ten_seconds_worth_at_once():
    due = due_times(Profile.BURST, 250, 10)
    assert due == [0.0] * 100 + [BURST_SECONDS] * 100 + [2 * BURST_SECONDS] * 50


def test_a_ramp_ends_at_its_rate_and_begins_at_a_tenth_of_it():
    due = due_times(Profile.RAMP, 5_500, 100)
    assert offered_until(due, 10 - 0.001) == 10 * 10
    assert 5_500 - offered_until(due, 90 - 0.001) == 100 * 10


@given(st.sampled_from(list(Profile)), COUNTS, RATES, st.floats(0, 100))
def test_what_is_offered_until_a_moment_is_what_is_due_by_then(profile, count, rate, moment):
    due = due_times(profile, count, rate)
    assert offered_until(due, moment) == sum(at <= moment for at in due)


@pytest.mark.parametrize(("count", "rate"), [(0, 1.0), (1, 0.0), (1, -1.0)])
def test_a_load_of_nothing_is_refused(count, rate):
    with pytest.raises(ValueError, match="at least one payment"):
        due_times(Profile.STEADY, count, rate)
