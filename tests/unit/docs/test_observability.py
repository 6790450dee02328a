"""docs/observability.md and the code against the list of figures: metrics are told, drawn and really emitted."""

import re
from pathlib import Path

import pytest

from postrail.figures.catalogue import OWN_NAMESPACE, Catalogue, Metric, read_catalogue

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
EMITTING = (
    "source/postrail/adapters",
    "source/postrail/stages",
    "source/postrail/bootstrap.py",
    "lambdas",
    "switch",
    "source/postrail/cli/reconcile.py",
)


def _own_metrics(catalogue: Catalogue) -> list[Metric]:
    used = [metric for figure in catalogue.figures for series in figure.series for metric in series.metrics()]
    used += [metric for alarm in catalogue.alarms for metric in alarm.metrics()]
    return [metric for metric in used if metric.namespace == OWN_NAMESPACE]


CATALOGUE = read_catalogue(ROOT / "config" / "figures.yaml")
NAMES = sorted({metric.metric for metric in _own_metrics(CATALOGUE)})


def _code() -> str:
    files = [
        path for place in EMITTING for path in [ROOT / place, *(ROOT / place).rglob("*.py")] if path.suffix == ".py"
    ]
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(set(files)))


def _told() -> set[str]:
    table = PAGE.split("## Own metrics", 1)[1].split("\n## ", 1)[0]
    return {
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }


@pytest.mark.parametrize("name", sorted(set(NAMES)))
def test_what_is_drawn_is_emitted(name: str) -> None:
    """No drawing and no alarm waits for a metric that nobody sends: its name stands where metrics are counted."""
    # `counts(holds_expired=…)` is the metric HoldsExpired.
    keyword = re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
    assert re.search(rf'"{name}"|\b{keyword}=', _code())


def test_the_page_tells_every_metric() -> None:
    """All that is drawn is in the table; what is only told is emitted."""
    assert set(NAMES) <= _told()
    for name in _told() - set(NAMES):
        assert f'"{name}"' in _code(), name


def test_the_page_names_every_dashboard() -> None:
    """By the end of its name, as CloudWatch lists them."""
    for dashboard in {section.dashboard for section in CATALOGUE.sections}:
        assert f"`<prefix>-{dashboard}`" in PAGE


def test_saved_queries_are_told() -> None:
    """Each under the name that Terraform gives it."""
    text = (ROOT / "terraform" / "modules" / "observability" / "queries.tf").read_text(encoding="utf-8")
    names = re.findall(r'^    "([^"]+)" = \{', text, re.MULTILINE)
    assert len(names) > 8
    folded = " ".join(PAGE.split())
    assert [name for name in names if name not in folded] == []
