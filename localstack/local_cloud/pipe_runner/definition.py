"""A pipe's definition: DescribePipe's answer, read strictly.

Whatever the runner would have to ignore is refused here, at start, by name. See
https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/API_DescribePipe.html
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from local_cloud.pipe_runner.errors import UnsupportedDefinitionError
from local_cloud.pipe_runner.event_pattern import Predicate, compile_pattern

INFINITE = -1
_QUEUE_BATCH_MAX = 10_000
_STREAM_BATCH_DEFAULT = 100
_QUEUE_BATCH_DEFAULT = 10


@dataclass(frozen=True, slots=True)
class Filter:
    """One pattern of FilterCriteria; `decodes_body` when it looks into a queue message's JSON body."""

    predicate: Predicate
    decodes_body: bool

    def matches(self, record: Mapping[str, Any]) -> bool:
        """Whether a source record passes. A body that the pattern must look into and is no JSON does not."""
        if not self.decodes_body:
            return self.predicate(record)
        try:
            body = json.loads(record.get("body", ""))
        except (TypeError, ValueError):
            return False
        return self.predicate({**record, "body": body})


@dataclass(frozen=True, slots=True)
class StreamSource:
    """A DynamoDB stream and how it is read. Ages and windows are in seconds; -1 means without limit."""

    arn: str
    starting_position: Literal["TRIM_HORIZON", "LATEST"]
    batch_size: int
    window_s: int
    retries_max: int
    record_age_max_s: int
    bisect: bool
    parallel_batches: int
    dead_letter_arn: str | None


@dataclass(frozen=True, slots=True)
class QueueSource:
    """An SQS queue; failures are the queue's own redrive policy's business."""

    arn: str
    batch_size: int
    window_s: int


@dataclass(frozen=True, slots=True)
class BusTarget:
    """An event bus; `detail_type` and `source` may be JSON paths into each event (`$.a.b`)."""

    arn: str
    detail_type: str
    source: str
    resources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StateMachineTarget:
    """A state machine; `wait` is REQUEST_RESPONSE: the execution's failure is the batch's failure."""

    arn: str
    wait: bool


@dataclass(frozen=True, slots=True)
class PipeDefinition:
    """Everything the runner needs to play one pipe."""

    name: str
    arn: str
    source: StreamSource | QueueSource
    filters: tuple[Filter, ...]
    enrichment_arn: str | None
    target: BusTarget | StateMachineTarget

    def accepts(self, record: Mapping[str, Any]) -> bool:
        """Whether a record passes the filter criteria; none means all pass, several mean any."""
        return not self.filters or any(one.matches(record) for one in self.filters)


def unmanaged_pipes(outputs: Mapping[str, Any]) -> list[PipeDefinition]:
    """The pipes of `terraform output -json` that no real `aws_pipes_pipe` runs.

    Raises UnsupportedDefinitionError for one that cannot be played faithfully.
    """
    pipes = (outputs.get("pipes") or {}).get("value") or {}
    return [parse_pipe(pipe) for _, pipe in sorted(pipes.items()) if _wants_runner(pipe)]


def _wants_runner(pipe: Mapping[str, Any]) -> bool:
    return not pipe.get("managed", False) and pipe.get("DesiredState", "RUNNING") != "STOPPED"


def parse_pipe(pipe: Mapping[str, Any]) -> PipeDefinition:
    """Read one DescribePipe-shaped object. Raises UnsupportedDefinitionError for what is not played."""
    name = str(pipe.get("Name", "?"))
    try:
        source_arn = str(pipe["Source"])
        source, filters = _source(source_arn, _present(pipe.get("SourceParameters")))
        return PipeDefinition(
            name=name,
            arn=str(pipe.get("Arn") or _arn_like(source_arn, "pipes", f"pipe/{name}")),
            source=source,
            filters=filters,
            enrichment_arn=_enrichment(pipe.get("Enrichment"), _present(pipe.get("EnrichmentParameters"))),
            target=_target(name, str(pipe["Target"]), source_arn, _present(pipe.get("TargetParameters"))),
        )
    except KeyError as error:
        msg = f"pipe {name}: {error} is missing"
        raise UnsupportedDefinitionError(msg) from error
    except UnsupportedDefinitionError as error:
        msg = f"pipe {name}: {error}"
        raise UnsupportedDefinitionError(msg) from error


def _present(value: Any) -> dict[str, Any]:
    """An object without what Terraform leaves null or empty."""
    return {key: one for key, one in (value or {}).items() if one not in (None, "", [], {})}


def _refuse_rest(where: str, given: Mapping[str, Any], played: set[str]) -> None:
    rest = sorted(set(given) - played)
    if rest:
        msg = f"{where}: {', '.join(rest)} is not played by the pipe runner"
        raise UnsupportedDefinitionError(msg)


def _service(arn: str) -> str:
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn":
        msg = f"{arn!r} is no ARN"
        raise UnsupportedDefinitionError(msg)
    return parts[2]


def _arn_like(arn: str, service: str, resource: str) -> str:
    """An ARN in the partition, region and account of another one."""
    parts = arn.split(":", 5)
    return ":".join([*parts[:2], service, *parts[3:5], resource])


