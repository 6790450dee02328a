"""`postrail bench`: what it measures adds up, and it says on what it was measured. Never how fast it is."""

import json

import pytest

from postrail.bench.stages import BATCH_SIZES, STAGES
from postrail.cli.main import run

COUNT = 120


def test_the_times_of_every_stage_come_for_each_batch_size(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that compares runs finds each stage once for each batch size, and the machine beside it."""
    assert run(["bench", "stages", "--json", "--count", str(COUNT), "--runs", "1"]) == 0
    report = json.loads(capsys.readouterr().out)
    rows = [(row["stage"], row["batch_size"]) for row in report["stages"]]
    assert sorted(rows) == sorted((stage, size) for stage in STAGES for size in BATCH_SIZES)
    assert all(0 < row["p50_us"] <= row["p99_us"] for row in report["stages"])
    assert report["all_stages_p50_us"] > 0
    assert {"cpu", "cores", "system", "python", "packages"} <= report["machine"].keys()


def test_every_payment_of_a_run_has_one_end(capsys: pytest.CaptureFixture[str]) -> None:
    """All ends together are what went in: nothing was measured that got lost."""
    run(["bench", "stages", "--json", "--count", str(COUNT), "--runs", "1"])
    report = json.loads(capsys.readouterr().out)
    assert sum(report["ends"].values()) == report["count"] == COUNT
    assert report["ends"]["posted"] > 0
    assert report["ends"]["parked"] == round(COUNT * 0.05)


def test_people_get_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "stages", "--count", "20", "--runs", "1"]) == 0
    shown = capsys.readouterr().out
    assert all(stage in shown for stage in (*STAGES, "all stages"))
    assert "20 payments a run" in shown


def test_no_payments_are_no_measurement(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "stages", "--count", "0"]) == 2
    assert "--count" in capsys.readouterr().err
