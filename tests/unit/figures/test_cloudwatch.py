"""Figures of a real account: what is asked of CloudWatch, and what its answers become."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from postrail.figures.cloudwatch import QUERIES_PER_CALL_MAX, read_cloudwatch
from postrail.figures.resolved import ResolvedMetric, ResolvedSeries
from postrail.figures.series import Window

OWN = "Postrail/postrail-test"
NOW = datetime.now(UTC).replace(second=0, microsecond=0)
WINDOW = Window(NOW, buckets=5)


def metric(name: str, statistic: str = "Sum", **dimensions: str) -> ResolvedMetric:
    return ResolvedMetric(OWN, name, dimensions or {"service": "post"}, statistic)


def series(label: str, one: ResolvedMetric, *, period: int = 60, split: tuple[str, ...] = ()) -> ResolvedSeries:
    return ResolvedSeries(label, None, split, period, {"value": one})


@pytest.fixture
def cloudwatch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.client("cloudwatch", region_name="eu-west-2")


def put(cloudwatch: Any, name: str, value: float, *, minutes_ago: int, service: str = "post") -> None:
    cloudwatch.put_metric_data(
        Namespace=OWN,
        MetricData=[
            {
                "MetricName": name,
                "Dimensions": [{"Name": "service", "Value": service}],
                "Timestamp": NOW - timedelta(minutes=minutes_ago),
                "Value": value,
            }
        ],
    )


class Recorded:
    """Answers with what it was given, and keeps what it was asked."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self._answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def get_metric_data(self, **request: Any) -> dict[str, Any]:
        self.asked.append(dict(request))
        return self._answers.pop(0) if self._answers else {"MetricDataResults": []}


def test_the_last_value_of_a_metric_is_read(cloudwatch: Any) -> None:
    """Two values of one minute are summed, those of another series are not."""
    for value in (3, 4):
        put(cloudwatch, "Posted", value, minutes_ago=1)
    put(cloudwatch, "Posted", 99, minutes_ago=1, service="enrich")
    readings = read_cloudwatch(cloudwatch, {"postings": [series("posted", metric("Posted"))]}, WINDOW)
    (posted,) = readings["postings"]
    assert (posted.label, posted.latest()) == ("posted", 7)


def test_values_are_by_the_minute_oldest_first(cloudwatch: Any) -> None:
    for minutes_ago, value in ((3, 1.0), (2, 2.0), (1, 3.0)):
        put(cloudwatch, "Posted", value, minutes_ago=minutes_ago)
    (posted,) = read_cloudwatch(cloudwatch, {"postings": [series("posted", metric("Posted"))]}, WINDOW)["postings"]
    assert [point.value for point in posted.points] == [1.0, 2.0, 3.0]
    assert posted.points == tuple(sorted(posted.points))


def test_what_nobody_reported_is_unknown_and_not_zero(cloudwatch: Any) -> None:
    (reading,) = read_cloudwatch(cloudwatch, {"x": [series("none", metric("NeverSeen"))]}, WINDOW)["x"]
    assert reading.latest() is None
    assert reading.why == "no data"


def test_a_figure_without_series_is_told_as_unknown() -> None:
    (reading,) = read_cloudwatch(Recorded(), {"x": []}, WINDOW)["x"]
    assert (reading.latest(), reading.why) == (None, "this copy has nothing of it")


def test_a_split_series_is_searched_and_labelled_by_its_dimensions() -> None:
    split = ResolvedSeries("*", None, ("service", "reason"), 60, {"value": metric("RefusedFor")})
    at = NOW - timedelta(minutes=1)
    client = Recorded(
        {
            "MetricDataResults": [
                {"Id": "s0x0", "Label": "enrich UNKNOWN_ACCOUNT", "Timestamps": [at], "Values": [4.0]},
                {"Id": "s0x0", "Label": "post ACCOUNT_NOT_FOUND", "Timestamps": [at], "Values": [1.0]},
            ]
        }
    )
    found = read_cloudwatch(client, {"refusals": [split]}, WINDOW)["refusals"]
    (query,) = client.asked[0]["MetricDataQueries"]
    expected = f"SEARCH('{{\"{OWN}\",service,reason}} MetricName=\"RefusedFor\"', 'Sum', 60)"
    assert query["Expression"] == expected
    assert {one.label: one.latest() for one in found} == {"enrich UNKNOWN_ACCOUNT": 4.0, "post ACCOUNT_NOT_FOUND": 1.0}


def test_an_expression_brings_its_metrics_under_names_of_its_own() -> None:
    """Ids are one name space for a call: two expressions may both use `posted`."""
    expression = ResolvedSeries(
        "bus", "1000 * FILL(events, 0) / posted", (), 300, {"posted": metric("Posted"), "events": metric("Published")}
    )
    client = Recorded()
    read_cloudwatch(client, {"cost": [expression], "again": [expression]}, WINDOW)
    queries = client.asked[0]["MetricDataQueries"]
    assert len({query["Id"] for query in queries}) == len(queries) == 6
    assert queries[2]["Expression"] == "1000 * FILL(s0x0_events, 0) / s0x0_posted"
    assert [query.get("ReturnData", True) for query in queries[:3]] == [False, False, True]


def test_series_of_long_periods_are_asked_for_a_window_of_their_own() -> None:
    """S3 counts objects once a day."""
    client = Recorded()
    daily = series("parked", metric("NumberOfObjects", "Average"), period=86_400)
    read_cloudwatch(client, {"now": [series("posted", metric("Posted"))], "parked": [daily]}, WINDOW)
    spans = sorted(request["EndTime"] - request["StartTime"] for request in client.asked)
    assert spans[0] < timedelta(minutes=10)
    assert spans[1] >= timedelta(days=2)


def test_many_series_take_several_calls_and_all_pages_are_read() -> None:
    many = [series(f"s{number}", metric(f"M{number}")) for number in range(QUERIES_PER_CALL_MAX + 1)]
    at = NOW - timedelta(minutes=1)
    first = {"MetricDataResults": [{"Id": "s0x0", "Timestamps": [at], "Values": [1.0]}], "NextToken": "more"}
    second = {
        "MetricDataResults": [{"Id": "s0x0", "Timestamps": [at - timedelta(minutes=1)], "Values": [2.0]}],
    }
    client = Recorded(first, second)
    found = read_cloudwatch(client, {"many": many}, WINDOW)["many"]
    assert [len(request["MetricDataQueries"]) for request in client.asked] == [500, 500, 1]
    assert client.asked[1]["NextToken"] == "more"
    assert [point.value for point in found[0].points] == [2.0, 1.0]


def test_a_refusal_is_the_reason_why_nothing_is_known() -> None:
    class Refusing:
        def get_metric_data(self, **_: Any) -> Any:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetMetricData")

    (reading,) = read_cloudwatch(Refusing(), {"x": [series("posted", metric("Posted"))]}, WINDOW)["x"]
    assert (reading.latest(), reading.why) == (None, "AccessDenied")
