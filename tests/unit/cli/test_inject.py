"""The inject command: what it prints, and when it fails."""

import json

import pytest

from postrail.cli import console
from postrail.cli.follow import End, Outcome, Tally, report_on
from postrail.cli.inject import render
from postrail.cli.send import SendLog


class FakeEnds:
    """A ledger that has posted every row of the table, but for so many."""

    graph = None
    lost = 0

    def __init__(self, _, run_id):
        self.run_id = run_id

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def ends(self):
        table = self.graph.table("authorizations")
        items = self.graph.client("dynamodb").scan(TableName=table)["Items"]
        ids = sorted(item["payment_id"]["S"] for item in items if item["correlation_id"]["S"] == self.run_id)
        return {id_: End(Outcome.POSTED, "", 4_000_000_000.0) for id_ in ids[self.lost :]}


@pytest.fixture
def command(postrail, graph, no_graph, monkeypatch):
    """The command on a graph whose ledger is a fake."""
    monkeypatch.setenv("POSTRAIL_OUTPUTS", str(no_graph / "aws-outputs.json"))
    monkeypatch.setenv("POSTRAIL_LEDGER_DSN", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setattr(FakeEnds, "graph", graph)
    monkeypatch.setattr("postrail.cli.inject.LedgerEnds", FakeEnds)
    return postrail


def test_when_all_is_accounted_for_the_exit_code_is_0(command):
    code, out, _ = command("inject", "--count", "12", "--wait")
    lines = {" ".join(line.split()[:-1]): line.split()[-1] for line in out.splitlines() if line.split()}
    assert code == 0
    assert lines["posted"] == lines["injected"] == lines["accounted for"] == "12"


def test_the_json_is_one_object_with_the_documented_fields(command):
    code, out, _ = command("inject", "--count", "12", "--wait", "--json")
    document = json.loads(out)
    assert code == 0
    assert out.count("\n") == 1
    expected = {"injected", "posted", "parked", "rejected", "referred", "dead_lettered", "seconds", "throughput_per_s"}
    assert expected | {"run_id", "latency_ms", "unaccounted", "reasons"} <= document.keys()
    assert document["latency_ms"].keys() == {"p50", "p99"}
    assert (document["injected"], document["posted"]) == (12, 12)


def test_payments_without_an_end_are_named_and_the_exit_code_is_1(command, monkeypatch):
    monkeypatch.setattr(FakeEnds, "lost", 2)
    code, out, err = command("inject", "--count", "12", "--wait", "--timeout", "1", "--json")
    document = json.loads(out)
    assert code == 1
    assert document["unaccounted"] == len(document["unaccounted_ids"]) == 2
    assert all(id_ in err for id_ in document["unaccounted_ids"])


def test_without_waiting_it_says_how_to_follow(command):
    code, out, _ = command("inject", "--count", "3")
    assert code == 0
    assert "Injected 3 payments as run_" in out
    assert "postrail trace pay_" in out
    document = json.loads(command("inject", "--count", "3", "--json")[1])
    assert document.keys() == {"run_id", "injected", "not_taken"}


def test_progress_goes_to_standard_error_alone(command):
    _, out, err = command("inject", "--count", "3", "--wait", "--json")
    json.loads(out)
    assert "Following to the end: 3 of 3" in err


def test_payments_that_a_door_did_not_take_fail_the_command_and_are_not_followed(command, monkeypatch):
    class Shut:
        batch_max = 25

        def send(self, payments):
            return {payments[0].payment_id: "the table was throttled"}

    monkeypatch.setattr("postrail.cli.inject._open_door", lambda *_: Shut())
    code, out, err = command("inject", "--count", "1", "--wait", "--json")
    assert code == 1
    assert (json.loads(out)["injected"], json.loads(out)["not_taken"]) == (0, 1)
    assert "the table was throttled" in err


def test_a_file_is_sent_line_by_line(command, graph, tmp_path):
    path = tmp_path / "payments.jsonl"
    path.write_text('{"payment_id": "pay_1", "x": 1}\n{"payment_id": "pay_2", "x": 2}\n')
    assert command("inject", "--file", str(path))[0] == 0
    items = graph.client("dynamodb").scan(TableName=graph.table("authorizations"))["Items"]
    assert {item["payment_id"]["S"] for item in items} == {"pay_1", "pay_2"}
    code, out, err = command("inject", "--file", str(path))
    assert (code, out) == (1, "")
    assert "in the authorizations table already" in err


def test_events_reach_the_bus(command, graph):
    events, sqs = graph.client("events"), graph.client("sqs")
    url = sqs.create_queue(QueueName="ear")["QueueUrl"]
    bus = graph.outputs.bus_name
    events.put_rule(Name="all", EventBusName=bus, EventPattern='{"detail-type": ["PaymentAuthorized"]}')
    events.put_targets(
        Rule="all", EventBusName=bus, Targets=[{"Id": "1", "Arn": "arn:aws:sqs:eu-west-2:123456789012:ear"}]
    )
    assert command("inject", "--count", "5", "--via", "events")[0] == 0
    assert len(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]) == 5


def test_an_empty_log_has_no_first_time():
    assert SendLog().first_at == 0.0


def test_reasons_stand_beside_their_outcome(capsys):
    tally = Tally(frozenset({"a", "b", "c"}), "run_1")
    tally.take_ledger(
        {
            "a": End(Outcome.REJECTED, "RULE_REJECTED", 2.0),
            "b": End(Outcome.REJECTED, "RULE_REJECTED", 2.0),
            "c": End(Outcome.REJECTED, "UNKNOWN_ACCOUNT", 2.0),
        }
    )
    console.out().print(render(report_on(tally, {"a": 1.0})))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["rejected", "3", "RULE_REJECTED", "2"] in rows
    assert ["UNKNOWN_ACCOUNT", "1"] in rows
