"""Anchors as documents: what is written reads back, and what was changed does not."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrail.domain.anchor import Anchor, AnchorUnusable, LaneHead

NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
HEADS = (
    LaneHead(1, 12, 99, hashlib.sha256(b"one").digest(), NOON),
    LaneHead(2, 0, None, hashlib.sha256(b"two").digest(), None),
)
ANCHOR = Anchor(NOON, HEADS)


def _changed(**changes: Any) -> str:
    return json.dumps(json.loads(ANCHOR.to_json()) | changes)


def _changed_head(**changes: Any) -> str:
    first, *others = json.loads(ANCHOR.to_json())["heads"]
    return _changed(heads=[first | changes, *others])


@given(
    st.lists(
        st.builds(
            LaneHead,
            lane=st.integers(0, 2**15 - 1),
            lane_no=st.integers(0, 2**63 - 1),
            batch_id=st.none() | st.integers(0, 2**63 - 1),
            hash=st.binary(min_size=32, max_size=32),
            recorded_at=st.none() | st.datetimes(timezones=st.just(UTC)),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_an_anchor_reads_back_as_it_was_written(heads: list[LaneHead]) -> None:
    anchor = Anchor(NOON, tuple(heads))
    assert "\n" not in anchor.to_json()
    assert Anchor.from_json(anchor.to_json(), place="here") == anchor


def test_the_root_is_a_plain_hash_that_other_programs_can_compute() -> None:
    facts = b"".join(head.lane.to_bytes(2, "big") + head.lane_no.to_bytes(8, "big") + head.hash for head in HEADS)
    assert hashlib.sha256(facts).hexdigest() == ANCHOR.root


def test_the_root_covers_every_head() -> None:
    others = [
        replace(HEADS[0], hash=HEADS[1].hash),
        replace(HEADS[0], lane_no=13),
        replace(HEADS[0], lane=3),
    ]
    roots = {Anchor(NOON, (head, HEADS[1])).root for head in (HEADS[0], *others)}
    assert len(roots) == 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{",
        "\ud800",
        "[" * 100_000,
        _changed(format="another"),
        _changed(taken_at="yesterday"),
        _changed(taken_at="2026-11-20T12:00:00"),
        _changed(taken_at=None),
        _changed(root="0" * 64),
        _changed(heads=[]),
        _changed(heads=None),
        _changed_head(lane_no=13),
        _changed_head(lane_no="12"),
        _changed_head(lane_no=-1),
        _changed_head(lane_no=2**63),
        _changed_head(lane=2**15),
        _changed_head(lane=True),
        _changed_head(batch_id=1.5),
        _changed_head(hash="00"),
        _changed_head(hash=None),
        _changed_head(hash="g" * 64),
        _changed_head(recorded_at="x"),
    ],
)
def test_what_is_no_anchor_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(AnchorUnusable, match=r"^file, line 7,"):
        Anchor.from_json(text, place="file, line 7,")
