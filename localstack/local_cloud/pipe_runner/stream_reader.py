"""Reads a DynamoDB stream: every shard, parents before children, from its checkpoint.

One thread per shard polls and delivers; a coordinating thread looks for new shards. A stream that is not there (the
emulator was started anew and Terraform has not run yet) is waited for.
"""

import base64
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from local_cloud.pipe_runner.checkpoint import Checkpoint, CheckpointFiles
from local_cloud.pipe_runner.counters import PipeCounters
from local_cloud.pipe_runner.definition import PipeDefinition, StreamSource
from local_cloud.pipe_runner.delivery import StreamDelivery, created_at, sequence_number
from local_cloud.pipe_runner.endpoints import Record, backoff_s
from local_cloud.pipe_runner.errors import CloudUnavailableError, DeliveryError, StoppedError, error_code, translated

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient
    from mypy_boto3_dynamodbstreams.type_defs import DescribeStreamInputTypeDef, ShardTypeDef

logger = logging.getLogger(__name__)

_IDLE_MIN_S: Final = 0.02
_IDLE_MAX_S: Final = 0.05
_SHARDS_REFRESH_S: Final = 5.0
_PAGE_BATCHES: Final = 10
_PAGE_MAX: Final = 1000

Sleep = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class StreamPlay:
    """What all shards of one pipe share. `sleep` raises StoppedError when the runner is told to stop."""

    client: "DynamoDBStreamsClient"
    definition: PipeDefinition
    source: StreamSource
    checkpoints: CheckpointFiles
    delivery: StreamDelivery
    counters: PipeCounters
    sleep: Sleep


class StreamReader:
    """All shards of one pipe's stream."""

    def __init__(self, play: StreamPlay) -> None:
        self._play = play
        self._threads: dict[str, threading.Thread] = {}
        # The shards to which StartingPosition LATEST applies: those that were there when the pipe first looked.
        self._from_latest: set[str] = set()

    def run(self) -> None:
        """Play until told to stop, then wait for the shards' batches in hand."""
        self._play.checkpoints.discard_stale()
        try:
            shards = self._shards()
            if self._play.source.starting_position == "LATEST":
                self._from_latest = {shard["ShardId"] for shard in shards}
            while True:
                self._start_eligible(shards)
                self._play.sleep(_SHARDS_REFRESH_S)
                shards = self._shards()
        except StoppedError:
            for thread in self._threads.values():
                thread.join()

    def _shards(self) -> "list[ShardTypeDef]":
        """All shards of the stream, waiting for as long as it does not exist."""
        attempt = 0
        while True:
            try:
                with translated("DescribeStream"):
                    shards = self._describe()
            except (CloudUnavailableError, DeliveryError) as error:
                attempt += 1
                if attempt == 1:
                    self._note("waiting for the stream", cause=str(error))
                    self._play.counters.state = "waiting for the stream"
                self._play.sleep(backoff_s(attempt, cap_s=1.0))
            else:
                self._play.counters.state = "reading"
                return shards

    def _describe(self) -> "list[ShardTypeDef]":
        shards: list[ShardTypeDef] = []
        last: str | None = None
        while True:
            request: DescribeStreamInputTypeDef = {"StreamArn": self._play.source.arn}
            if last:
                request["ExclusiveStartShardId"] = last
            description = self._play.client.describe_stream(**request)["StreamDescription"]
            shards.extend(description.get("Shards", []))
            last = description.get("LastEvaluatedShardId")
            if not last:
                return shards

    def _start_eligible(self, shards: "Sequence[ShardTypeDef]") -> None:
        """Start a thread for each shard whose parent is read to its end, or has already left the stream."""
        known = {shard["ShardId"] for shard in shards}
        for shard in shards:
            shard_id = shard["ShardId"]
            thread = self._threads.get(shard_id)
            if self._finished(shard_id) or (thread is not None and thread.is_alive()):
                continue
            parent = shard.get("ParentShardId")
            if parent in known and not self._finished(str(parent)):
                continue
            # A child that appears later continues its parent: nothing of it may be skipped.
            reader = ShardReader(self._play, shard_id, from_latest=shard_id in self._from_latest)
            name = f"{self._play.definition.name}:{shard_id[-12:]}"
            self._threads[shard_id] = threading.Thread(target=reader.run, name=name, daemon=True)
            self._threads[shard_id].start()

    def _finished(self, shard_id: str) -> bool:
        checkpoint = self._play.checkpoints.load(shard_id)
        return checkpoint is not None and checkpoint.finished

    def _note(self, message: str, **fields: object) -> None:
        logger.warning(message, extra={"fields": {"pipe": self._play.definition.name, **fields}})


