"""One batch of stream records from filter to target: retry, bisect, dead-letter.

The rules of https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-error-troubleshooting.html: what the
enrichment or target refuses counts against MaximumRetryAttempts; a cloud that does not answer never does. With
AUTOMATIC_BISECT a failing batch is halved at once until single records remain, and only those use up the retries.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from local_cloud.pipe_runner.counters import PipeCounters
from local_cloud.pipe_runner.definition import INFINITE, PipeDefinition, StreamSource
from local_cloud.pipe_runner.endpoints import DeadLetters, Enrichment, Record, Target, backoff_s
from local_cloud.pipe_runner.errors import CloudUnavailableError, DeliveryError

logger = logging.getLogger(__name__)

EXHAUSTED = "RetryAttemptsExhausted"
EXPIRED = "EventAgeExceeded"

Settled = Callable[[Sequence[Record]], None]


def send(records: Sequence[Record], enrichment: Enrichment | None, target: Target) -> None:
    """One attempt: enrich, then deliver what came back. Raises DeliveryError or CloudUnavailableError."""
    events: Sequence[Any] = records if enrichment is None else enrichment(records)
    if events:
        target(events)


class StreamDelivery:
    """Delivers batches of one shard in order; every record ends delivered or dead-lettered, or is not settled."""

    def __init__(
        self,
        definition: PipeDefinition,
        source: StreamSource,
        counters: PipeCounters,
        *,
        enrichment: Enrichment | None,
        target: Target,
        dead_letters: DeadLetters | None,
        sleep: Callable[[float], None],
    ) -> None:
        """`sleep` waits for seconds and raises StoppedError when the runner is told to stop."""
        self._definition = definition
        self._source = source
        self._counters = counters
        self._enrichment = enrichment
        self._target = target
        self._dead_letters = dead_letters
        self._sleep = sleep

    def deliver(self, shard_id: str, records: Sequence[Record], settled: Settled) -> None:
        """Settle a batch, calling `settled` for each part as it is done, in order.

        Raises StoppedError; what was not settled by then will be read again.
        """
        young = self._without_expired(shard_id, records, settled)
        if young:
            self._deliver(shard_id, young, settled)

    def _deliver(self, shard_id: str, records: Sequence[Record], settled: Settled) -> None:
        failures = 0
        while True:
            try:
                self._patiently(lambda: send(records, self._enrichment, self._target))
            except DeliveryError as error:
                if self._source.bisect and len(records) > 1:
                    middle = len(records) // 2
                    self._counters.add(retried=len(records))
                    self.deliver(shard_id, records[:middle], settled)
                    self.deliver(shard_id, records[middle:], settled)
                    return
                failures += 1
                if error.permanent or (self._source.retries_max != INFINITE and failures > self._source.retries_max):
                    self._bury(shard_id, records, EXHAUSTED, str(error), settled)
                    return
                if self._expired(records[-1]):
                    self._bury(shard_id, records, EXPIRED, str(error), settled)
                    return
                self._counters.add(retried=len(records))
                self._sleep(backoff_s(failures))
            else:
                self._counters.add(delivered=len(records))
                settled(records)
                return

    def _patiently(self, call: Callable[[], None]) -> None:
        """Repeat a call for as long as the cloud does not answer; log the outage once and its end once."""
        attempt = 0
        while True:
            try:
                call()
            except CloudUnavailableError as error:
                attempt += 1
                if attempt == 1:
                    self._log("waiting for the cloud", cause=str(error))
                self._sleep(backoff_s(attempt, cap_s=1.0))
            else:
                if attempt:
                    self._log("the cloud answers again", attempts=attempt)
                return

    def _without_expired(self, shard_id: str, records: Sequence[Record], settled: Settled) -> Sequence[Record]:
        """Bury the records at the front that are older than the pipe allows; return the others."""
        old = 0
        while old < len(records) and self._expired(records[old]):
            old += 1
        if old:
            self._bury(shard_id, records[:old], EXPIRED, "older than MaximumRecordAgeInSeconds", settled)
        return records[old:]

    def _expired(self, record: Record) -> bool:
        limit_s = self._source.record_age_max_s
        return limit_s != INFINITE and time.time() - created_at(record) > limit_s

    def _bury(self, shard_id: str, records: Sequence[Record], condition: str, detail: str, settled: Settled) -> None:
        fields = {"count": len(records), "condition": condition, "detail": detail, "shard": shard_id}
        dead_letters = self._dead_letters
        if dead_letters is None:
            self._log("records dropped: the pipe has no dead-letter queue", **fields)
        else:
            body = self.obituary(shard_id, records, condition)
            attributes = {"reason": condition, "detail": detail[:1024], "stage": self._definition.name}
            if len(records) == 1:
                attributes |= _key_texts(records[0])
            self._patiently(lambda: dead_letters(body, attributes))
            self._log("records sent to the dead-letter queue", **fields)
        self._counters.add(dead_lettered=len(records))
        settled(records)

    def obituary(self, shard_id: str, records: Sequence[Record], condition: str) -> dict[str, Any]:
        """The dead-letter message: AWS's description of the range in the stream, plus each item's table and keys.

        The stream of an emulator is gone with the emulator's next start, so the keys are what a person replays by.
        """
        return {
            "context": {"partnerResourceArn": self._definition.arn, "condition": condition},
            "version": "1.0",
            "timestamp": _iso(time.time()),
            "DDBStreamBatchInfo": {
                "shardId": shard_id,
                "startSequenceNumber": sequence_number(records[0]),
                "endSequenceNumber": sequence_number(records[-1]),
                "approximateArrivalOfFirstRecord": _iso(created_at(records[0])),
                "approximateArrivalOfLastRecord": _iso(created_at(records[-1])),
                "batchSize": len(records),
                "streamArn": self._source.arn,
            },
            "items": {
                "tableArn": self._source.arn.split("/stream/", 1)[0],
                "keys": [record["dynamodb"].get("Keys", {}) for record in records],
            },
        }

    def _log(self, message: str, **fields: object) -> None:
        logger.warning(message, extra={"fields": {"pipe": self._definition.name, **fields}})


def sequence_number(record: Record) -> str:
    """The stream's sequence number of a record."""
    return str(record["dynamodb"]["SequenceNumber"])


def created_at(record: Record) -> float:
    """When the record was written, in epoch seconds (the stream keeps whole seconds)."""
    return float(record["dynamodb"].get("ApproximateCreationDateTime", time.time()))


def _key_texts(record: Record) -> dict[str, str]:
    """The record's string keys by name, so that a dead letter can be found by `payment_id`."""
    keys: Mapping[str, Mapping[str, Any]] = record["dynamodb"].get("Keys", {})
    return {name: value["S"] for name, value in keys.items() if isinstance(value.get("S"), str)}


def _iso(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
