"""Figures of a whole graph: in a real account by its outputs, on one machine by what answers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.session import get_session

from postrail.domain.errors import ConfigInvalid, Retryable
from postrail.figures.catalogue import Catalogue, expression_references, placeholder_kind, read_catalogue
from postrail.figures.local_figures import price_payments
from postrail.figures.reading import GraphFigures, read_figures

CONFIG = Path(__file__).parents[3] / "config"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue(CONFIG / "figures.yaml")


@dataclass
class Outputs:
    observability: Mapping[str, Any] = field(default_factory=dict)
    queues: Mapping[str, Any] = field(default_factory=dict)
    parked_bucket: str = "parked"
    region: str = "eu-west-2"


@dataclass
class FakeGraph:
    """A graph whose clients are given."""

    outputs: Outputs
    clients: dict[str, Any]
    cloud: object | None = None

    def client(self, service: str) -> Any:
        return self.clients[service]

    def dead_letter_queues(self) -> dict[str, str]:
        return {"posting-dlq": "https://sqs.test/posting-dlq"}

    def ledger_dsn(self) -> str:
        return "postgresql://nobody@127.0.0.1:1/none"


class CloudWatch:
    """Answers each metric that is asked for with a one, and keeps the questions."""

    def __init__(self) -> None:
        self.queries: list[dict[str, Any]] = []

    def get_metric_data(self, **request: Any) -> dict[str, Any]:
        self.queries += request["MetricDataQueries"]
        asked = [query["Id"] for query in request["MetricDataQueries"] if query.get("ReturnData", True)]
        at = request["EndTime"]
        return {"MetricDataResults": [{"Id": id_, "Label": id_, "Timestamps": [at], "Values": [1.0]} for id_ in asked]}


def every_name(catalogue: Catalogue) -> dict[str, dict[str, str]]:
    """A copy that has everything that the catalogue speaks of: two of each kind."""
    names: dict[str, dict[str, str]] = {}
    for series in (series for figure in catalogue.figures for series in figure.series):
        for value in (value for metric in series.metrics() for value in metric.dimensions.values()):
            kind, name = placeholder_kind(value), value.partition(":")[2]
            if kind is not None:
                names.setdefault(kind, {}).update({name: f"x-{name}"} if name != "*" else {"a": "x-a", "b": "x-b"})
        for kind, name in expression_references(series.expression or ""):
            names.setdefault(kind, {})[name] = "0.000001"
    return names


def test_a_copy_that_has_everything_knows_every_figure(catalogue: Catalogue) -> None:
    client = CloudWatch()
    graph = FakeGraph(Outputs({"namespace": "Postrail/x", "names": every_name(catalogue)}), {"cloudwatch": client})
    readings = read_figures(graph, catalogue)
    assert set(readings) == {figure.id for figure in catalogue.figures}
    assert all(reading.latest() == 1 for series in readings.values() for reading in series)


def test_what_is_asked_of_cloudwatch_is_within_its_bounds(catalogue: Catalogue) -> None:
    """As botocore's model of GetMetricData has them; ids by the pattern of its reference."""
    client = CloudWatch()
    graph = FakeGraph(Outputs({"namespace": "Postrail/x", "names": every_name(catalogue)}), {"cloudwatch": client})
    read_figures(graph, catalogue)
    shape: Any = get_session().get_service_model("cloudwatch").shape_for("MetricExpression")
    longest = max(len(query.get("Expression", "")) for query in client.queries)
    assert longest <= shape.metadata["max"]
    assert all(re.fullmatch(r"[a-z][A-Za-z0-9_]{0,254}", query["Id"]) for query in client.queries)
    assert not any("price:" in query.get("Expression", "") for query in client.queries)


def test_what_a_copy_does_not_have_is_unknown(catalogue: Catalogue) -> None:
    """A ledger that is not Aurora has no metrics of Aurora; the road has its own all the same."""
    names = {kind: found for kind, found in every_name(catalogue).items() if kind not in {"cluster", "proxy"}}
    graph = FakeGraph(Outputs({"namespace": "Postrail/x", "names": names}), {"cloudwatch": CloudWatch()})
    readings = read_figures(graph, catalogue)
    assert [reading.why for reading in readings["commit-latency"]] == ["this copy has nothing of it"]
    assert readings["throughput"][0].latest() == 1


def test_outputs_without_names_are_refused_with_what_to_do(catalogue: Catalogue) -> None:
    with pytest.raises(ConfigInvalid, match="terraform apply"):
        read_figures(FakeGraph(Outputs(), {}), catalogue)


class Queues:
    """One message in each queue."""

    def get_queue_attributes(self, **_: Any) -> Any:
        return {"Attributes": {"ApproximateNumberOfMessages": "1"}}

    def list_objects_v2(self, **_: Any) -> Any:
        return {"KeyCount": 2}


class Away:
    """A service that does not answer."""

    def __getattr__(self, name: str) -> Any:
        def fail(**_: Any) -> Any:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

        return fail


def test_queues_are_read_while_the_ledger_is_away_and_its_figures_say_why(catalogue: Catalogue) -> None:
    graph = FakeGraph(Outputs(), {"sqs": Queues(), "s3": Queues()}, cloud=object())
    with GraphFigures(catalogue, graph) as figures:
        _, readings = figures.read()
    assert readings["dead-letters"][0].latest() == 1
    assert readings["parked"][0].latest() == 2
    (throughput,) = readings["throughput"]
    assert throughput.latest() is None
    assert throughput.why


def test_a_machine_on_which_nothing_answers_is_an_error_and_not_a_page_of_dashes(catalogue: Catalogue) -> None:
    graph = FakeGraph(Outputs(), {"sqs": Away(), "s3": Away()}, cloud=object())
    with GraphFigures(catalogue, graph) as figures, pytest.raises(Retryable):
        figures.read()


def test_what_a_thousand_payments_cost_is_the_bill_of_the_capacity_model() -> None:
    """Nothing is billed on one machine: the model prices the rate at which payments are posted."""
    parts = {reading.label: reading.latest() or 0.0 for reading in price_payments(CONFIG, "eu-west-2", 100.0)}
    assert {"bus", "ledger"} <= set(parts)
    assert 0.001 < sum(parts.values()) < 1.0


@pytest.mark.parametrize(
    ("region", "rate", "why"),
    [
        pytest.param("eu-west-2", 0.0, "nothing was posted", id="nothing posted"),
        pytest.param("mars-north-1", 1.0, "mars-north-1", id="a region without prices"),
    ],
)
def test_a_price_that_is_not_known_says_why(region: str, rate: float, why: str) -> None:
    (reading,) = price_payments(CONFIG, region, rate)
    assert reading.latest() is None
    assert why in reading.why
