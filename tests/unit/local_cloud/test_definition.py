"""Pipe definitions: what is read from Terraform's output, and what is refused by name."""

import json
from typing import Any

import pytest

from local_cloud.pipe_runner.definition import (
    BusTarget,
    QueueSource,
    StateMachineTarget,
    StreamSource,
    parse_pipe,
    unmanaged_pipes,
)
from local_cloud.pipe_runner.errors import UnsupportedDefinitionError

STREAM = "arn:aws:dynamodb:eu-west-2:000000000000:table/authorizations/stream/2026-01-01T00:00:00.000"
QUEUE = "arn:aws:sqs:eu-west-2:000000000000:apply-rules"
FUNCTION = "arn:aws:lambda:eu-west-2:000000000000:function:deduplicate"
BUS = "arn:aws:events:eu-west-2:000000000000:event-bus/payments"
MACHINE = "arn:aws:states:eu-west-2:000000000000:stateMachine:rules-engine"


def intake(**changes: Any) -> dict[str, Any]:
    pipe = {
        "Name": "intake",
        "Source": STREAM,
        "SourceParameters": {"DynamoDBStreamParameters": {"StartingPosition": "TRIM_HORIZON"}},
        "Enrichment": FUNCTION,
        "EnrichmentParameters": None,
        "Target": BUS,
        "TargetParameters": {"EventBridgeEventBusParameters": {"DetailType": "PaymentAccepted", "Source": "postrail"}},
        "managed": False,
    }
    return pipe | changes


def rules(**changes: Any) -> dict[str, Any]:
    parameters = {"StepFunctionStateMachineParameters": {"InvocationType": "REQUEST_RESPONSE"}}
    return {"Name": "rules", "Source": QUEUE, "Target": MACHINE, "TargetParameters": parameters} | changes


def test_a_stream_pipe_is_read_with_the_defaults_of_aws() -> None:
    pipe = parse_pipe(intake())
    assert pipe.source == StreamSource(
        arn=STREAM,
        starting_position="TRIM_HORIZON",
        batch_size=100,
        window_s=0,
        retries_max=-1,
        record_age_max_s=-1,
        bisect=False,
        parallel_batches=1,
        dead_letter_arn=None,
    )
    assert pipe.enrichment_arn == FUNCTION
    assert pipe.target == BusTarget(BUS, detail_type="PaymentAccepted", source="postrail")
    assert pipe.arn == "arn:aws:pipes:eu-west-2:000000000000:pipe/intake"


def test_a_queue_pipe_waits_for_its_executions_when_it_asks_for_a_response() -> None:
    pipe = parse_pipe(rules())
    assert pipe.source == QueueSource(QUEUE, batch_size=10, window_s=0)
    assert pipe.target == StateMachineTarget(MACHINE, wait=True)
    assert parse_pipe(rules(TargetParameters={})).target == StateMachineTarget(MACHINE, wait=False)


def test_a_filter_may_look_into_a_json_body() -> None:
    pattern = json.dumps({"body": {"kind": ["payment"]}})
    pipe = parse_pipe(rules(SourceParameters={"FilterCriteria": {"Filters": [{"Pattern": pattern}]}}))
    assert pipe.accepts({"body": '{"kind": "payment"}'})
    assert not pipe.accepts({"body": '{"kind": "other"}'})
    assert not pipe.accepts({"body": "no json"})


def test_several_filters_are_alternatives_and_none_takes_all() -> None:
    filters = [{"Pattern": json.dumps({"eventName": [name]})} for name in ("INSERT", "MODIFY")]
    parameters = intake()["SourceParameters"] | {"FilterCriteria": {"Filters": filters}}
    pipe = parse_pipe(intake(SourceParameters=parameters))
    assert [pipe.accepts({"eventName": name}) for name in ("INSERT", "MODIFY", "REMOVE")] == [True, True, False]
    assert parse_pipe(intake()).accepts({"eventName": "REMOVE"})


def test_only_pipes_that_nothing_else_runs_are_played() -> None:
    """A pipe that a real aws_pipes_pipe runs would be delivered twice."""
    pipes = {"intake": intake(), "rules": rules(managed=True), "off": intake(DesiredState="STOPPED")}
    assert [pipe.name for pipe in unmanaged_pipes({"pipes": {"value": pipes}})] == ["intake"]
    assert unmanaged_pipes({}) == []


@pytest.mark.parametrize(
    ("pipe", "named"),
    [
        (intake(Source="arn:aws:kinesis:eu-west-2:1:stream/x"), "kinesis"),
        (intake(Target=FUNCTION), "lambda target"),
        (intake(Enrichment=MACHINE), "enrichment"),
        (intake(EnrichmentParameters={"InputTemplate": "<$.x>"}), "InputTemplate"),
        (intake(TargetParameters={"InputTemplate": "x"}), "InputTemplate"),
        (intake(SourceParameters={"DynamoDBStreamParameters": {"StartingPosition": "AT_TIMESTAMP"}}), "AT_TIMESTAMP"),
        (
            intake(SourceParameters={"DynamoDBStreamParameters": {"StartingPosition": "LATEST", "NewThing": 1}}),
            "NewThing",
        ),
        (
            intake(SourceParameters={"DynamoDBStreamParameters": {"StartingPosition": "LATEST", "BatchSize": 0}}),
            "BatchSize",
        ),
        (intake(SourceParameters={}), "DynamoDBStreamParameters"),
        (rules(TargetParameters={"StepFunctionStateMachineParameters": {"InvocationType": "X"}}), "InvocationType"),
        (rules(SourceParameters={"FilterCriteria": {"Filters": [{"Pattern": "{"}]}}), "FilterCriteria"),
    ],
)
def test_what_cannot_be_played_faithfully_is_refused_by_name(pipe: dict[str, Any], named: str) -> None:
    with pytest.raises(UnsupportedDefinitionError, match=named):
        parse_pipe(pipe)
