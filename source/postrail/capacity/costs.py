"""What payments cost by the price list: hop by hop on the event road, on the batch road, and each month besides."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from postrail.capacity.data import CapacityData
from postrail.capacity.design import Design
from postrail.capacity.road import GIB, Road, Usage

MILLION: Final = 1_000_000
HOPS: Final = (
    "deduplicate",
    "standardise",
    "enrich",
    "apply_rules",
    "sequence_postings",
    "post",
    "ledger",
    "record_outcome",
    "archive",
)
"""In the order of the road; what they leave behind comes last."""
_FILE_VCPU: Final = 2
_FILE_GB: Final = 4
_FILE_START_S: Final = 60
"""The batch task as config and Terraform have it, and the minute until its first row."""


@dataclass(frozen=True, slots=True)
class CostLine:
    """One line of the bill of a million payments, in USD."""

    hop: str
    group: str
    price: str
    quantity: float
    usd: float


@dataclass(frozen=True, slots=True)
class Bill:
    """The bill of a million payments."""

    lines: tuple[CostLine, ...]

    @property
    def usd(self) -> float:
        """All of it."""
        return sum(line.usd for line in self.lines)

    def by_hop(self) -> dict[str, float]:
        """USD by hop."""
        return self._sums("hop")

    def by_group(self) -> dict[str, float]:
        """USD by kind of service."""
        return self._sums("group")

    def _sums(self, name: str) -> dict[str, float]:
        sums: defaultdict[str, float] = defaultdict(float)
        for line in self.lines:
            sums[getattr(line, name)] += line.usd
        return dict(sums)


@dataclass(frozen=True, slots=True)
class MonthlyCost:
    """Something that is paid for each month."""

    what: str
    hop: str
    number: float
    usd: float


def bill_events(data: CapacityData, design: Design, *, rate: float, region: str) -> Bill:
    """A million payments at `rate` a second on the event road. Raises UnknownRegion."""
    data.check_region(region)
    return _bill(Road(data, design, rate).usages(), data.usd(region))


def bill_files(data: CapacityData, *, region: str) -> Bill:
    """A file of a million payments on the batch road: one task, the same ledger. Raises UnknownRegion."""
    data.check_region(region)
    return _bill(_file_usages(data), data.usd(region))


def bill_month(data: CapacityData, *, region: str) -> list[MonthlyCost]:
    """What stands there for a month, whether a payment comes or not. Raises UnknownRegion."""
    data.check_region(region)
    usd, assumed = data.usd(region), data.graph.values()
    hours = assumed["hours_per_month"]
    costs = [
        MonthlyCost(one.what, one.hop, one.number, one.number * usd[one.price] * (hours if one.hourly else 1))
        for one in data.graph.fixed
    ]
    queues = sum(entry.delivery != "realtime" for entry in data.stages.stages.values())
    polls = queues * assumed["idle_polls_per_minute"] * 60 * hours
    reads = assumed["shards"] * assumed["stream_polls_per_second"] * 3600 * hours
    return [
        *costs,
        MonthlyCost("polling of idle queues", "queues", queues, polls * usd["sqs_request"]),
        MonthlyCost(
            "reading of the stream by the Pipe, by shards",
            "intake",
            assumed["shards"],
            reads * usd["dynamodb_stream_read"],
        ),
    ]


def _bill(usages: Iterator[Usage], usd: Mapping[str, float]) -> Bill:
    return Bill(
        tuple(
            CostLine(use.hop, use.group, use.price, use.quantity * MILLION, use.quantity * MILLION * usd[use.price])
            for use in usages
        )
    )


def _file_usages(data: CapacityData) -> Iterator[Usage]:
    facts, assumed = data.graph.files, data.graph.values()
    hours = (MILLION / facts.payments_per_second + _FILE_START_S) / 3600 / MILLION
    posted = data.graph.measured.per_payment["PaymentPosted"]
    acu_s = posted * facts.database_cpu_us / 1e6 * assumed["acu_per_vcpu"] / assumed["database_load"]
    yield Usage("file", "task", "fargate_vcpu_hour", _FILE_VCPU * hours)
    yield Usage("file", "task", "fargate_gb_hour", _FILE_GB * hours)
    yield Usage("file", "tables", "dynamodb_read", 0.5 * assumed["reference_misses"])
    yield Usage("file", "logs and traces", "logs_gb", facts.log_bytes / GIB)
    yield Usage("ledger", "ledger", "aurora_acu_hour", acu_s * assumed["ledger_instances"] / 3600)
    yield Usage("ledger", "ledger", "aurora_io", posted * facts.wal_bytes / assumed["wal_bytes_per_io"])
    yield Usage("ledger", "ledger", "aurora_gb_month", posted * facts.stored_bytes / GIB)
    # The outbox tells of what was posted, as it does of any posting.
    yield Usage("file", "bus", "bus_event", posted)


def first_calculation(data: CapacityData, *, region: str) -> list[tuple[str, float]]:
    """The calculation that was made before this model, by its parts: five bus hops in full tens, each payment posted.

    It counts one write unit for each of two tables, and leaves out what the model adds: see docs/capacity.md.
    """
    data.check_region(region)
    usd, assumed = data.usd(region), data.graph.values()
    hops, functions, tens = 5, 6, 0.1
    step_s = assumed["express_step_ms"] / 1000
    engine = usd["express_request"] + step_s * assumed["express_memory_gb"] * usd["express_gb_second"]
    parts = [
        ("five events", hops * usd["bus_event"]),
        ("five queues: sent one by one, received and deleted in tens", hops * (1 + 2 * tens) * usd["sqs_request"]),
        ("six functions, started in tens", functions * tens * usd["lambda_request"]),
        ("the rules engine, in tens", tens * engine),
        ("two Pipes, in fifties and in tens", (tens + 1 / assumed["intake_batch"]) * usd["pipe_request"]),
        ("one write unit each in two tables", 2 * usd["dynamodb_write"]),
    ]
    return [(name, MILLION * each) for name, each in parts]
