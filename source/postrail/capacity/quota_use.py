"""Which quotas of a region the graph would meet at a rate, how far it uses them, and what to ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final

from postrail.capacity.data import CapacityData, Quota
from postrail.capacity.design import Design
from postrail.capacity.road import GIVES, TAKES, HopLoad, Road

FULL_PERCENT: Final = 70.0
"""From here on a quota should be raised: a surge, a redrive and retries need room."""
_ROOM: Final = 1.5
_KEY_CACHE_S: Final = 300.0
_KEYS_OF_A_FUNCTION: Final = 4
_LOG_WRITES_PER_S: Final = 1.0
"""What an environment of a function is taken to do: it asks for each of its keys once in five minutes, and Lambda
sends its log lines on once a second."""


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """One quota under the rate. `limit` is None where AWS names none; `own` is a limit that Terraform sets."""

    quota_id: str
    name: str
    unit: str
    used: float
    limit: float | None
    code: str | None
    raise_by: str
    beyond: str
    assumed: str = ""
    own: bool = False

    @property
    def percent(self) -> float | None:
        """How much of it is used."""
        return None if self.limit is None else 100 * self.used / self.limit

    @property
    def must_be_raised(self) -> bool:
        """Whether it leaves too little room."""
        percent = self.percent
        return percent is not None and percent > FULL_PERCENT

    @property
    def ask_for(self) -> int | None:
        """What to ask for: half as much again as is used, in two digits. None when nothing must be asked for."""
        if not self.must_be_raised:
            return None
        wanted = self.used * _ROOM
        step = 10.0 ** max(0, floor(log10(wanted)) - 1)
        return int(ceil(wanted / step) * step)


def use_quotas(data: CapacityData, design: Design, *, rate: float, region: str) -> list[QuotaUse]:
    """Every quota that the design meets at `rate` payments a second, in the data's order. Raises UnknownRegion."""
    data.check_region(region)
    road = Road(data, design, rate)
    used = _used(road)
    limits: dict[str, float | None] = {quota.id: quota.value(region) for quota in data.quotas.quotas}
    limits["stream_records"] = _stream_capacity(road)
    uses = [_use(quota, used[quota.id], limits[quota.id]) for quota in data.quotas.quotas if quota.id in used]
    return [*uses, _own_concurrency(road), _own_ledger(road, used["aurora_acu"])]


def _use(quota: Quota, used: float, limit: float | None) -> QuotaUse:
    return QuotaUse(
        quota.id, quota.name, quota.unit, used, limit, quota.code, quota.raise_, quota.beyond, quota.assumed
    )


def _used(road: Road) -> Mapping[str, float]:
    assumed, rate = road.data.graph.values(), road.rate
    rules = road.hop("apply_rules")
    queued = rules.size.delivery != "realtime"
    executions = rules.invocations_per_s
    concurrency = sum(hop.concurrency for hop in road.hops)
    items = road.data.graph.measured.item_bytes
    times = 1 if road.design.single_writes else 2
    claims = rate * times * ceil(items["dedup"] / 1024)
    used = {
        "put_events": sum(_put_requests(road).values()),
        "bus_invocations": _invocations(road),
        "pipe_executions": road.hop("deduplicate").concurrency + (executions * road.engine_s() if queued else 0.0),
        "lambda_concurrency": concurrency,
        "lambda_scaling": max(hop.concurrency for hop in road.hops),
        "lambda_requests": max(hop.invocations_per_s for hop in road.hops),
        "sqs_in_flight": max(
            hop.messages_per_s * (hop.duration_s + _gathering_s(hop, assumed["pollers"]))
            for hop in road.hops
            if hop.name != "deduplicate" and hop.size.delivery != "realtime"
        ),
        "dynamodb_table_writes": max(rate, claims),
        "dynamodb_first_writes": max(rate, claims),
        "stream_records": rate,
        "kms_requests": concurrency * _KEYS_OF_A_FUNCTION / _KEY_CACHE_S,
        "put_log_events": concurrency * _LOG_WRITES_PER_S,
        "aurora_acu": rate * road.acu_seconds_per_payment(),
        "fargate_vcpu": next(one.number for one in road.data.graph.fixed if one.id == "switch_cpu"),
    }
    return used | {"express_sync" if queued else "express_starts": executions}


def _gathering_s(hop: HopLoad, pollers: float) -> float:
    """How long messages wait, received but not yet worked on, until a batch is full or its window over."""
    return min(hop.size.window_s, hop.batch * pollers / hop.messages_per_s)


def _put_requests(road: Road) -> dict[str, float]:
    """PutEvents requests a second by hop. The intake Pipe and the rules engine put what others return to them."""
    return {
        hop.name: hop.invocations_per_s * road.put_requests(hop.name, hop.batch, hop.given)
        for hop in road.hops
        if GIVES[hop.name]
    }


def _invocations(road: Road) -> float:
    """Targets that rules call, a second: each stage's rule, and the alerts. Archives are not counted by AWS's text."""
    stages = sum(road.rate * road.events(road.takes(hop.name)) for hop in road.hops if TAKES[hop.name])
    return stages + road.rate * road.events(("PaymentReferred",))


def _stream_capacity(road: Road) -> float:
    """Records a second that the intake Pipe can take: full batches in every lane, one after the other."""
    assumed = road.data.graph.values()
    batch_s = road.hop("deduplicate").duration_s * assumed["intake_batch"] / road.hop("deduplicate").batch
    return assumed["shards"] * assumed["intake_lanes"] * assumed["intake_batch"] / (batch_s + assumed["call_ms"] / 1000)


def _own_concurrency(road: Road) -> QuotaUse:
    elsewhere = {"deduplicate", "apply_rules"}  # behind Pipes
    queued = [hop for hop in road.hops if hop.size.delivery != "realtime" and hop.name not in elsewhere]
    busiest = max(queued, key=lambda hop: hop.concurrency, default=None)
    return QuotaUse(
        "maximum_concurrency",
        f"maximum_concurrency of one queue ({busiest.name if busiest else 'none'})",
        "at once",
        busiest.concurrency if busiest else 0.0,
        road.data.stages.maximum_concurrency,
        None,
        "variable maximum_concurrency",
        "the queue grows",
        own=True,
    )


def _own_ledger(road: Road, used: float) -> QuotaUse:
    return QuotaUse(
        "ledger_acu_max",
        "acu_max of the ledger",
        "ACU",
        used,
        road.data.graph.values()["ledger_acu_max"],
        None,
        "variable ledger",
        "statements queue, postings wait in their queue",
        own=True,
    )
