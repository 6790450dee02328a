"""Load by the clock through the running graph: every payment has its end, and the report says how long it took."""

from pathlib import Path

import pytest
from tests.e2e.conftest import Cloud

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_a_load_through_the_table_is_followed_to_its_end(cloud: Cloud, tmp_path: Path) -> None:
    """Duplicates are parked, the others posted or decided otherwise; the report has page, histogram and charts."""
    folder = tmp_path / "report"
    shown = cloud.postrail_json(
        "load", "--count", "60", "--rate", "10", "--seed", "41", "--duplicates", "0.1", "--report", str(folder)
    )
    assert (shown["injected"], shown["unaccounted"], shown["refused"]) == (60, 0, 0)
    assert shown["parked"] == 6
    assert shown["posted"] > 30
    assert shown["latency_ms"]["p50"] > 0
    assert {path.name for path in folder.iterdir()} == {"report.md", "report.json", "latency.hgrm", "charts.png"}


def test_a_load_through_the_switch_is_posted(cloud: Cloud) -> None:
    """From a terminal's 1100 to the posting's commit, all in one figure."""
    shown = cloud.postrail_json("load", "--count", "30", "--rate", "5", "--via", "switch", "--lanes", "16")
    assert (shown["posted"], shown["unaccounted"], shown["refused"]) == (30, 0, 0)


def test_a_load_never_meets_an_account_by_mistake(cloud: Cloud) -> None:
    """`--target aws` wants the outputs of an account, and is told so."""
    done = cloud.postrail("load", "--target", "aws", "--count", "1")
    assert done.returncode == 1
    assert "set POSTRAIL_OUTPUTS" in done.stderr
