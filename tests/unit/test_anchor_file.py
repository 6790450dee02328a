"""Anchors in a local file."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from postrail.adapters.files.anchors import AnchorFile
from postrail.domain.anchor import Anchor, AnchorUnusable, LaneHead

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ANCHORS = [Anchor(NOON, (LaneHead(1, number, 7, bytes(32), NOON),)) for number in range(3)]


def test_anchors_are_added_at_the_end_and_read_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "anchors.jsonl"
    for anchor in ANCHORS:
        assert AnchorFile(path).keep(anchor) == str(path)
    assert list(AnchorFile(path).read()) == ANCHORS
    assert len(path.read_text().splitlines()) == 3


def test_a_line_that_was_cut_off_does_not_swallow_the_next_anchor(tmp_path: Path) -> None:
    """It stays where it is and is named: nobody takes a damaged file for a sound one."""
    path = tmp_path / "anchors.jsonl"
    AnchorFile(path).keep(ANCHORS[0])
    path.write_bytes(path.read_bytes()[:-30])
    AnchorFile(path).keep(ANCHORS[1])
    assert path.read_text().splitlines()[1] == ANCHORS[1].to_json()
    with pytest.raises(AnchorUnusable, match="line 1"):
        list(AnchorFile(path).read())


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_a_file_without_anchors_proves_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "anchors.jsonl"
    path.write_bytes(content)
    with pytest.raises(AnchorUnusable, match="holds no anchor"):
        list(AnchorFile(path).read())


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "anchors.jsonl"
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(AnchorUnusable, match="line 1"):
        list(AnchorFile(path).read())


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere" / "anchors.jsonl"
    with pytest.raises(AnchorUnusable, match="cannot be written"):
        AnchorFile(missing).keep(ANCHORS[0])
    with pytest.raises(AnchorUnusable, match="cannot be read"):
        list(AnchorFile(missing).read())
