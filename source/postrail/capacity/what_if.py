"""What other ways to build the graph would cost: each is priced whole, and compared with the configured one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from postrail.capacity.costs import bill_events
from postrail.capacity.data import STAGES, CapacityData
from postrail.capacity.design import Design, configured, first_design

_ROAD: Final = ("standardise", "enrich", "apply_rules", "sequence_postings", "post")
"""The queued stages between the door and the books."""

Change = Callable[[CapacityData, Design], Design]


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to build the graph otherwise, and why it is not the default."""

    name: str
    verdict: str
    change: Change


@dataclass(frozen=True, slots=True)
class Answer:
    """What a variant costs for a million payments, and how much less that is than the configured graph."""

    name: str
    verdict: str
    usd: float
    saves_usd: float


def what_if(data: CapacityData, *, rate: float, region: str) -> list[Answer]:
    """Every variant, the configured graph first. Raises UnknownRegion."""
    base = configured(data)
    base_usd = bill_events(data, base, rate=rate, region=region).usd
    answers = [Answer("as configured", "the default", base_usd, 0.0)]
    for variant in VARIANTS:
        usd = bill_events(data, variant.change(data, base), rate=rate, region=region).usd
        answers.append(Answer(variant.name, variant.verdict, usd, base_usd - usd))
    return answers


def _every_stage(base: Design, **changes: object) -> Design:
    design = base
    for name in STAGES:
        design = design.with_stage(name, **changes)
    return design


def _at_once(data: CapacityData, base: Design) -> Design:  # noqa: ARG001 - all variants are called alike
    design = base
    for name in _ROAD:
        design = design.with_stage(name, batch_size=10, window_s=0.0)
    return design


def _patient(data: CapacityData, base: Design) -> Design:  # noqa: ARG001 - as above
    design = base
    for name in _ROAD:
        design = design.with_stage(name, window_s=5.0)
    return design


VARIANTS: tuple[Variant, ...] = (
    Variant("as it was: tens everywhere, all archived", "was the default", lambda data, _: first_design(data)),
    Variant("tens at once, without windows", "was the default; a second a hop sooner", _at_once),
    Variant(
        "post alone in tens, at once",
        "was the default",
        lambda _, base: base.with_stage("post", batch_size=10, window_s=0.0),
    ),
    Variant("archive everything", "was the default", lambda _, base: replace(base, archive_leaves_out=frozenset())),
    Variant(
        "record_outcome in tens, at once",
        "was the default",
        lambda _, base: base.with_stage("record_outcome", batch_size=10, window_s=0.0),
    ),
    Variant("windows of five seconds", "no: half a minute a payment", _patient),
    Variant(
        "functions with 256 MB",
        "no: starts take twice as long",
        lambda _, base: _every_stage(base, memory_mb=256),
    ),
    Variant("functions with 1,024 MB", "no: quick enough without", lambda _, base: _every_stage(base, memory_mb=1024)),
    Variant(
        "standardise and enrich in one function",
        "no: PaymentStandardised is published",
        lambda _, base: replace(base, fused=True),
    ),
    Variant(
        "ten payments in an event",
        "no: events are about one payment each",
        lambda _, base: replace(base, payments_per_event=10),
    ),
    Variant(
        "keys claimed and card uses counted by single writes",
        "not yet: ten calls where one is now",
        lambda _, base: replace(base, single_writes=True),
    ),
    Variant("no archive", "no: nothing to replay", lambda _, base: replace(base, archive=False)),
    Variant("one trace in a hundred", "yours: a sampling rule", lambda _, base: replace(base, trace_share=0.01)),
    Variant(
        "5 % more duplicates, parked",
        "not ours to choose",
        lambda _, base: replace(base, duplicates_more=0.05),
    ),
)
"""In the order in which they are shown."""
