"""How the graph could be built: the sizes of its stages and the few choices that its costs depend on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from postrail.capacity.data import STAGES, CapacityData, Delivery


@dataclass(frozen=True, slots=True)
class StageSize:
    """How one stage gets its events, and the memory of its function."""

    delivery: Delivery
    memory_mb: int
    batch_size: int
    window_s: float


@dataclass(frozen=True, slots=True)
class Design:
    """One way to build the event road. Without arguments besides `stages`: as it is built, all events archived.

    `fused`: standardise and enrich are one function, and PaymentStandardised is not published.
    `payments_per_event`: how many payments one event carries.
    `single_writes`: keys are claimed and card uses counted by single writes instead of transactions.
    `trace_share`: the share of invocations that X-Ray records; None: its default.
    """

    stages: Mapping[str, StageSize]
    archive_leaves_out: frozenset[str] = frozenset()
    archive: bool = True
    fused: bool = False
    payments_per_event: int = 1
    single_writes: bool = False
    trace_share: float | None = None
    duplicates_more: float = 0.0
    """Duplicates besides those that were measured, as a share of the payments."""

    def with_stage(self, name: str, **changes: object) -> "Design":
        """The same with another size of one stage."""
        return replace(self, stages={**self.stages, name: replace(self.stages[name], **changes)})  # type: ignore[arg-type]


def configured(data: CapacityData) -> Design:
    """What Terraform builds unless a tfvars file says otherwise."""
    sizes = {}
    for name, entry in data.stages.stages.items():
        usual = data.stages.deliveries[entry.delivery]
        window = entry.batching_window_seconds
        sizes[name] = StageSize(
            entry.delivery,
            entry.memory_mb,
            entry.batch_size or usual.batch_size,
            usual.batching_window_seconds if window is None else window,
        )
    return Design(_in_tens(sizes), frozenset(data.stages.archive_leaves_out))


def delivered(data: CapacityData, delivery: Delivery) -> Design:
    """The same with every stage delivered in one way. Postings are always queued, as the ledger may be away."""
    sizes = {}
    for name in STAGES:
        way: Delivery = "near_realtime" if (name, delivery) == ("post", "realtime") else delivery
        entry, usual = data.stages.stages[name], data.stages.deliveries[way]
        if entry.delivery == way:
            sizes[name] = configured(data).stages[name]
        else:
            sizes[name] = StageSize(way, entry.memory_mb, usual.batch_size, usual.batching_window_seconds)
    return Design(_in_tens(sizes), frozenset(data.stages.archive_leaves_out))


def first_design(data: CapacityData) -> Design:
    """The graph before anything was weighed: near real time in tens everywhere, every event archived."""
    usual = data.stages.deliveries["near_realtime"]
    memory = {name: entry.memory_mb for name, entry in data.stages.stages.items()}
    return Design({name: StageSize("near_realtime", memory[name], usual.batch_size, 0.0) for name in STAGES})


def _in_tens(sizes: Mapping[str, StageSize]) -> dict[str, StageSize]:
    """The rules engine takes ten at most: a state holds 256 KB."""
    rules = sizes["apply_rules"]
    return {**sizes, "apply_rules": replace(rules, batch_size=min(10, rules.batch_size))}
