"""The event road under a rate: how full its batches are, how long they take, and what each hop uses of AWS."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Final

from postrail.capacity.data import CapacityData
from postrail.capacity.design import Design, StageSize

CHUNK_BYTES: Final = 64 * 1024
"""EventBridge, SQS and Pipes count payloads in chunks of 64 KB."""
GIB: Final = 1024**3
_ENVELOPE_BYTES: Final = 230
"""What stands around a detail in a queue's message."""
_ENTRIES_MAX: Final = 10
_RECEIVE_MAX: Final = 10
_TRANSACTION_ITEMS_MAX: Final = 100
_ROUNDS: Final = 60

TAKES: Final[Mapping[str, tuple[str, ...]]] = {
    "deduplicate": (),
    "standardise": ("PaymentAccepted",),
    "enrich": ("PaymentStandardised",),
    "apply_rules": ("PaymentEnriched",),
    "sequence_postings": ("PaymentApproved",),
    "post": ("PostingRequested",),
    "record_outcome": ("PaymentRejected", "PaymentReferred", "DuplicateParked"),
}
GIVES: Final[Mapping[str, tuple[str, ...]]] = {
    "deduplicate": ("PaymentAccepted", "DuplicateParked"),
    "standardise": ("PaymentStandardised",),
    "enrich": ("PaymentEnriched",),
    "apply_rules": ("PaymentApproved", "PaymentReferred", "PaymentRejected"),
    "sequence_postings": ("PostingRequested",),
    "post": ("PaymentPosted",),
    "record_outcome": (),
}
"""What each stage takes and gives. Rejections are told by enrich too; all of them count as the rules engine's."""


@dataclass(frozen=True, slots=True)
class Usage:
    """So much of something with a price, for one payment. `hop` is where on the road, `group` the kind of service."""

    hop: str
    group: str
    price: str
    quantity: float


@dataclass(frozen=True, slots=True)
class HopLoad:
    """One stage under the rate. `per_payment` messages come for each payment, `given` events leave for each message."""

    name: str
    size: StageSize
    per_payment: float
    message_bytes: float
    given: float
    messages_per_s: float
    batch: float
    duration_s: float

    @property
    def invocations_per_s(self) -> float:
        """How often its function runs."""
        return self.messages_per_s / self.batch

    @property
    def concurrency(self) -> float:
        """How many of its invocations run at once."""
        return self.invocations_per_s * self.duration_s


