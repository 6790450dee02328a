"""Sends dead letters on their way again, each by the way that it came.

A stage's letter goes back into the stage's queue, or to its function where nothing is queued. What a rule could not
deliver goes to that rule's target. Records that the intake pipe gave up go through the duplicate check once more,
in the name of their first owner: a marker that they left themselves does not make duplicates of them.

The letter is deleted after it was sent, never before. So it may be sent twice, and that changes nothing: every
consumer knows what it has done already.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from postrail.adapters.aws.bus import EventBridgeBus
from postrail.cli.dead_letters import (
    STREAM_RECORDS_MAX,
    DeadLetterReader,
    Letter,
    lambda_destination,
    read_stream_range,
)
from postrail.cli.graph import Graph
from postrail.contracts.events import PaymentAccepted
from postrail.contracts.payment import Authorization
from postrail.domain.errors import PostrailError
from postrail.stages.deduplicate import payment_key_of

_INPUT_BYTES_MAX: Final = 256 * 1024
UNDELIVERED: Final = "rules-undelivered"
INTAKE_PIPE: Final = "intake-pipe-dlq"
BATCH: Final = "batch-dlq"
RULES: Final = "apply-rules"
DOOR: Final = "deduplicate"

Send = Callable[[], None]


class CannotRedrive(PostrailError):
    """This letter has no way back; the message says what to do instead."""


@dataclass(frozen=True, slots=True)
class Redriven:
    """What became of one letter. `to` names where it went; empty when `remark` says why it stayed."""

    letter: Letter
    to: str
    remark: str = ""


class Redriver:
    """Sends letters back into the graph, at most `per_second` of them."""

    def __init__(
        self,
        graph: Graph,
        *,
        per_second: float,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._graph = graph
        self._pause_s = 1 / per_second
        self._sleep = sleep
        self._now = now

    def redrive(
        self, reader: DeadLetterReader, letters: Sequence[Letter], told: Callable[[Redriven], None]
    ) -> list[Redriven]:
        """Send each letter, then delete it; `told` hears of each. One that cannot go stays and takes nobody along."""
        results: list[Redriven] = []
        due = self._now()
        for letter in letters:
            wait = due - self._now()
            if wait > 0:
                self._sleep(wait)
            due = max(due, self._now()) + self._pause_s
            result = self._redrive_one(reader, letter)
            results.append(result)
            told(result)
        return results

    def replay(self, payment_ids: Sequence[str]) -> int:
        """Send rows of the authorizations table through the duplicate check again; how many there were.

        Raises CannotRedrive when the check, or the bus behind it, does not take them.
        """
        records = self._from_table([{"payment_id": {"S": payment_id}} for payment_id in payment_ids])
        if records:
            self._through_check(records)[1]()
        return len(records)

    def way(self, letter: Letter) -> tuple[str, Send]:
        """Where the letter goes, and what sends it there. Raises CannotRedrive."""
        if letter.attributes.get("truncated") == "true":
            raise CannotRedrive("its body was cut to fit the queue: ask the producer to send the payment again.")
        if "TARGET_ARN" in letter.attributes and letter.queue != BATCH:
            return self._to_target(letter.attributes["TARGET_ARN"], letter.body)
        if letter.queue == UNDELIVERED:
            return self._to_bus(letter.body)
        if letter.queue == BATCH:
            return self._touch_file(letter.body)
        if letter.queue == INTAKE_PIPE:
            return self._through_check(self._records_of(letter))
        record = _stream_record(letter.body)
        if record is not None:
            return self._through_check([record])
        return self._to_stage(letter)

    def _redrive_one(self, reader: DeadLetterReader, letter: Letter) -> Redriven:
        try:
            to, send = self.way(letter)
            send()
        except CannotRedrive as error:
            return Redriven(letter, "", str(error))
        except (BotoCoreError, ClientError) as error:
            return Redriven(letter, "", f"AWS refused it ({error}): try again.")
        reader.delete(letter)
        return Redriven(letter, to)

    def _to_stage(self, letter: Letter) -> tuple[str, Send]:
        stage = letter.queue.removesuffix("-dlq")
        queue = self._graph.outputs.queues.get(stage)
        if queue is None:
            raise CannotRedrive(f"no stage of this graph reads from {stage}: was the graph changed since?")
        if queue.url:
            return self._to_queue(queue.url, letter.body, f"queue {stage}")
        document = lambda_destination(letter.body)
        body = json.dumps(document["requestPayload"]) if document else letter.body
        if stage == RULES:
            return self._to_state_machine(self._graph.outputs.state_machine_arn, body)
        return self._to_function(self._graph.function(_FUNCTIONS.get(stage, stage.replace("-", "_"))), body)

    def _to_target(self, arn: str, body: str) -> tuple[str, Send]:
        service, resource = arn.split(":")[2], arn.split(":", 5)[5]
        if service == "sqs":
            url = self._graph.client("sqs").get_queue_url(QueueName=resource)["QueueUrl"]
            return self._to_queue(url, body, f"queue {resource}")
        if service == "lambda":
            return self._to_function(arn, body)
        if service == "states":
            return self._to_state_machine(arn, body)
        if service == "sns":
            return f"topic {resource}", lambda: self._graph.client("sns").publish(TopicArn=arn, Message=body)
        raise CannotRedrive(f"its target {arn} is of a kind that nothing can be sent to.")

    def _to_queue(self, url: str, body: str, name: str) -> tuple[str, Send]:
        return name, lambda: self._graph.client("sqs").send_message(QueueUrl=url, MessageBody=body)

    def _to_function(self, name: str, body: str) -> tuple[str, Send]:
        def send() -> None:
            self._graph.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=body.encode())

        return f"function {name.rsplit(':', 1)[-1]}", send

    def _to_state_machine(self, arn: str, body: str) -> tuple[str, Send]:
        if not arn or len(body.encode()) > _INPUT_BYTES_MAX:
            raise CannotRedrive("the state machine takes 256 KB at most, and this graph must name one.")
        return "rules engine", lambda: self._graph.client("stepfunctions").start_execution(
            stateMachineArn=arn, input=body
        )

    def _to_bus(self, body: str) -> tuple[str, Send]:
        event = _object(body)
        source, detail_type, detail = event.get("source"), event.get("detail-type"), event.get("detail")
        if not (isinstance(source, str) and isinstance(detail_type, str) and isinstance(detail, dict)):
            raise CannotRedrive("it is no event: look at it with `postrail dlq show`.")

        def send() -> None:
            entry = {
                "Source": source,
                "DetailType": detail_type,
                "Detail": json.dumps(detail, ensure_ascii=False),
                "EventBusName": self._graph.outputs.bus_name,
            }
            if self._graph.client("events").put_events(Entries=[entry])["FailedEntryCount"]:
                raise CannotRedrive("the bus did not take it: try again.")

        return "bus", send

    def _touch_file(self, body: str) -> tuple[str, Send]:
        """An object that is copied onto itself is created anew: its bucket tells so, and a run starts."""
        bucket, key = _file_of(body)

        def send() -> None:
            self._graph.client("s3").copy_object(
                Bucket=bucket,
                Key=key,
                CopySource=f"{bucket}/{quote(key)}",
                MetadataDirective="REPLACE",
                Metadata={"postrail-redriven": str(int(time.time()))},
            )

        return f"s3://{bucket}/{key}", send

    def _through_check(self, records: Sequence[Mapping[str, Any]]) -> tuple[str, Send]:
        """As the pipe does it: the duplicate check answers with what is accepted, and that goes to the bus."""

        def send() -> None:
            answer = self._graph.client("lambda").invoke(
                FunctionName=self._graph.function(DOOR), Payload=json.dumps(records).encode()
            )
            accepted = json.loads(answer["Payload"].read() or b"null")
            if "FunctionError" in answer or not isinstance(accepted, list):
                raise CannotRedrive("the duplicate check failed on it: its log has the reason.")
            bus = EventBridgeBus(self._graph.client("events"), self._graph.outputs.bus_name)
            details = [(PaymentAccepted.detail_type(), json.dumps(detail, ensure_ascii=False)) for detail in accepted]
            if bus.publish_raw(details):
                raise CannotRedrive("the bus did not take all of it: try again.")

        return "duplicate check" + (f", {len(records)} records" if len(records) > 1 else ""), send

    def _records_of(self, letter: Letter) -> list[Mapping[str, Any]]:
        """The records that a pipe's letter is about: from the stream, else from the table by their keys."""
        document = _object(letter.body)
        batch = document.get("DDBStreamBatchInfo")
        if not isinstance(batch, dict):
            raise CannotRedrive("it names no records: look at it with `postrail dlq show`.")
        keys = (document.get("items") or {}).get("keys") or []
        records = self._from_table(keys) if keys else self._from_stream(batch)
        if not records:
            raise CannotRedrive(
                "the stream forgot its records (after 24 hours) and it names no keys: find the authorizations of "
                f"{batch.get('approximateArrivalOfFirstRecord', 'that time')} in the table and send them again."
            )
        return records

    def _from_stream(self, batch: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        records = read_stream_range(self._graph.client("dynamodbstreams"), batch)
        return [
            {"eventID": record["eventID"], "eventName": "INSERT", "dynamodb": {"NewImage": image}}
            for record in records
            if record.get("eventName") == "INSERT" and _goes_on(image := record["dynamodb"].get("NewImage", {}))
        ]

    def _from_table(self, keys: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        dynamodb = self._graph.client("dynamodb")
        records: list[Mapping[str, Any]] = []
        for key in keys[:STREAM_RECORDS_MAX]:
            row = dynamodb.get_item(TableName=self._graph.table("authorizations"), Key=key).get("Item")
            if row is not None and _goes_on(row):
                image = {"eventID": self._owner(row), "eventName": "INSERT", "dynamodb": {"NewImage": row}}
                records.append(image)
        return records

    def _owner(self, row: Mapping[str, Any]) -> str:
        """Who may claim this payment: the owner of the marker that stands, if it is this payment's own."""
        payment_id = str(row["payment_id"]["S"])
        try:
            key = payment_key_of(Authorization.model_validate_json(row["authorization"]["S"]))
        except (KeyError, ValidationError):
            return f"redrive-{payment_id}"
        marker = self._graph.client("dynamodb").get_item(
            TableName=self._graph.table("dedup"), Key={"payment_key": {"S": key}}, ConsistentRead=True
        )
        item = marker.get("Item", {})
        if item.get("payment_id", {}).get("S") == payment_id:
            return str(item["owner"]["S"])
        return f"redrive-{payment_id}"


_FUNCTIONS: Final = {"posting": "post"}
"""Stages whose queue has another name than their function."""


def _goes_on(row: Mapping[str, Any]) -> bool:
    """What the pipe's filter lets through: approvals that are no pre-authorisations."""
    return str(row.get("action_code", {}).get("S", "")).startswith("00") and "capture" not in row


def _stream_record(body: str) -> Mapping[str, Any] | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) and "dynamodb" in document and "eventID" in document else None


def _object(body: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise CannotRedrive("it is no JSON object: look at it with `postrail dlq show`.")
    return document


def _file_of(body: str) -> tuple[str, str]:
    """Bucket and key of the batch file: from the command that was to run it, or from S3's own event."""
    document = _object(body)
    detail = document.get("detail")
    if isinstance(detail, dict):
        bucket, key = detail.get("bucket", {}).get("name"), detail.get("object", {}).get("key")
        if isinstance(bucket, str) and isinstance(key, str):
            return bucket, key
    overrides = document.get("containerOverrides")
    command = overrides[0].get("command", []) if isinstance(overrides, list) and overrides else []
    for argument in command:
        if isinstance(argument, str) and argument.startswith("s3://"):
            bucket, _, key = argument.removeprefix("s3://").partition("/")
            return bucket, key
    raise CannotRedrive("it names no file: look at it with `postrail dlq show`.")
