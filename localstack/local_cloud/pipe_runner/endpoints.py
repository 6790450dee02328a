"""The calls that a pipe makes: enrichment, targets, dead-letter queue. Each class wraps one AWS operation.

`Enrichment`, `Target` and `DeadLetters` are what `delivery` asks for; tests put fakes in their place.
"""

import json
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from local_cloud.pipe_runner.definition import BusTarget, StateMachineTarget
from local_cloud.pipe_runner.errors import CloudUnavailableError, DeliveryError, translated

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

logger = logging.getLogger(__name__)

Record = Mapping[str, Any]

# PutEvents takes ten entries and 256 KB (of 1,024) a call; an emulator that does not check must not be fed more.
_ENTRIES_MAX = 10
_ENTRIES_BYTES_MAX = 256 * 1024
_SEND_ATTEMPTS_MAX = 5
# Error codes of single entries that another attempt cannot cure.
_HOPELESS = frozenset({"MalformedDetail", "InvalidArgument", "ValidationException", "NotAuthorizedForSourceException"})


class Enrichment(Protocol):
    """Turns a batch of source records into a batch of events for the target."""

    def __call__(self, records: Sequence[Record]) -> list[Any]:
        """Return the events, possibly fewer or none. Raises DeliveryError or CloudUnavailableError."""


class Target(Protocol):
    """Takes a batch of events."""

    def __call__(self, events: Sequence[Any]) -> None:
        """Deliver all events. Raises DeliveryError or CloudUnavailableError."""


class DeadLetters(Protocol):
    """Takes the description of records that could not be delivered."""

    def __call__(self, body: Mapping[str, Any], attributes: Mapping[str, str]) -> None:
        """Store one description. Raises DeliveryError or CloudUnavailableError."""


class LambdaEnrichment:
    """A Lambda function, invoked synchronously with the whole batch."""

    def __init__(self, client: "LambdaClient", function_arn: str) -> None:
        self._client = client
        self._function_arn = function_arn

    def __call__(self, records: Sequence[Record]) -> list[Any]:
        """Invoke with the list of records; an empty answer ("", {}, [] or null) means nothing goes on."""
        with translated("Invoke"):
            answer = self._client.invoke(
                FunctionName=self._function_arn,
                InvocationType="RequestResponse",
                Payload=json.dumps(records, separators=(",", ":")).encode(),
            )
            payload = answer["Payload"].read()
        decoded = json.loads(payload) if payload else None
        if answer.get("FunctionError"):
            # Only the type: an error's message may quote the payment that caused it.
            kind = decoded.get("errorType", "Unhandled") if isinstance(decoded, dict) else "Unhandled"
            msg = f"enrichment failed: {kind}"
            raise DeliveryError(msg)
        if isinstance(decoded, list):
            return decoded
        return [decoded] if decoded else []


class EventBusTarget:
    """PutEvents in tens; `FailedEntryCount` is read and only the failed entries are sent again."""

    def __init__(self, client: "EventBridgeClient", target: BusTarget, sleep: Callable[[float], None]) -> None:
        self._client = client
        self._target = target
        self._sleep = sleep

    def __call__(self, events: Sequence[Any]) -> None:
        """Put all events on the bus."""
        chunk: list[PutEventsRequestEntryTypeDef] = []
        chunk_bytes = 0
        for event in events:
            entry = self._entry(event)
            size = _entry_bytes(entry)
            if size > _ENTRIES_BYTES_MAX:
                msg = f"event of {size} bytes exceeds the bus's limit"
                raise DeliveryError(msg, permanent=True)
            if chunk and (len(chunk) == _ENTRIES_MAX or chunk_bytes + size > _ENTRIES_BYTES_MAX):
                self._put(chunk)
                chunk, chunk_bytes = [], 0
            chunk.append(entry)
            chunk_bytes += size
        if chunk:
            self._put(chunk)

    def _entry(self, event: Any) -> "PutEventsRequestEntryTypeDef":
        if not isinstance(event, dict):
            raise DeliveryError("an event for the bus must be a JSON object", permanent=True)
        entry: PutEventsRequestEntryTypeDef = {
            "EventBusName": self._target.arn,
            "Source": _resolved(self._target.source, event),
            "DetailType": _resolved(self._target.detail_type, event),
            "Detail": json.dumps(event, separators=(",", ":"), ensure_ascii=False),
        }
        if self._target.resources:
            entry["Resources"] = list(self._target.resources)
        return entry

    def _put(self, entries: "list[PutEventsRequestEntryTypeDef]") -> None:
        for attempt in range(1, _SEND_ATTEMPTS_MAX + 1):
            with translated("PutEvents"):
                answer = self._client.put_events(Entries=entries)
            if not answer["FailedEntryCount"]:
                return
            failed = [
                (entry, str(result["ErrorCode"]))
                for entry, result in zip(entries, answer["Entries"], strict=True)
                if result.get("ErrorCode")
            ]
            codes = sorted({code for _, code in failed})
            logger.warning("entries failed", extra={"fields": {"count": len(failed), "codes": codes}})
            if _HOPELESS.intersection(codes):
                msg = f"PutEvents refused entries: {', '.join(codes)}"
                raise DeliveryError(msg)
            entries = [entry for entry, _ in failed]
            if attempt < _SEND_ATTEMPTS_MAX:
                self._sleep(backoff_s(attempt))
        msg = f"PutEvents kept failing for {len(entries)} entries: {', '.join(codes)}"
        raise DeliveryError(msg)


