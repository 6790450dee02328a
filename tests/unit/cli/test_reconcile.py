"""What `postrail reconcile` tells of itself to CloudWatch."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from postrail.cli.reconcile import tell_metric


@pytest.fixture
def watched(graph):
    """A graph whose dashboards have a namespace."""
    outputs = graph.outputs.model_copy(update={"observability": {"namespace": "Postrail/postrail-test"}})
    object.__setattr__(graph, "outputs", outputs)
    return graph


def _sums(graph):
    now = datetime.now(UTC)
    answer = graph.client("cloudwatch").get_metric_statistics(
        Namespace="Postrail/postrail-test",
        MetricName="ReconciliationBreaks",
        Dimensions=[{"Name": "service", "Value": "reconcile"}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=60,
        Statistics=["Sum"],
    )
    return [point["Sum"] for point in answer["Datapoints"]]


@pytest.mark.parametrize("breaks", [0, 3], ids=["none", "some"])
def test_the_alarm_hears_how_many_breaks_there_are(watched, breaks):
    """Also that there are none: then it goes back to OK."""
    tell_metric(watched, breaks)
    assert _sums(watched) == [breaks]


def test_a_metric_that_cannot_be_sent_is_a_remark(watched, monkeypatch, capsys):
    """The breaks are kept in the database all the same."""

    def refuse(**_):
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutMetricData")

    monkeypatch.setattr(watched.client("cloudwatch"), "put_metric_data", refuse)
    tell_metric(watched, 2)
    assert "CloudWatch was not told of 2 breaks" in capsys.readouterr().err


def test_a_graph_without_dashboards_is_told_nothing(graph):
    tell_metric(graph, 2)
    assert _sums(graph) == []
