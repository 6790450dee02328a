"""Retry, bisect and dead letters, with fakes in the places of enrichment, target and queue."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from local_cloud.pipe_runner.counters import PipeCounters
from local_cloud.pipe_runner.definition import BusTarget, PipeDefinition, StreamSource
from local_cloud.pipe_runner.delivery import StreamDelivery, sequence_number
from local_cloud.pipe_runner.endpoints import Record
from local_cloud.pipe_runner.errors import CloudUnavailableError, DeliveryError, StoppedError

SOURCE = StreamSource(
    arn="arn:aws:dynamodb:eu-west-2:000000000000:table/authorizations/stream/1",
    starting_position="TRIM_HORIZON",
    batch_size=10,
    window_s=0,
    retries_max=2,
    record_age_max_s=3600,
    bisect=True,
    parallel_batches=1,
    dead_letter_arn="arn:aws:sqs:eu-west-2:000000000000:intake-pipe-dlq",
)


def record(number: int, *, age_s: float = 0) -> Record:
    keys = {"payment_id": {"S": f"pay-{number}"}}
    created = time.time() - age_s
    return {"dynamodb": {"SequenceNumber": str(number), "Keys": keys, "ApproximateCreationDateTime": created}}


@dataclass
class Bench:
    """A delivery whose cloud refuses what it is told to refuse, and what came of it."""

    source: StreamSource = SOURCE
    poison: set[str] = field(default_factory=set)
    permanent: bool = False
    outages: int = 0
    letters_outages: int = 0
    attempts: list[list[str]] = field(default_factory=list)
    arrived: list[str] = field(default_factory=list)
    letters: list[tuple[Mapping[str, Any], Mapping[str, str]]] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    counters: PipeCounters = field(default_factory=PipeCounters)

    def enrich(self, records: Sequence[Record]) -> list[Any]:
        numbers = [sequence_number(one) for one in records]
        self.attempts.append(numbers)
        if self.outages:
            self.outages -= 1
            raise CloudUnavailableError("nobody there")
        if self.poison.intersection(numbers):
            raise DeliveryError("enrichment failed: ValueError", permanent=self.permanent)
        return numbers

    def bury(self, body: Mapping[str, Any], attributes: Mapping[str, str]) -> None:
        if self.letters_outages:
            self.letters_outages -= 1
            raise CloudUnavailableError("nobody there")
        self.letters.append((body, attributes))

    def deliver(self, *records: Record, dead_letters: bool = True) -> None:
        pipe = PipeDefinition("intake", "arn:aws:pipes:x", self.source, (), None, BusTarget("bus", "x", "y"))
        delivery = StreamDelivery(
            pipe,
            self.source,
            self.counters,
            enrichment=self.enrich,
            target=self.arrived.extend,
            dead_letters=self.bury if dead_letters else None,
            sleep=self.slept.append,
        )
        delivery.deliver("shard-1", records, lambda done: self.settled.extend(map(sequence_number, done)))


def test_a_batch_that_goes_through_is_settled_as_one() -> None:
    bench = Bench()
    bench.deliver(*map(record, range(10)))
    assert bench.attempts == [[str(number) for number in range(10)]]
    assert bench.arrived == bench.settled == bench.attempts[0]


def test_nothing_is_settled_before_it_arrived() -> None:
    """The checkpoint follows `settled`: settling first would lose the batch at a crash."""
    bench = Bench(poison={"3"})
    seen: list[int] = []
    pipe = PipeDefinition("intake", "arn", SOURCE, (), None, BusTarget("bus", "x", "y"))

    def target(events: Sequence[Any]) -> None:
        seen.append(len(bench.settled))

    delivery = StreamDelivery(
        pipe, SOURCE, bench.counters, enrichment=None, target=target, dead_letters=None, sleep=bench.slept.append
    )
    delivery.deliver("shard-1", [record(1)], lambda done: bench.settled.extend(map(sequence_number, done)))
    assert seen == [0]
    assert bench.settled == ["1"]


def test_halving_isolates_the_poison_and_only_it_uses_up_the_retries() -> None:
    bench = Bench(poison={"5"})
    bench.deliver(*map(record, range(8)))
    assert bench.arrived == ["0", "1", "2", "3", "4", "6", "7"]
    assert bench.attempts.count(["5"]) == 1 + SOURCE.retries_max
    assert all(len(attempt) > 1 for attempt in bench.attempts[:2])
    assert bench.settled == [str(number) for number in range(8)], "settled in the stream's order"
    ((body, attributes),) = bench.letters
    assert body["context"] == {"partnerResourceArn": "arn:aws:pipes:x", "condition": "RetryAttemptsExhausted"}
    assert body["DDBStreamBatchInfo"]["startSequenceNumber"] == "5"
    assert body["items"]["keys"] == [{"payment_id": {"S": "pay-5"}}]
    assert attributes["payment_id"] == "pay-5"
    assert attributes["reason"] == "RetryAttemptsExhausted"
    assert (bench.counters.delivered, bench.counters.dead_lettered) == (7, 1)


def test_without_bisect_the_whole_batch_is_retried_and_buried() -> None:
    bench = Bench(source=replace(SOURCE, bisect=False), poison={"1"})
    bench.deliver(*map(record, range(3)))
    assert bench.attempts == [["0", "1", "2"]] * 3
    ((body, attributes),) = bench.letters
    assert body["DDBStreamBatchInfo"]["batchSize"] == 3
    assert "payment_id" not in attributes


def test_waiting_times_grow_and_stay_bounded() -> None:
    bench = Bench(source=replace(SOURCE, retries_max=12), poison={"1"})
    bench.deliver(record(1))
    assert len(bench.slept) == 12
    assert 0.05 <= bench.slept[0] <= 0.1
    assert max(bench.slept) <= 10


def test_an_outage_is_waited_out_and_never_counts_as_a_failure() -> None:
    """Fifty refused connections, two allowed retries: the record arrives all the same."""
    bench = Bench(outages=50)
    bench.deliver(record(1))
    assert bench.arrived == ["1"]
    assert bench.letters == []
    assert bench.counters.retried == 0


def test_a_dead_letter_queue_that_is_away_holds_the_record_back() -> None:
    bench = Bench(poison={"1"}, letters_outages=3)
    bench.deliver(record(1))
    assert len(bench.letters) == 1
    assert bench.settled == ["1"]


def test_a_hopeless_event_is_buried_without_another_attempt() -> None:
    bench = Bench(poison={"1"}, permanent=True)
    bench.deliver(record(1))
    assert bench.attempts == [["1"]]
    assert len(bench.letters) == 1


def test_records_older_than_allowed_are_buried_unseen() -> None:
    bench = Bench(source=replace(SOURCE, record_age_max_s=60))
    bench.deliver(record(1, age_s=120), record(2, age_s=120), record(3))
    assert bench.attempts == [["3"]]
    ((body, _),) = bench.letters
    assert body["context"]["condition"] == "EventAgeExceeded"
    assert body["DDBStreamBatchInfo"]["batchSize"] == 2
    assert bench.settled == ["1", "2", "3"]


def test_without_limits_retries_go_on_until_told_to_stop() -> None:
    bench = Bench(source=replace(SOURCE, retries_max=-1, record_age_max_s=-1), poison={"1"})

    class Patience(list[float]):
        def append(self, seconds: float) -> None:
            super().append(seconds)
            if len(self) == 100:
                raise StoppedError

    bench.slept = Patience()
    with pytest.raises(StoppedError):
        bench.deliver(record(1))
    assert bench.settled == []


def test_without_a_dead_letter_queue_the_record_is_dropped_and_counted() -> None:
    bench = Bench(poison={"1"})
    bench.deliver(record(1), dead_letters=False)
    assert bench.settled == ["1"]
    assert bench.counters.dead_lettered == 1
