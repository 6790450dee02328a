"""Reads an SQS queue: receive, filter, deliver in parallel, delete on success.

A failing batch is left alone: it becomes visible again and the queue's redrive policy decides, as with a real pipe.
Polls are short ones. A long poll that dies with its process takes messages with it for a visibility timeout, and the
emulator looks at a polled queue only every 100 ms, which would be added to every payment.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from local_cloud.pipe_runner.counters import PipeCounters
from local_cloud.pipe_runner.definition import PipeDefinition, QueueSource
from local_cloud.pipe_runner.delivery import send
from local_cloud.pipe_runner.endpoints import Enrichment, Record, Target, backoff_s
from local_cloud.pipe_runner.errors import CloudUnavailableError, DeliveryError, StoppedError, translated

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

logger = logging.getLogger(__name__)

# A state machine's run takes at least 150 ms in the emulator, whatever it does.
PARALLEL_BATCHES: Final = 12
_RECEIVE_MAX: Final = 10
_IDLE_MIN_S: Final = 0.02
_IDLE_MAX_S: Final = 0.05
_BURST_IDLE_S: Final = 0.15
"""The first wait after a full batch: many are on their way, and a moment later they fill a batch again."""

Sleep = Callable[[float], None]


class QueueReader:
    """One pipe with a queue as its source. `sleep` raises StoppedError when the runner is told to stop."""

    def __init__(
        self,
        client: "SQSClient",
        definition: PipeDefinition,
        source: QueueSource,
        *,
        queue_url: Callable[[], str],
        enrichment: Enrichment | None,
        target: Target,
        counters: PipeCounters,
        sleep: Sleep,
    ) -> None:
        self._client = client
        self._definition = definition
        self._source = source
        self._queue_url = queue_url
        self._enrichment = enrichment
        self._target = target
        self._counters = counters
        self._sleep = sleep
        self._places = threading.BoundedSemaphore(PARALLEL_BATCHES)

    def run(self) -> None:
        """Play until told to stop, then wait for the batches in hand."""
        with ThreadPoolExecutor(PARALLEL_BATCHES, thread_name_prefix=self._definition.name) as pool:
            try:
                self._poll(pool)
            except StoppedError:
                return

    def _poll(self, pool: ThreadPoolExecutor) -> None:
        idle_s = _IDLE_MIN_S
        while True:
            # The place is taken before receiving: a message waits in the queue, visible, and not in our memory.
            while not self._places.acquire(timeout=0.1):
                self._sleep(0.0)
            messages = self._batch()
            if not messages:
                self._places.release()
                self._sleep(idle_s)
                idle_s = min(_IDLE_MAX_S, idle_s * 1.2)
                continue
            idle_s = _IDLE_MIN_S if len(messages) < self._source.batch_size else _BURST_IDLE_S
            pool.submit(self._settle, messages)
            self._sleep(0.0)

    def _batch(self) -> "list[MessageTypeDef]":
        """Up to batch_size messages; a window, where the pipe has one, is waited for to fill the batch."""
        messages = self._receive(self._source.batch_size)
        deadline = time.monotonic() + self._source.window_s
        while messages and len(messages) < self._source.batch_size:
            more = self._receive(self._source.batch_size - len(messages))
            messages.extend(more)
            if not more:
                if time.monotonic() >= deadline:
                    break
                time.sleep(_IDLE_MAX_S)
        return messages

    def _receive(self, wanted: int) -> "list[MessageTypeDef]":
        attempt = 0
        while True:
            try:
                with translated("ReceiveMessage"):
                    answer = self._client.receive_message(
                        QueueUrl=self._queue_url(),
                        MaxNumberOfMessages=min(wanted, _RECEIVE_MAX),
                        WaitTimeSeconds=0,
                        MessageAttributeNames=["All"],
                        MessageSystemAttributeNames=["All"],
                    )
            except (CloudUnavailableError, DeliveryError) as error:
                attempt += 1
                if attempt == 1:
                    self._counters.state = "waiting for the queue"
                    self._note("waiting for the queue", cause=str(error))
                self._sleep(backoff_s(attempt, cap_s=1.0))
            else:
                self._counters.state = "reading"
                return list(answer.get("Messages", []))

    def _settle(self, messages: "Sequence[MessageTypeDef]") -> None:
        """Deliver a batch and delete it; never raises, for its place must become free again."""
        try:
            pairs = [(message, to_pipe_record(message, self._source.arn)) for message in messages]
            accepted = [(message, record) for message, record in pairs if self._definition.accepts(record)]
            if self._delivered([record for _, record in accepted]):
                self._delete(messages)
                self._counters.add(delivered=len(accepted), filtered=len(messages) - len(accepted))
        except StoppedError:
            return
        except Exception:
            logger.exception("batch failed unexpectedly", extra={"fields": {"pipe": self._definition.name}})
        finally:
            self._places.release()

    def _delivered(self, records: Sequence[Record]) -> bool:
        if not records:
            return True
        try:
            send(records, self._enrichment, self._target)
        except (CloudUnavailableError, DeliveryError) as error:
            self._counters.add(retried=len(records))
            self._note("batch left on the queue", count=len(records), cause=str(error))
            return False
        return True

    def _delete(self, messages: "Sequence[MessageTypeDef]") -> None:
        """Delete a delivered batch; what cannot be deleted comes again, which consumers must bear anyway."""
        for start in range(0, len(messages), _RECEIVE_MAX):
            entries = [
                {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
                for index, message in enumerate(messages[start : start + _RECEIVE_MAX])
            ]
            try:
                with translated("DeleteMessageBatch"):
                    answer = self._client.delete_message_batch(QueueUrl=self._queue_url(), Entries=entries)  # type: ignore[arg-type]
            except (CloudUnavailableError, DeliveryError) as error:
                self._note("delivered messages could not be deleted", cause=str(error))
                continue
            if answer.get("Failed"):
                self._note("delivered messages could not be deleted", count=len(answer["Failed"]))

    def _note(self, message: str, **fields: object) -> None:
        logger.warning(message, extra={"fields": {"pipe": self._definition.name, **fields}})


def to_pipe_record(message: "MessageTypeDef", queue_arn: str) -> dict[str, Any]:
    """A message as a pipe hands it on.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-sqs.html
    """
    return {
        "messageId": message.get("MessageId", ""),
        "receiptHandle": message.get("ReceiptHandle", ""),
        "body": message.get("Body", ""),
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": {name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()},
        "md5OfBody": message.get("MD5OfBody", ""),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    text = value.get("StringValue")
    return {"dataType": value.get("DataType", "String")} | ({} if text is None else {"stringValue": text})