class ShardReader:
    """One shard, from its checkpoint to its end."""

    def __init__(self, play: StreamPlay, shard_id: str, *, from_latest: bool) -> None:
        self._play = play
        self._shard_id = shard_id
        self._from_latest = from_latest
        source = play.source
        self._lanes = ThreadPoolExecutor(source.parallel_batches, thread_name_prefix=f"{play.definition.name}-lane")
        self._page_size = min(_PAGE_MAX, _PAGE_BATCHES * source.batch_size)
        self._checkpoint = Checkpoint(stream_arn=source.arn, shard_id=shard_id, opened_at=time.time())
        self._skip_before: float | None = None
        # Read and accepted, but waiting for a fuller batch (MaximumBatchingWindowInSeconds).
        self._pending: list[Record] = []

    def run(self) -> None:
        """Read until the shard ends or the runner is told to stop."""
        try:
            self._read_to_end()
        except StoppedError:
            return
        finally:
            self._lanes.shutdown(wait=True)

    def _read_to_end(self) -> None:
        iterator: str | None = self._open()
        pending_since = time.monotonic()
        idle_s = _IDLE_MIN_S
        while iterator:
            page, iterator = self._page(iterator)
            records = [to_pipe_record(record, self._play.source.arn) for record in page]
            accepted = self._accepted(records)
            if accepted and not self._pending:
                pending_since = time.monotonic()
            self._pending.extend(accepted)
            window_passed = time.monotonic() - pending_since >= self._play.source.window_s
            keep = 0 if window_passed or not iterator else len(self._pending) % self._play.source.batch_size
            ready = self._pending[: len(self._pending) - keep]
            self._pending = self._pending[len(ready) :]
            self._deliver(ready)
            if records and not self._pending:
                self._settle(sequence_number(records[-1]))
            idle_s = _IDLE_MIN_S if records else min(_IDLE_MAX_S, idle_s * 1.2)
            self._play.sleep(0.0 if records else idle_s)
        self._finish()

    def _accepted(self, records: Sequence[Record]) -> list[Record]:
        """The records that belong to the pipe and pass its filter."""
        mine = [record for record in records if self._skip_before is None or created_at(record) >= self._skip_before]
        accepted = [record for record in mine if self._play.definition.accepts(record)]
        if len(accepted) < len(mine):
            self._play.counters.add(filtered=len(mine) - len(accepted))
        return accepted

    def _deliver(self, records: Sequence[Record]) -> None:
        """Deliver in batches: in order, or in parallel lanes with each item's records in one lane."""
        size = self._play.source.batch_size
        lanes = in_lanes(records, size, self._play.source.parallel_batches)
        if len(lanes) <= 1:
            for start in range(0, len(records), size):
                self._play.delivery.deliver(self._shard_id, records[start : start + size], self._settle_through)
            return
        # Lanes settle out of order, so the checkpoint waits for all of them.
        for done in [self._lanes.submit(self._deliver_lane, lane) for lane in lanes]:
            done.result()
        self._settle(sequence_number(records[-1]))

    def _deliver_lane(self, records: Sequence[Record]) -> None:
        for start in range(0, len(records), self._play.source.batch_size):
            batch = records[start : start + self._play.source.batch_size]
            self._play.delivery.deliver(self._shard_id, batch, lambda _: None)

    def _settle_through(self, records: Sequence[Record]) -> None:
        self._settle(sequence_number(records[-1]))

    def _settle(self, through: str) -> None:
        if through != self._checkpoint.sequence_number:
            self._checkpoint = self._checkpoint.at(through)
            self._play.checkpoints.save(self._checkpoint)

    def _finish(self) -> None:
        self._checkpoint = Checkpoint(
            self._play.source.arn,
            self._shard_id,
            self._checkpoint.opened_at,
            self._checkpoint.sequence_number,
            finished=True,
        )
        self._play.checkpoints.save(self._checkpoint)

    def _page(self, iterator: str) -> tuple[list[Mapping[str, Any]], str | None]:
        """Read one page, reopening the shard whenever the iterator is no longer good."""
        while True:
            try:
                with translated("GetRecords"):
                    answer = self._play.client.get_records(ShardIterator=iterator, Limit=self._page_size)
            except (CloudUnavailableError, DeliveryError) as error:
                self._note("reopening the shard", cause=str(error))
                self._play.sleep(_IDLE_MAX_S)
                iterator = self._open()
            else:
                return list(answer.get("Records", [])), answer.get("NextShardIterator")

    def _open(self) -> str:
        """An iterator from the checkpoint on, waiting for as long as the cloud or the stream is away."""
        self._pending = []  # lies behind the checkpoint, so it will be read again
        attempt = 0
        while True:
            try:
                with translated("GetShardIterator"):
                    iterator = self._iterator()
            except (CloudUnavailableError, DeliveryError) as error:
                attempt += 1
                if attempt == 1:
                    self._note("waiting for the shard", cause=str(error))
                    self._play.counters.state = "waiting for the stream"
                self._play.sleep(backoff_s(attempt, cap_s=1.0))
            else:
                self._play.counters.state = "reading"
                return iterator

    def _iterator(self) -> str:
        saved = self._play.checkpoints.load(self._shard_id)
        if saved is None:
            self._play.checkpoints.save(self._checkpoint)
            return self._iterator_at("LATEST" if self._from_latest else "TRIM_HORIZON")
        self._checkpoint = saved
        if saved.sequence_number is None:
            if self._from_latest:
                # Nothing settled yet: LATEST again would skip what was written while the runner was away.
                self._skip_before = float(int(saved.opened_at))
            return self._iterator_at("TRIM_HORIZON")
        try:
            return self._iterator_at("AFTER_SEQUENCE_NUMBER", saved.sequence_number)
        except ClientError as error:
            if error_code(error) != "TrimmedDataAccessException":
                raise
            self._note("the checkpoint was trimmed; reading from the oldest record left")
            return self._iterator_at("TRIM_HORIZON")

    def _iterator_at(self, kind: Any, number: str | None = None) -> str:
        position = {"SequenceNumber": number} if number else {}
        answer = self._play.client.get_shard_iterator(
            StreamArn=self._play.source.arn, ShardId=self._shard_id, ShardIteratorType=kind, **position
        )
        return answer["ShardIterator"]

    def _note(self, message: str, **fields: object) -> None:
        place = {"pipe": self._play.definition.name, "shard": self._shard_id}
        logger.warning(message, extra={"fields": {**place, **fields}})


def in_lanes(records: Sequence[Record], batch_size: int, lanes_max: int) -> list[list[Record]]:
    """Deal records to at most `lanes_max` lanes, a whole batch at a time, so that few batches are left part-filled.

    An item's records stay in one lane, in order: a record whose item has come before goes where that one went.
    """
    lanes: list[list[Record]] = [[] for _ in range(min(lanes_max, -(-len(records) // batch_size)))]
    lane_of: dict[str, int] = {}
    for record in records:
        item = repr(sorted(record["dynamodb"].get("Keys", {}).items()))
        lanes[lane_of.setdefault(item, len(lane_of) // batch_size % len(lanes))].append(record)
    return [lane for lane in lanes if lane]


def to_pipe_record(record: Mapping[str, Any], stream_arn: str) -> dict[str, Any]:
    """A stream record as a pipe hands it on: JSON-ready, with its origin.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-dynamodb.html
    """
    plain: dict[str, Any] = _plain(record)
    return {**plain, "eventSource": "aws:dynamodb", "eventSourceARN": stream_arn}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(one) for one in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        epoch_s = value.timestamp()
        return int(epoch_s) if epoch_s.is_integer() else epoch_s
    return value
