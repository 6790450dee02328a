"""What the data file says of the code's events and lines is what the code still writes."""

from pathlib import Path
from typing import Any

import pytest

from postrail.capacity.data import STAGES, CapacityData
from postrail.capacity.measuring import measure

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    return measure(1_000, config_dir=ROOT / "config")


def test_events_weigh_what_the_file_says(data: CapacityData, measured: dict[str, Any]) -> None:
    assert measured["event_bytes"] == pytest.approx(data.graph.measured.event_bytes, rel=0.08)


def test_items_weigh_what_the_file_says(data: CapacityData, measured: dict[str, Any]) -> None:
    assert measured["item_bytes"] == pytest.approx(data.graph.measured.item_bytes, rel=0.08)


def test_a_payment_gives_as_many_events_as_the_file_says(data: CapacityData, measured: dict[str, Any]) -> None:
    """A thousand payments of another cut of the day: shares of a few per cent move by themselves."""
    assert measured["per_payment"] == pytest.approx(data.graph.measured.per_payment, rel=0.06, abs=0.02)


@pytest.mark.parametrize("stage", STAGES)
def test_log_lines_weigh_what_the_file_says(data: CapacityData, measured: dict[str, Any], stage: str) -> None:
    found = {str(size): bytes_ for size, bytes_ in measured["log_bytes"][stage].items()}
    assert found == pytest.approx(data.graph.measured.log_bytes[stage], rel=0.1)


def test_every_stage_is_timed(measured: dict[str, Any]) -> None:
    assert set(measured["cpu_us"]) == set(STAGES) - {"record_outcome"}
    assert all(value > 0 for value in measured["cpu_us"].values())
