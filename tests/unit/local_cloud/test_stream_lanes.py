"""Records of a stream are dealt to lanes in whole batches, each item's records in one lane and in order."""

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from local_cloud.pipe_runner.stream_reader import in_lanes


def records(items: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {"dynamodb": {"Keys": {"payment_id": {"S": f"pay-{item}"}}, "SequenceNumber": str(number)}}
        for number, item in enumerate(items)
    ]


def item_of(record: Mapping[str, Any]) -> str:
    name: str = record["dynamodb"]["Keys"]["payment_id"]["S"]
    return name


def number_of(record: Mapping[str, Any]) -> int:
    return int(record["dynamodb"]["SequenceNumber"])


def test_no_more_batches_than_a_single_lane_would_have() -> None:
    """A page of ten batches on six lanes: four lanes have two batches, two have one, and all are full."""
    lanes = in_lanes(records(range(250)), batch_size=25, lanes_max=6)
    assert [len(lane) for lane in lanes] == [50, 50, 50, 50, 25, 25]


def test_the_last_batch_alone_is_smaller() -> None:
    """What is left over goes to one lane."""
    assert [len(lane) for lane in in_lanes(records(range(61)), batch_size=30, lanes_max=6)] == [30, 30, 1]


def test_a_record_follows_an_earlier_one_of_its_item() -> None:
    """Two lanes at once could bring the second before the first."""
    lanes = in_lanes(records([1, 2, 3, 1]), batch_size=2, lanes_max=2)
    assert [[number_of(record) for record in lane] for lane in lanes] == [[0, 1, 3], [2]]


def test_one_batch_and_no_record_need_no_second_lane() -> None:
    """Then they are delivered, and settled, one after the other."""
    assert len(in_lanes(records(range(10)), batch_size=10, lanes_max=6)) == 1
    assert in_lanes([], batch_size=10, lanes_max=6) == []


@given(
    items=st.lists(st.integers(0, 30), max_size=120),
    batch_size=st.integers(1, 20),
    lanes_max=st.integers(1, 8),
)
def test_every_record_is_in_one_lane_and_an_items_records_keep_their_order(
    items: list[int], batch_size: int, lanes_max: int
) -> None:
    """Whatever the page, nothing is lost or doubled, and lanes are not more than allowed."""
    lanes = in_lanes(records(items), batch_size, lanes_max)
    assert len(lanes) <= lanes_max
    assert sorted(number_of(record) for lane in lanes for record in lane) == list(range(len(items)))
    for lane in lanes:
        assert [number_of(record) for record in lane] == sorted(number_of(record) for record in lane)
    owners = [(item_of(record), index) for index, lane in enumerate(lanes) for record in lane]
    assert len(dict(owners)) == len(set(owners))
