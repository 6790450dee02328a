"""Looks into dead-letter queues without taking anything out of them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from botocore.exceptions import ClientError

from postrail.stages.decode import scrub_body

HIDE_SECONDS = 20
"""A letter that was looked at stays hidden this long, so that the next look finds new letters only."""
LETTERS_PER_LOOK_MAX = 2_000
"""Bound on what one look reads from one queue."""
RETRIES_EXHAUSTED = "RETRIES_EXHAUSTED"
"""Reason of a letter without one: the queue gave the message up after its last delivery."""
STREAM_RECORDS_MAX = 1_000
"""GetRecords gives no more at once."""
_DEPTH_MAX = 6
_ERROR_CHARS_MAX = 300

Ids = tuple[str | None, str | None]
"""Payment id and correlation id, as far as they are known."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What a dead-letter queue says of one payment; `at` is when it was sent there, in seconds of the epoch.

    A pipe's message is about a range of records: it gives one letter for each, and `payments` is how many.
    """

    queue: str
    message_id: str
    receipt_handle: str
    payment_id: str | None
    correlation_id: str | None
    reason: str
    detail: str
    at: float
    body: str
    payments: int = 1
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Message attributes by name: those of our functions, or those that EventBridge adds (RULE_ARN, TARGET_ARN)."""


class DeadLetterReader:
    """Reads several dead-letter queues by hiding what it has read for a moment. `close` shows it all again."""

    def __init__(
        self, sqs: Any, queues: Mapping[str, str], *, streams: Any = None, hide_seconds: int = HIDE_SECONDS
    ) -> None:
        """`streams` is a DynamoDB Streams client: with it the records that a pipe gave up can be named.

        `hide_seconds` is how long a letter that was looked at stays hidden from others, `close` notwithstanding.
        """
        self._sqs = sqs
        self._queues = queues
        self._streams = streams
        self._hide_seconds = hide_seconds
        self._held: dict[tuple[str, str], str] = {}
        self._seen: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def look(self) -> list[Letter]:
        """The letters that no earlier look has shown."""
        return [letter for name, url in self._queues.items() for letter in self._look_into(name, url)]

    def delete(self, letter: Letter) -> None:
        """Take a letter's message out for good, and with it whatever else the message is about."""
        url = self._queues[letter.queue]
        self._sqs.delete_message(QueueUrl=url, ReceiptHandle=letter.receipt_handle)
        self._held.pop((url, letter.message_id), None)

    def close(self) -> None:
        """Make everything that was looked at visible again."""
        by_queue: dict[str, list[str]] = {}
        for (url, _), handle in self._held.items():
            by_queue.setdefault(url, []).append(handle)
        for url, handles in by_queue.items():
            for start in range(0, len(handles), 10):
                entries = [
                    {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                    for number, handle in enumerate(handles[start : start + 10])
                ]
                # A handle whose time is over fails alone; its letter is visible already.
                self._sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
        self._held.clear()

    def _look_into(self, name: str, url: str) -> Iterator[Letter]:
        read = 0
        while read < LETTERS_PER_LOOK_MAX:
            answer = self._sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=self._hide_seconds,
                WaitTimeSeconds=0,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["SentTimestamp"],
            )
            messages = answer.get("Messages", [])
            if not messages:
                return
            read += len(messages)
            for message in messages:
                place = (url, message["MessageId"])
                self._held[place] = message["ReceiptHandle"]
                if place not in self._seen:
                    self._seen.add(place)
                    yield from self._letters_of(read_letter(name, message))

    def _letters_of(self, letter: Letter) -> list[Letter]:
        ids = stream_record_ids(letter.body, self._streams)
        if not ids:
            return [letter]
        return [
            replace(letter, payment_id=payment_id, correlation_id=correlation_id, payments=len(ids))
            for payment_id, correlation_id in ids
        ]


def stream_record_ids(body: str, streams: Any) -> list[Ids]:
    """The payments that a pipe's dead letter is about; [] when it is another kind of letter or they cannot be told.

    AWS names a range of the table's stream, which keeps its records for 24 hours. The local pipe runner names the
    keys as well, because an emulator's stream ends with the emulator.
    """
    try:
        document = json.loads(body)
    except ValueError:
        return []
    batch = document.get("DDBStreamBatchInfo") if isinstance(document, dict) else None
    if not isinstance(batch, dict):
        return []
    keys = (document.get("items") or {}).get("keys") or []
    if keys:
        return [(_text(key.get("payment_id")), None) for key in keys]
    return _read_range(streams, batch) if streams is not None else []


