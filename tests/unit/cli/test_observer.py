"""The selftest's ear: it hears one run's events and alerts, and leaves nothing behind."""

import json

import pytest

from postrail.cli.failures import CommandError
from postrail.cli.observer import Observer

RUN = "selftest_0123456789abcdef0123456789abcdef"


def _put(graph, detail_type, *, run_id=RUN, payment_id="pay_1", **data):
    metadata = {"payment_id": payment_id, "correlation_id": run_id, "occurred_at": "2026-01-02T03:04:05.678900Z"}
    graph.client("events").put_events(
        Entries=[
            {
                "Source": "postrail",
                "DetailType": detail_type,
                "Detail": json.dumps({"metadata": metadata, "data": data}),
                "EventBusName": graph.outputs.bus_name,
            }
        ]
    )


def _leftovers(graph):
    queues = graph.client("sqs").list_queues(QueueNamePrefix="postrail-test-selftest").get("QueueUrls", [])
    rules = graph.client("events").list_rules(EventBusName=graph.outputs.bus_name)["Rules"]
    subscriptions = graph.client("sns").list_subscriptions()["Subscriptions"]
    return [*queues, *rules, *subscriptions]


def test_it_hears_the_events_of_its_run_and_no_others(graph):
    with Observer(graph, RUN) as observer:
        _put(graph, "PaymentAccepted", index=1)
        _put(graph, "PaymentAccepted", run_id="run_of_another", payment_id="pay_2")
        events, alerts = observer.drain()
    (event,) = events
    assert (event.detail_type, event.payment_id, event.data) == ("PaymentAccepted", "pay_1", {"index": 1})
    assert event.at == pytest.approx(1_767_323_045.6789)
    assert alerts == []


def test_it_hears_alerts(graph):
    with Observer(graph, RUN) as observer:
        graph.client("sns").publish(TopicArn=graph.topic_arn("alerts"), Message="look at pay_7")
        _, alerts = observer.drain()
    assert [alert.text for alert in alerts] == ["look at pay_7"]


def test_canaries_are_not_events(graph):
    with Observer(graph, RUN) as observer:
        observer._put_canary()
        assert observer.drain() == ([], [])


def test_it_takes_everything_away_when_it_leaves(graph):
    with Observer(graph, RUN):
        assert len(_leftovers(graph)) == 3
    assert _leftovers(graph) == []


def test_it_takes_everything_away_when_the_watcher_fails(graph):
    with pytest.raises(ZeroDivisionError), Observer(graph, RUN):
        raise ZeroDivisionError
    assert _leftovers(graph) == []


def test_a_bus_that_delivers_nothing_is_told_and_nothing_is_left(graph, monkeypatch):
    now = [0.0]
    observer = Observer(graph, RUN, clock=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(observer, "_put_canary", lambda: None)
    with pytest.raises(CommandError, match="delivered nothing"), observer:
        pass
    assert _leftovers(graph) == []
