"""The pipe runner as a process, against a real emulator."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration.local_cloud.conftest import Cloud, Graph, build_graph

from local_cloud import emulator, processes
from local_cloud.launch import PIPE_RUNNER
from local_cloud.layout import StateDir


def ids(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{number:04}" for number in range(count)]


def until(condition: Callable[[], bool], patience_s: float = 20.0) -> bool:
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_records_go_through_filter_and_enrichment_to_the_bus(graph: Graph) -> None:
    """Declined and pre-authorised ones are filtered out, what the enrichment drops goes nowhere, the rest arrives."""
    graph.put("pay-1", "duplicate-2", "pay-3")
    graph.put("declined-4", action_code="116")
    graph.put("held-4", capture="later")
    graph.cloud.describe({"intake": graph.pipe()})
    graph.cloud.start_runner()
    graph.put("pay-5")
    assert graph.arrived("pay-5") == ["pay-1", "pay-3", "pay-5"]
    assert until(lambda: graph.cloud.counts(graph.name).get("filtered") == 2)
    assert until(lambda: graph.cloud.counts(graph.name).get("delivered") == 4)


def test_kill_9_loses_nothing(graph: Graph) -> None:
    """Killed in the middle of the stream, a new runner goes on behind the last settled batch."""
    expected = ids("pay", 600)
    graph.put(*expected)
    graph.cloud.describe({"intake": graph.pipe()})
    runner = graph.cloud.start_runner()
    before = graph.arrived(*expected[:10])
    os.kill(runner.pid, signal.SIGKILL)
    assert until(lambda: not processes.alive(runner))
    graph.cloud.start_runner()
    after = graph.arrived(*(set(expected) - set(before)))
    seen = Counter(before + after)
    assert set(seen) == set(expected)
    assert until(lambda: graph.cloud.counts(graph.name).get("delivered", 0) > 0), "the kill came too late"
    # At least once: only the batches whose checkpoint the kill cut off come twice.
    assert sum(seen.values()) - len(expected) <= 20


def test_a_poison_record_is_bisected_to_the_dead_letter_queue_and_its_neighbours_pass(graph: Graph) -> None:
    """The dead letter describes the range as AWS does and names the item, so that it can be found again."""
    graph.put(*ids("a", 7), "poison-1", *ids("b", 12))
    graph.cloud.describe({"intake": graph.pipe()})
    graph.cloud.start_runner()
    assert sorted(graph.arrived(*ids("a", 7), *ids("b", 12))) == sorted([*ids("a", 7), *ids("b", 12)])
    (letter,) = graph.dead_lettered(1)
    assert letter["context"]["condition"] == "RetryAttemptsExhausted"
    info = letter["DDBStreamBatchInfo"]
    assert info["batchSize"] == 1
    assert info["startSequenceNumber"] == info["endSequenceNumber"]
    assert info["streamArn"] == graph.stream_arn
    assert letter["items"]["keys"] == [{"payment_id": {"S": "poison-1"}}]


def test_parallel_lanes_deliver_everything(graph: Graph) -> None:
    """ParallelizationFactor 4: all records once, whatever lane they took."""
    expected = ids("pay", 200)
    graph.put(*expected, "poison-9")
    graph.cloud.describe({"intake": graph.pipe(ParallelizationFactor=4)})
    graph.cloud.start_runner()
    assert sorted(graph.arrived(*expected)) == expected
    assert len(graph.dead_lettered(1)) == 1


def test_latest_skips_what_was_there_before_but_nothing_written_while_the_runner_was_away(graph: Graph) -> None:
    graph.put("before-1")
    time.sleep(1.1)  # the stream keeps whole seconds
    graph.cloud.describe({"intake": graph.pipe(StartingPosition="LATEST")})
    runner = graph.cloud.start_runner()
    assert until(lambda: any(graph.cloud.state.checkpoints.glob("*/*.json")))
    os.kill(runner.pid, signal.SIGKILL)
    assert until(lambda: not processes.alive(runner))
    graph.put("away-1")
    graph.cloud.start_runner()
    graph.put("after-1")
    assert graph.arrived("after-1") == ["away-1", "after-1"]


def test_sigterm_ends_the_runner_and_a_second_one_is_refused_while_it_runs(graph: Graph) -> None:
    graph.cloud.describe({"intake": graph.pipe()})
    first = graph.cloud.start_runner()
    assert until(lambda: graph.cloud.counts(graph.name).get("state") == "reading")
    second = graph.cloud.start_runner()
    assert until(lambda: not processes.alive(second))
    assert "another pipe runner plays here" in graph.cloud.state.log(PIPE_RUNNER).read_text()
    os.kill(first.pid, signal.SIGTERM)
    assert until(lambda: not processes.alive(first), patience_s=5)
    assert '"stopped"' in graph.cloud.state.log(PIPE_RUNNER).read_text()


def test_an_emulator_restart_is_waited_for_and_the_new_deployment_is_played(tmp_path: Path) -> None:
    """The new stream has another ARN, so the old checkpoint is discarded; the outage is logged once, no flood."""
    emulator_state = StateDir(tmp_path / "emulator")
    first = emulator.ensure_running(emulator_state, lambda _: None, preferred_ports=())
    cloud = Cloud(StateDir(tmp_path / "state"), first)
    try:
        graph = build_graph(cloud)
        cloud.describe({"intake": graph.pipe()})
        runner = cloud.start_runner()
        graph.put("old-1")
        assert graph.arrived("old-1") == ["old-1"]
        emulator.stop(emulator_state)
        time.sleep(1.5)
        again = Cloud(cloud.state, emulator.ensure_running(emulator_state, lambda _: None))
        assert again.emulator.boot_id != first.boot_id
        renewed = build_graph(again)
        again.describe({"intake": renewed.pipe() | {"Name": graph.name}})
        renewed.put("new-1")
        assert renewed.arrived("new-1") == ["new-1"]
        assert processes.alive(runner)
        log = [json.loads(line) for line in cloud.state.log(PIPE_RUNNER).read_text().splitlines()]
        messages = Counter(line["message"] for line in log)
        assert messages["stale checkpoints discarded"] == 1
        assert sum(count for message, count in messages.items() if "waiting" in message or "reopening" in message) <= 4
    finally:
        processes.stop(cloud.state, PIPE_RUNNER)
        emulator.stop(emulator_state)


def machine(cloud: Cloud, name: str, state: dict[str, Any]) -> str:
    created = cloud.client("stepfunctions").create_state_machine(
        name=name,
        type="EXPRESS",
        roleArn="arn:aws:iam::000000000000:role/any",
        definition=json.dumps({"QueryLanguage": "JSONata", "StartAt": "Only", "States": {"Only": state}}),
    )
    return str(created["stateMachineArn"])


def queue_pipe(graph: Graph, source: str, target: str) -> dict[str, Any]:
    return {
        "Name": "rules",
        "Source": source,
        "SourceParameters": {"SqsQueueParameters": {"BatchSize": 10}},
        "Target": target,
        "TargetParameters": {"StepFunctionStateMachineParameters": {"InvocationType": "REQUEST_RESPONSE"}},
    }


def queue(cloud: Cloud, name: str, **attributes: str) -> tuple[str, str]:
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def test_a_queue_feeds_a_state_machine_in_batches_side_by_side(graph: Graph) -> None:
    """Each execution takes at least 150 ms in the emulator; eight at a time keep the pipe well above 200 a second."""
    cloud = graph.cloud
    url, arn = queue(cloud, f"{graph.name}-in")
    entries = "{% [$states.input.{'Source': 'postrail', 'DetailType': 'Seen', 'Detail': body, 'EventBusName': '" + (
        graph.bus_arn + "'}] %}"
    )
    put = {
        "Type": "Task",
        "Resource": "arn:aws:states:::events:putEvents",
        "Arguments": {"Entries": entries},
        "End": True,
    }
    target = machine(cloud, graph.name, put)
    expected = ids("pay", 400)
    for start in range(0, len(expected), 10):
        batch = [
            {"Id": str(index), "MessageBody": json.dumps({"data": {"payment_id": one}})}
            for index, one in enumerate(expected[start : start + 10])
        ]
        cloud.client("sqs").send_message_batch(QueueUrl=url, Entries=batch)
    cloud.describe({"rules": queue_pipe(graph, arn, target)})
    cloud.start_runner()
    assert sorted(graph.arrived(*expected)) == expected
    assert until(lambda: cloud.counts("rules").get("delivered") == 400)
    left = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert left["ApproximateNumberOfMessages"] == left["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_a_failing_execution_leaves_its_batch_to_the_queues_redrive(graph: Graph) -> None:
    cloud = graph.cloud
    policy = json.dumps({"deadLetterTargetArn": graph.dead_letters_arn, "maxReceiveCount": "2"})
    url, arn = queue(cloud, f"{graph.name}-in", VisibilityTimeout="1", RedrivePolicy=policy)
    target = machine(cloud, graph.name, {"Type": "Fail", "Error": "Refused", "Cause": "always"})
    cloud.client("sqs").send_message(QueueUrl=url, MessageBody='{"payment_id": "pay-1"}')
    cloud.describe({"rules": queue_pipe(graph, arn, target)})
    cloud.start_runner()
    assert graph.dead_lettered(1) == [{"payment_id": "pay-1"}]
    assert cloud.counts("rules")["delivered"] == 0
