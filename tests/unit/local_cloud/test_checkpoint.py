"""Checkpoints: whole or not at all, and only for the stream they were taken from."""

import json
import os
from pathlib import Path

import pytest

from local_cloud.pipe_runner.checkpoint import Checkpoint, CheckpointFiles, write_atomically

STREAM = "arn:aws:dynamodb:eu-west-2:000000000000:table/t/stream/2026-01-01"


def test_a_saved_checkpoint_is_loaded_by_another_process_of_the_same_stream(tmp_path: Path) -> None:
    checkpoint = Checkpoint(STREAM, "shard-1", opened_at=1.5).at("000123")
    CheckpointFiles(tmp_path, STREAM).save(checkpoint)
    files = CheckpointFiles(tmp_path, STREAM)
    assert files.load("shard-1") == checkpoint
    assert files.load("shard-2") is None


def test_a_stream_made_anew_does_not_take_over_the_old_ones_place(tmp_path: Path) -> None:
    CheckpointFiles(tmp_path, STREAM).save(Checkpoint(STREAM, "shard-1", 0.0, "5"))
    files = CheckpointFiles(tmp_path, f"{STREAM}-new")
    assert files.load("shard-1") is None
    assert files.discard_stale() == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_checkpoint_is_discarded(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"stream_arn": "x')
    assert CheckpointFiles(tmp_path, STREAM).discard_stale() == 1


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_dying_while_writing_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Whatever point the process dies at, a reader finds the whole old text or the whole new one."""
    path = tmp_path / "checkpoint.json"
    write_atomically(path, json.dumps({"at": 1}))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    if moment == "fsync":
        monkeypatch.setattr(os, "fsync", die)
    else:
        monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, json.dumps({"at": 2}))
    assert json.loads(path.read_text()) == {"at": 1}


def test_a_leftover_of_a_died_writer_is_no_checkpoint(tmp_path: Path) -> None:
    files = CheckpointFiles(tmp_path, STREAM)
    files.save(Checkpoint(STREAM, "shard-1", 0.0, "5"))
    (tmp_path / ".deadbeef.json.4242").write_text("{")
    assert files.discard_stale() == 0
    loaded = files.load("shard-1")
    assert loaded is not None
    assert loaded.sequence_number == "5"