def _read_range(streams: Any, batch: Mapping[str, Any]) -> list[Ids]:
    ids: list[Ids] = []
    for record in read_stream_range(streams, batch):
        image = record["dynamodb"].get("NewImage", {})
        ids.append((_text(image.get("payment_id")), _text(image.get("correlation_id"))))
    return ids


def read_stream_range(streams: Any, batch: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The records of the range that a pipe's dead letter names; [] when the stream has moved on."""
    try:
        iterator = streams.get_shard_iterator(
            StreamArn=batch["streamArn"],
            ShardId=batch["shardId"],
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            SequenceNumber=batch["startSequenceNumber"],
        )["ShardIterator"]
        size = min(int(batch["batchSize"]), STREAM_RECORDS_MAX)
        records: list[dict[str, Any]] = streams.get_records(ShardIterator=iterator, Limit=size)["Records"]
    except (ClientError, KeyError, ValueError):
        return []
    return records


def read_letter(queue: str, message: Mapping[str, Any]) -> Letter:
    """What a dead letter says of itself: by its attributes, or, when the queue put it there, by its body."""
    attributes = {
        name: str(value.get("StringValue", "")) for name, value in message.get("MessageAttributes", {}).items()
    }
    body = message.get("Body", "")
    payment_id, correlation_id = attributes.get("payment_id"), attributes.get("correlation_id")
    if not (payment_id and correlation_id):
        found_payment, found_correlation = find_ids(body)
        payment_id, correlation_id = payment_id or found_payment, correlation_id or found_correlation
    reason, detail = _cause(attributes, body)
    return Letter(
        queue=queue,
        message_id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        payment_id=payment_id or None,
        correlation_id=correlation_id or None,
        reason=reason,
        detail=detail,
        at=int(message.get("Attributes", {}).get("SentTimestamp", 0)) / 1000,
        body=body,
        attributes=attributes,
    )


def _cause(attributes: Mapping[str, str], body: str) -> tuple[str, str]:
    """Reason and detail: a function's own words, else those of EventBridge, else those of Lambda's destination."""
    if "reason" in attributes:
        return attributes["reason"], attributes.get("detail", "")
    if "ERROR_CODE" in attributes:
        return attributes["ERROR_CODE"], attributes.get("ERROR_MESSAGE", "")
    return RETRIES_EXHAUSTED, attributes.get("detail") or _lambda_error(body)


def _lambda_error(body: str) -> str:
    """What the function said when it failed for the last time, if Lambda wrote the letter."""
    document = lambda_destination(body)
    answer = document.get("responsePayload") if document else None
    if not isinstance(answer, dict):
        return ""
    return scrub_body(f"{answer.get('errorType', 'error')}: {answer.get('errorMessage', '')}")[:_ERROR_CHARS_MAX]


def lambda_destination(body: str) -> dict[str, Any] | None:
    """The record that Lambda sends to an on-failure destination (`requestPayload` is the event), or None."""
    try:
        document = json.loads(body)
    except ValueError:
        return None
    if isinstance(document, dict) and "requestPayload" in document and "requestContext" in document:
        return document
    return None


def find_ids(body: str) -> Ids:
    """Payment id and correlation id in a message: an event's metadata, or a stream record's new image."""
    try:
        document = json.loads(body)
    except ValueError:
        return None, None
    return _find_ids(document, 0)


def _find_ids(document: Any, depth: int) -> Ids:
    if depth > _DEPTH_MAX:
        return None, None
    if isinstance(document, list):
        children = document[:10]
    elif isinstance(document, dict):
        for holder in (document.get("metadata"), document.get("NewImage")):
            if isinstance(holder, dict) and "correlation_id" in holder:
                return _text(holder.get("payment_id")), _text(holder.get("correlation_id"))
        children = list(document.values())[:50]
    else:
        return None, None
    found = (_find_ids(child, depth + 1) for child in children)
    return next((ids for ids in found if any(ids)), (None, None))


def _text(value: Any) -> str | None:
    if isinstance(value, dict):  # an attribute value of DynamoDB
        value = value.get("S")
    return value if isinstance(value, str) else None