def _source(arn: str, given: dict[str, Any]) -> tuple[StreamSource | QueueSource, tuple[Filter, ...]]:
    filters = tuple(_filter(one["Pattern"]) for one in _present(given.get("FilterCriteria")).get("Filters", []))
    service = _service(arn)
    if service == "dynamodb" and "/stream/" in arn:
        _refuse_rest("SourceParameters", given, {"FilterCriteria", "DynamoDBStreamParameters"})
        return _stream(arn, _present(given["DynamoDBStreamParameters"])), filters
    if service == "sqs":
        _refuse_rest("SourceParameters", given, {"FilterCriteria", "SqsQueueParameters"})
        return _queue(arn, _present(given.get("SqsQueueParameters"))), filters
    msg = f"a {service} source is not played; DynamoDB streams and SQS queues are"
    raise UnsupportedDefinitionError(msg)


def _filter(pattern: Any) -> Filter:
    try:
        decoded = json.loads(pattern) if isinstance(pattern, str) else pattern
    except json.JSONDecodeError as error:
        msg = f"FilterCriteria: {pattern!r} is not JSON"
        raise UnsupportedDefinitionError(msg) from error
    decodes_body = isinstance(decoded, Mapping) and isinstance(decoded.get("body"), Mapping)
    return Filter(predicate=compile_pattern(decoded), decodes_body=decodes_body)


def _stream(arn: str, given: dict[str, Any]) -> StreamSource:
    played = {
        "StartingPosition",
        "BatchSize",
        "MaximumBatchingWindowInSeconds",
        "MaximumRetryAttempts",
        "MaximumRecordAgeInSeconds",
        "OnPartialBatchItemFailure",
        "ParallelizationFactor",
        "DeadLetterConfig",
    }
    _refuse_rest("DynamoDBStreamParameters", given, played)
    position = given["StartingPosition"]
    if position not in {"TRIM_HORIZON", "LATEST"}:
        msg = f"StartingPosition {position!r} is not played"
        raise UnsupportedDefinitionError(msg)
    dead_letter_arn = _present(given.get("DeadLetterConfig")).get("Arn")
    if dead_letter_arn is not None and _service(dead_letter_arn) != "sqs":
        raise UnsupportedDefinitionError("DeadLetterConfig: only an SQS queue is played")
    return StreamSource(
        arn=arn,
        starting_position=position,
        batch_size=_bounded("BatchSize", given.get("BatchSize", _STREAM_BATCH_DEFAULT), 1, 10_000),
        window_s=_bounded("MaximumBatchingWindowInSeconds", given.get("MaximumBatchingWindowInSeconds", 0), 0, 300),
        retries_max=_bounded("MaximumRetryAttempts", given.get("MaximumRetryAttempts", INFINITE), INFINITE, 10_000),
        record_age_max_s=_bounded(
            "MaximumRecordAgeInSeconds", given.get("MaximumRecordAgeInSeconds", INFINITE), INFINITE, 604_800
        ),
        bisect=given.get("OnPartialBatchItemFailure") == "AUTOMATIC_BISECT",
        parallel_batches=_bounded("ParallelizationFactor", given.get("ParallelizationFactor", 1), 1, 10),
        dead_letter_arn=dead_letter_arn,
    )


def _queue(arn: str, given: dict[str, Any]) -> QueueSource:
    _refuse_rest("SqsQueueParameters", given, {"BatchSize", "MaximumBatchingWindowInSeconds"})
    return QueueSource(
        arn=arn,
        batch_size=_bounded("BatchSize", given.get("BatchSize", _QUEUE_BATCH_DEFAULT), 1, _QUEUE_BATCH_MAX),
        window_s=_bounded("MaximumBatchingWindowInSeconds", given.get("MaximumBatchingWindowInSeconds", 0), 0, 300),
    )


def _bounded(name: str, value: Any, low: int, high: int) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError) as error:
        msg = f"{name} must be a whole number, not {value!r}"
        raise UnsupportedDefinitionError(msg) from error
    if not low <= number <= high:
        msg = f"{name} must be between {low} and {high}, not {number}"
        raise UnsupportedDefinitionError(msg)
    return number


def _enrichment(arn: Any, parameters: dict[str, Any]) -> str | None:
    _refuse_rest("EnrichmentParameters", parameters, set())
    if not arn:
        return None
    if _service(str(arn)) != "lambda":
        raise UnsupportedDefinitionError("only a Lambda function is played as enrichment")
    return str(arn)


def _target(name: str, arn: str, source_arn: str, parameters: dict[str, Any]) -> BusTarget | StateMachineTarget:
    service = _service(arn)
    if service == "events":
        _refuse_rest("TargetParameters", parameters, {"EventBridgeEventBusParameters"})
        given = _present(parameters.get("EventBridgeEventBusParameters"))
        _refuse_rest("EventBridgeEventBusParameters", given, {"DetailType", "Source", "Resources"})
        return BusTarget(
            arn=arn,
            # The defaults that AWS documents for a pipe without these parameters.
            detail_type=str(given.get("DetailType", f"Event from aws:{_service(source_arn)}")),
            source=str(given.get("Source", f"Pipe {name}")),
            resources=tuple(given.get("Resources", ())),
        )
    if service == "states":
        _refuse_rest("TargetParameters", parameters, {"StepFunctionStateMachineParameters"})
        given = _present(parameters.get("StepFunctionStateMachineParameters"))
        invocation = given.get("InvocationType", "FIRE_AND_FORGET")
        if invocation not in {"REQUEST_RESPONSE", "FIRE_AND_FORGET"}:
            msg = f"InvocationType {invocation!r} is not played"
            raise UnsupportedDefinitionError(msg)
        return StateMachineTarget(arn=arn, wait=invocation == "REQUEST_RESPONSE")
    msg = f"a {service} target is not played; event buses and state machines are"
    raise UnsupportedDefinitionError(msg)