class Road:
    """One design of the event road at one rate of payments a second."""

    def __init__(self, data: CapacityData, design: Design, rate: float) -> None:
        if rate <= 0:
            msg = f"a rate is above zero, not {rate}"
            raise ValueError(msg)
        self.data = data
        self.design = design
        self.rate = rate
        self._assumed = data.graph.values()
        self._counts = dict(data.graph.measured.per_payment)
        self._counts["DuplicateParked"] += design.duplicates_more
        names = [name for name in TAKES if not (design.fused and name == "standardise")]
        self.hops = [self._load(name) for name in names]

    # --- loads ------------------------------------------------------------------------------------------------------

    def takes(self, name: str) -> tuple[str, ...]:
        """The events that a stage takes in this design."""
        return TAKES["standardise"] if self.design.fused and name == "enrich" else TAKES[name]

    def events(self, types: tuple[str, ...]) -> float:
        """How many events of these types come of one payment."""
        return sum(self._counts[each] for each in types) / self.design.payments_per_event

    def event_bytes(self, types: tuple[str, ...]) -> float:
        """Their mean size in bytes."""
        sizes = self.data.graph.measured.event_bytes
        number = sum(self._counts[each] for each in types)
        return self.design.payments_per_event * sum(self._counts[each] * sizes[each] for each in types) / number

    def _load(self, name: str) -> HopLoad:
        size = self.design.stages[name]
        door = name == "deduplicate"
        per_payment = 1.0 if door else self.events(self.takes(name))
        bytes_each = float(self.data.graph.measured.item_bytes["authorizations"]) if door else 0.0
        if not door:
            bytes_each = self.event_bytes(self.takes(name)) + _ENVELOPE_BYTES
        given = self.events(GIVES[name]) / per_payment if GIVES[name] else 0.0
        arriving = self.rate * per_payment
        batch = self._stream_batch() if door else self._queue_batch(name, size, arriving, given)
        duration = self._duration_s(name, size, batch, given)
        return HopLoad(name, size, per_payment, bytes_each, given, arriving, batch, duration)

    def _stream_batch(self) -> float:
        """Records in a batch of the intake Pipe: what came to a shard between two polls, spread over its lanes."""
        lanes = self._assumed["shards"] * self._assumed["intake_lanes"]
        came = self.rate / self._assumed["stream_polls_per_second"] / lanes
        return min(max(1.0, came), self._assumed["intake_batch"])

    def _queue_batch(self, name: str, size: StageSize, arriving: float, given: float) -> float:
        """Messages in a batch: each poller takes what came while it waited and while its last batch was worked on."""
        if size.delivery == "realtime":
            return 1.0
        batch = 1.0
        for _ in range(_ROUNDS):
            seconds = size.window_s + self._duration_s(name, size, batch, given)
            batch = min(max(batch, arriving * seconds / self._assumed["pollers"]), float(size.batch_size))
        return batch

    def _duration_s(self, name: str, size: StageSize, batch: float, given: float) -> float:
        """Seconds that an invocation takes: processor time at the memory's share of a processor, and waiting."""
        assumed, payments = self._assumed, batch * (1 if name == "deduplicate" else self.design.payments_per_event)
        cpu_us = self.data.graph.measured.cpu_us
        each_us = cpu_us[name] + (cpu_us["standardise"] if self.design.fused and name == "enrich" else 0)
        table_calls = self._table_calls(name, payments)
        bus_calls = self.put_requests(name, batch, given) if name not in {"deduplicate", "apply_rules"} else 0.0
        database_calls = {"post": assumed["database_calls"], "record_outcome": 3.0}.get(name, 0.0)
        cpu_ms = (
            assumed["fixed_cpu_ms"] + payments * each_us / 1000 + (table_calls + bus_calls) * assumed["call_cpu_ms"]
        )
        slowness = max(1.0, assumed["full_speed_memory_mb"] / size.memory_mb)
        waiting_ms = table_calls * assumed["table_call_ms"] + bus_calls * assumed["call_ms"]
        waiting_ms += database_calls * assumed["database_call_ms"]
        if name == "post":
            waiting_ms += batch / self.parts_per_sequence() * self.ledger_cpu_us(batch) / 1000
        return (cpu_ms * slowness + waiting_ms) / 1000

    def _table_calls(self, name: str, payments: float) -> float:
        rounds = payments if self.design.single_writes else float(ceil(payments / _TRANSACTION_ITEMS_MAX))
        if name == "deduplicate":
            return rounds
        if name == "apply_rules":
            # A single write answers with the count, a transaction does not.
            return rounds if self.design.single_writes else 2 * rounds
        return float(ceil(payments / _TRANSACTION_ITEMS_MAX)) if name == "enrich" else 0.0

    def put_requests(self, name: str, batch: float, given: float) -> float:
        """PutEvents requests for a batch: ten events each, and none for a stage that gives none."""
        events = batch * given if GIVES[name] else 0.0
        return max(min(1.0, events), events / _ENTRIES_MAX)

    def parts_per_sequence(self) -> float:
        """Postings of one posted payment."""
        return self._counts["PostingRequested"] / self._counts["PaymentPosted"]

    def ledger_cpu_us(self, parts: float) -> float:
        """Microseconds of the database's processors for one sequence, when so many parts come in a batch."""
        return between(self.data.graph.ledger.cpu_us, parts, beyond=False)

    def hop(self, name: str) -> HopLoad:
        """The load of one stage."""
        return next(hop for hop in self.hops if hop.name == name)

    def engine_s(self) -> float:
        """Seconds of one execution of the rules engine: the function, the publishing, and what is between them."""
        overhead = self._assumed["express_overhead_ms"] + self._assumed["call_ms"]
        return self.hop("apply_rules").duration_s + overhead / 1000

    # --- usage ------------------------------------------------------------------------------------------------------

    def usages(self) -> Iterator[Usage]:
        """Everything that one payment uses."""
        for hop in self.hops:
            yield from self._bus(hop)
            yield from self._way_in(hop)
            yield from self._function(hop)
        yield from self._tables()
        yield from self._ledger()
        yield from self._besides()

    def _bus(self, hop: HopLoad) -> Iterator[Usage]:
        archived = 0.0
        for each in GIVES[hop.name]:
            number, size = self.events((each,)), self.event_bytes((each,))
            yield Usage(hop.name, "bus", "bus_event", number * chunks(size))
            if self.design.archive and each not in self.design.archive_leaves_out:
                archived += number * size / GIB
        if archived:
            yield Usage("archive", "archive", "archive_gb", archived)
            yield Usage("archive", "archive", "archive_gb_month", archived * self._assumed["archive_days"] / 30)

    def _way_in(self, hop: HopLoad) -> Iterator[Usage]:
        batches = hop.per_payment / hop.batch
        if hop.name == "deduplicate":
            yield Usage(hop.name, "bus", "pipe_request", batches * chunks(hop.batch * hop.message_bytes))
            return
        if hop.size.delivery != "realtime":
            received = min(hop.batch, _RECEIVE_MAX)
            receives = hop.per_payment / received * chunks(received * hop.message_bytes)
            deletes = hop.per_payment / received
            yield Usage(
                hop.name, "queue", "sqs_request", hop.per_payment * chunks(hop.message_bytes) + receives + deletes
            )
        if hop.name == "apply_rules":
            if hop.size.delivery != "realtime":
                yield Usage(hop.name, "rules engine", "pipe_request", batches * chunks(hop.batch * hop.message_bytes))
            step_s = self._assumed["express_step_ms"] / 1000
            billed_s = ceil(self.engine_s() / step_s) * step_s
            yield Usage(hop.name, "rules engine", "express_request", batches)
            yield Usage(
                hop.name, "rules engine", "express_gb_second", batches * billed_s * self._assumed["express_memory_gb"]
            )

    def _function(self, hop: HopLoad) -> Iterator[Usage]:
        invocations = hop.per_payment / hop.batch
        traced = self._assumed["trace_share"] if self.design.trace_share is None else self.design.trace_share
        payments = hop.batch * (1 if hop.name == "deduplicate" else self.design.payments_per_event)
        lines = between(self.data.graph.measured.log_bytes[hop.name], payments, beyond=True)
        yield Usage(hop.name, "function", "lambda_request", invocations)
        yield Usage(hop.name, "function", "lambda_gb_second", invocations * hop.duration_s * hop.size.memory_mb / 1024)
        yield Usage(
            hop.name, "logs and traces", "logs_gb", invocations * (lines + self._assumed["lambda_log_bytes"]) / GIB
        )
        yield Usage(hop.name, "logs and traces", "xray_trace", invocations * traced)

    def _tables(self) -> Iterator[Usage]:
        units = {name: ceil(size / 1024) for name, size in self.data.graph.measured.item_bytes.items()}
        times = 1 if self.design.single_writes else 2
        months = self._assumed["table_days"] / 30
        yield Usage("deduplicate", "tables", "dynamodb_write", units["authorizations"])
        yield Usage("deduplicate", "tables", "dynamodb_write", times * units["dedup"])
        stored = self.data.graph.measured.item_bytes["authorizations"] / GIB
        yield Usage("deduplicate", "tables", "dynamodb_gb_month", stored * months)
        yield Usage("enrich", "tables", "dynamodb_read", 0.5 * units["reference"] * self._assumed["reference_misses"])
        observed = self._counts["PaymentEnriched"]
        yield Usage("apply_rules", "tables", "dynamodb_write", times * units["velocity"] * observed)
        if not self.design.single_writes:
            yield Usage("apply_rules", "tables", "dynamodb_read", ceil(units["velocity"] / 4) * observed)

    def _ledger(self) -> Iterator[Usage]:
        facts, posted = self.data.graph.ledger, self._counts["PaymentPosted"]
        acu_s = self.acu_seconds_per_payment() * self._assumed["ledger_instances"]
        yield Usage("ledger", "ledger", "aurora_acu_hour", acu_s / 3600)
        yield Usage("ledger", "ledger", "aurora_io", posted * facts.wal_bytes / self._assumed["wal_bytes_per_io"])
        yield Usage("ledger", "ledger", "aurora_gb_month", posted * facts.stored_bytes / GIB)

    def acu_seconds_per_payment(self) -> float:
        """What one payment needs of one instance, in ACU-seconds."""
        cpu_s = self._counts["PaymentPosted"] * self.ledger_cpu_us(self.hop("post").batch) / 1e6
        return cpu_s * self._assumed["acu_per_vcpu"] / self._assumed["database_load"]

    def _besides(self) -> Iterator[Usage]:
        parked = self._counts["DuplicateParked"]
        yield Usage("deduplicate", "tables", "s3_put", parked)
        yield Usage("record_outcome", "bus", "sns_publish", self._counts["PaymentReferred"] + 0.1 * parked)
        yield Usage("post", "bus", "endpoint_gb", self.events(GIVES["post"]) * self.event_bytes(GIVES["post"]) / GIB)


def chunks(size: float) -> int:
    """How many chunks of 64 KB a payload of `size` bytes counts as; at least one."""
    return max(1, ceil(size / CHUNK_BYTES))


def between(points: Mapping[str, int], at: float, *, beyond: bool) -> float:
    """The value at `at` on the line through the points; past the ends it goes on if `beyond`, else it stays."""
    known = sorted((float(x), float(y)) for x, y in points.items())
    if not beyond:
        at = min(max(at, known[0][0]), known[-1][0])
    for (x1, y1), (x2, y2) in pairwise(known):
        if at <= x2 or (x2, y2) == known[-1]:
            return y1 + (at - x1) * (y2 - y1) / (x2 - x1)
    return known[0][1]
