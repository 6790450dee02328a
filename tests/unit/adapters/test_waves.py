"""Batches in groups that repeat no name."""

from hypothesis import given
from hypothesis import strategies as st

from postrail.adapters.postgres.waves import split_into_waves

names = st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=3, unique=True).map(tuple), max_size=12)


def test_orders_that_share_nothing_are_one_group() -> None:
    assert split_into_waves([("a", "b"), ("c",), ("d", "e")]) == [[0, 1, 2]]
    assert split_into_waves([]) == []


def test_orders_that_share_a_name_come_one_after_the_other() -> None:
    assert split_into_waves([("a",), ("a", "b"), ("b",), ("c",), ("a",)]) == [[0, 3], [1], [2, 4]]


@given(names)
def test_every_order_comes_once_and_those_that_share_a_name_keep_their_order(orders: list[tuple[str, ...]]) -> None:
    waves = split_into_waves(orders)
    assert sorted(place for wave in waves for place in wave) == list(range(len(orders)))
    wave_of = {place: number for number, wave in enumerate(waves) for place in wave}
    for later, own in enumerate(orders):
        for earlier in range(later):
            if set(own) & set(orders[earlier]):
                assert wave_of[earlier] < wave_of[later]