class StateMachineStart:
    """A state machine: StartSyncExecution where the pipe waits for the result, StartExecution where it does not."""

    def __init__(self, client: "SFNClient", target: StateMachineTarget) -> None:
        self._client = client
        self._target = target

    def __call__(self, events: Sequence[Any]) -> None:
        """Run the machine with the list of events; a run that does not succeed fails the batch."""
        batch = json.dumps(list(events), separators=(",", ":"), ensure_ascii=False)
        if not self._target.wait:
            with translated("StartExecution"):
                self._client.start_execution(stateMachineArn=self._target.arn, input=batch)
            return
        with translated("StartSyncExecution"):
            answer = self._client.start_sync_execution(stateMachineArn=self._target.arn, input=batch)
        if answer["status"] != "SUCCEEDED":
            msg = f"execution {answer['status']}: {answer.get('error', 'no error name')}"
            raise DeliveryError(msg)


class DeadLetterQueue:
    """The pipe's dead-letter queue."""

    def __init__(self, client: "SQSClient", queue_url: Callable[[], str]) -> None:
        self._client = client
        self._queue_url = queue_url

    def __call__(self, body: Mapping[str, Any], attributes: Mapping[str, str]) -> None:
        """Send one message. A queue that cannot be reached is never a reason to skip records."""
        try:
            with translated("SendMessage"):
                self._client.send_message(
                    QueueUrl=self._queue_url(),
                    MessageBody=json.dumps(body, separators=(",", ":")),
                    MessageAttributes={
                        name: {"DataType": "String", "StringValue": value}
                        for name, value in attributes.items()
                        if value
                    },
                )
        except DeliveryError as error:
            msg = f"dead-letter queue: {error}"
            raise CloudUnavailableError(msg) from error


def backoff_s(attempt: int, *, base_s: float = 0.1, cap_s: float = 10.0) -> float:
    """Seconds to wait before attempt + 1: exponential, with jitter over the upper half."""
    return min(cap_s, base_s * 2.0 ** min(attempt - 1, 30)) * random.uniform(0.5, 1.0)


def _entry_bytes(entry: "PutEventsRequestEntryTypeDef") -> int:
    """The size as AWS counts it (Source, DetailType, Detail and Resources in UTF-8).

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html
    """
    texts = [entry["Source"], entry["DetailType"], entry["Detail"], *entry.get("Resources", [])]
    return sum(len(text.encode()) for text in texts)


def _resolved(template: str, event: Mapping[str, Any]) -> str:
    """A dynamic path parameter: `$.a.b` stands for that field of the event, anything else for itself."""
    if not template.startswith("$."):
        return template
    value: Any = event
    for key in template[2:].split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    if not isinstance(value, str) or not value:
        msg = f"event has no text at {template}"
        raise DeliveryError(msg, permanent=True)
    return value
