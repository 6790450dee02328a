"""The list of figures and alarms: the shipped one is whole, and mistakes in it are named."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from postrail.domain.errors import ConfigInvalid
from postrail.figures.catalogue import Catalogue, read_catalogue
from postrail.figures.resolved import resolve_series

SHIPPED = Path(__file__).parents[3] / "config" / "figures.yaml"


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    return read_catalogue(SHIPPED)


def _small() -> dict[str, Any]:
    return {
        "version": 1,
        "sections": [{"id": "road", "dashboard": "road", "title": "The road", "columns": 2}],
        "figures": [
            {
                "id": "errors",
                "title": "Errors",
                "section": "road",
                "unit": "count",
                "series": [
                    {
                        "label": "*",
                        "namespace": "AWS/Lambda",
                        "metric": "Errors",
                        "dimensions": {"FunctionName": "function:*"},
                        "statistic": "Sum",
                    }
                ],
            }
        ],
        "alarms": [
            {
                "id": "errors",
                "title": "Errors of *",
                "figure": "errors",
                "expression": "100 * errors / invocations",
                "uses": {
                    name.lower(): {
                        "namespace": "AWS/Lambda",
                        "metric": name,
                        "dimensions": {"FunctionName": "function:*"},
                        "statistic": "Sum",
                    }
                    for name in ("Errors", "Invocations")
                },
                "comparison": "above",
                "threshold": 5,
                "period_seconds": 60,
                "periods": 5,
                "datapoints": 3,
                "treat_missing": "notBreaching",
                "severity": "page",
                "risk": True,
                "runbook": "errors",
            }
        ],
    }


def _read(content: dict[str, Any], folder: Path) -> Catalogue:
    path = folder / "figures.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return read_catalogue(path)


def test_the_small_example_is_read(tmp_path: Path) -> None:
    """What the refusals below change is itself accepted."""
    catalogue = _read(_small(), tmp_path)
    assert catalogue.figures[0].series[0].kinds() == {"function"}
    assert catalogue.alarms[0].kinds() == {"function"}
    assert catalogue.alarms_of("errors") == catalogue.alarms
    assert catalogue.figures_of("road") == catalogue.figures


def _change(content: dict[str, Any], place: tuple[str | int, ...], value: Any) -> None:
    target: Any = content
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        pytest.param(("figures", 0, "section"), "nowhere", "no section or figure", id="figure-without-section"),
        pytest.param(("alarms", 0, "figure"), "nothing", "no section or figure", id="alarm-without-figure"),
        pytest.param(("alarms", 0, "datapoints"), 6, "more data points than periods", id="too-many-datapoints"),
        pytest.param(("alarms", 0, "title"), "Errors", "names by *", id="title-that-does-not-say-whose"),
        pytest.param(("alarms", 0, "expression"), "100 * errors", "does not use 'invocations'", id="unused-metric"),
        pytest.param(("alarms", 0, "period_seconds"), 61, "period_seconds", id="period-that-cloudwatch-lacks"),
        pytest.param(("alarms", 0, "treat_missing"), "maybe", "treat_missing", id="unknown-treatment"),
        pytest.param(
            ("figures", 0, "series", 0, "dimensions"), {"FunctionName": "lambda:*"}, "no kind", id="unknown-kind"
        ),
        pytest.param(("figures", 0, "series", 0, "statistic"), "p999", "statistic", id="unknown-statistic"),
        pytest.param(("figures", 0, "colour"), "red", "colour", id="unknown-field"),
    ],
)
def test_mistakes_are_refused_by_name(place: tuple[str | int, ...], value: Any, words: str, tmp_path: Path) -> None:
    """A wrong entry stops at once, and the message says which."""
    content = _small()
    _change(content, place, value)
    with pytest.raises(ConfigInvalid) as refusal:
        _read(content, tmp_path)
    assert words in str(refusal.value)


def _expression(expression: str, **uses: str) -> dict[str, Any]:
    metrics = {
        variable: {"namespace": "own", "metric": name, "dimensions": {"service": "post"}, "statistic": "Sum"}
        for variable, name in uses.items()
    }
    return {"label": expression[:40], "expression": expression, "uses": metrics}


@pytest.mark.parametrize(
    ("series", "words"),
    [
        pytest.param([_expression("posted * prices:event", posted="Posted")], "no number that", id="unknown-kind"),
        pytest.param([_expression("posted * (price:event)", posted="Posted")], "blanks around", id="no-blanks"),
        pytest.param(
            [_expression("posted + 1", posted="Posted"), _expression("posted + 2", posted="Received")],
            "'posted' is two metrics",
            id="one-variable-for-two-metrics",
        ),
        pytest.param([], "at least 1 item", id="nothing-to-draw"),
    ],
)
def test_expressions_name_what_terraform_knows(series: list[dict[str, Any]], words: str, tmp_path: Path) -> None:
    """Prices are named between blanks, and a variable means one metric in the whole figure."""
    content = _small()
    content["figures"][0]["series"] = series
    with pytest.raises(ConfigInvalid) as refusal:
        _read(content, tmp_path)
    assert words in str(refusal.value)


def test_expressions_have_their_numbers(tmp_path: Path) -> None:
    """A price is filled in from the copy's names; without it the series is left out, not drawn with nothing."""
    content = _small()
    content["figures"][0]["series"] = [_expression("posted * price:event / 2", posted="Posted")]
    catalogue = _read(content, tmp_path)
    (series,) = resolve_series(catalogue, {"price": {"event": "0.000001"}}, "Postrail/test")["errors"]
    assert series.expression == "posted * 0.000001 / 2"
    assert resolve_series(catalogue, {}, "Postrail/test")["errors"] == []


def test_one_id_names_one_thing(tmp_path: Path) -> None:
    """Two figures of one id are refused: alarms and readings go by it."""
    content = _small()
    content["figures"].append(content["figures"][0])
    with pytest.raises(ConfigInvalid, match="figure errors stands twice"):
        _read(content, tmp_path)


def test_thresholds_are_compared_as_cloudwatch_does(tmp_path: Path) -> None:
    """The threshold itself raises no alarm, in either direction."""
    alarm = _read(_small(), tmp_path).alarms[0]
    below = alarm.model_copy(update={"comparison": "below"})
    assert [alarm.is_raised_by(value) for value in (4.0, 5.0, 6.0)] == [False, False, True]
    assert [below.is_raised_by(value) for value in (4.0, 5.0, 6.0)] == [True, False, False]


def test_the_shipped_list_draws_every_section(shipped: Catalogue) -> None:
    """No section is an empty heading."""
    assert [section.id for section in shipped.sections if not shipped.figures_of(section.id)] == []


def test_labels_within_a_figure_differ(shipped: Catalogue) -> None:
    """Readings are told apart by label; those labelled by name stand for different kinds."""
    for figure in shipped.figures:
        labels = [(series.label, *sorted(series.kinds())) for series in figure.series]
        assert len(set(labels)) == len(labels), figure.id


def test_a_label_names_each_of_its_kind(shipped: Catalogue) -> None:
    """A series that stands for many says which by *, and no other does."""
    for figure in shipped.figures:
        for series in figure.series:
            assert ("*" in series.label) == bool(series.kinds() or series.split), f"{figure.id}: {series.label}"


def test_alarms_in_the_composite_wake_somebody(shipped: Catalogue) -> None:
    """What puts payments at risk does not wait for the morning."""
    assert [alarm.id for alarm in shipped.alarms if alarm.risk and alarm.severity != "page"] == []
