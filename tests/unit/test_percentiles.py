"""Percentiles by nearest rank."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrail.percentiles import percentile


def test_no_values_have_no_percentile():
    assert percentile([], 50) is None


@pytest.mark.parametrize(("percent", "expected"), [(0, 15), (5, 15), (30, 20), (40, 20), (50, 35), (99, 50), (100, 50)])
def test_the_answer_is_the_value_at_the_nearest_rank(percent, expected):
    assert percentile([50, 15, 35, 20, 40], percent) == expected


def test_p99_of_a_hundred_values_leaves_one_above():
    assert percentile(range(1, 101), 99) == 99


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.floats(0, 100))
def test_at_least_so_many_percent_of_the_values_do_not_exceed_it(values, percent):
    answer = percentile(values, percent)
    assert answer in values
    assert sum(value <= answer for value in values) >= percent / 100 * len(values) - 1e-9
