"""Measures what every stage costs: for one event, and for each event of a batch.

Sample authorizations go through the stage functions in one process, with the ports in memory: bytes in, postings,
posting inputs and audit documents out. No bus, no database: those are measured where they are. Every run starts with
empty stores, and its outputs are checked before its times count.
"""

import gc
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeVar

import orjson

from postrail.adapters.memory import MemoryDedupStore, MemoryReferenceBook, MemoryVelocityBook
from postrail.adapters.system import SystemClock
from postrail.batch.documents import DecisionWriter, write_document
from postrail.batch.prepared import transaction_ids
from postrail.bench.machine import describe_machine
from postrail.contracts.events import PaymentApproved, PaymentReferred, PaymentRejected, PostingRequested
from postrail.contracts.payment import Authorization
from postrail.domain.errors import Permanent, PostrailError
from postrail.domain.posting import Posting
from postrail.merchants import MerchantDirectory, load_merchants
from postrail.percentiles import percentile
from postrail.posting_inputs import posting_input_by_name
from postrail.products import ProductBook, load_products
from postrail.rules import RuleSet, load_rule_set
from postrail.sampling.accounts import sample_accounts
from postrail.sampling.authorizations import sample_inputs
from postrail.sampling.rates import load_rates
from postrail.stages.apply_rules import apply_rules
from postrail.stages.decode import decode_authorizations
from postrail.stages.deduplicate import Candidate, Duplicate, deduplicate
from postrail.stages.enrich import enrich
from postrail.stages.post import build_posting
from postrail.stages.sequence_postings import sequence_postings
from postrail.stages.standardise import standardise

BATCH_SIZES: Final = (1, 10, 100, 1000)
STAGES: Final = (
    "decode",
    "deduplicate",
    "standardise",
    "enrich",
    "apply_rules",
    "sequence_postings",
    "build_posting",
    "posting_input",
    "audit_document",
)
"""What is measured, in the order of the road. `build_posting`, `posting_input` and `audit_document` are `post`
without its ledger."""
ALL_STAGES: Final = "all stages"

_SEED: Final = 20261001
_ACCOUNTS: Final = 10_000
_DUPLICATES: Final = 0.05
_MALFORMED: Final = 0.001
_WORKER_BATCH_MIN: Final = 100
"""Batches from here on are a batch worker's, whose collector looks after this many allocations: none of what a batch
leaves behind is a cycle."""
_WORKER_ALLOCATIONS_PER_COLLECTION: Final = 200_000

R = TypeVar("R")


class StageCheckFailed(PostrailError):
    """What the stages gave out does not add up: the times of such a run mean nothing."""


@dataclass(frozen=True, slots=True)
class StageTime:
    """Microseconds per event of one stage, in batches of `batch_size`: median over the runs of each percentile."""

    stage: str
    batch_size: int
    p50_us: float
    p99_us: float


@dataclass(frozen=True, slots=True)
class StagesReport:
    """One measurement: times by stage and batch size, the ends of one run's payments, and the machine."""

    stages: list[StageTime]
    all_stages: list[StageTime]
    count: int
    runs: int
    ends: dict[str, int]
    machine: dict[str, object]

    def document(self) -> dict[str, Any]:
        """The report as JSON-able data."""
        return {
            "bench": "stages",
            "stages": [asdict(time) for time in self.stages],
            "all_stages": [asdict(time) for time in self.all_stages],
            "all_stages_p50_us": self.all_stages[0].p50_us,
            "all_stages_p99_us": self.all_stages[0].p99_us,
            "count": self.count,
            "runs": self.runs,
            "ends": self.ends,
            "machine": self.machine,
        }


def measure_stages(count: int, *, runs: int, config_dir: Path) -> StagesReport:
    """Send `count` sample payments through all stages, `runs` times for each batch size.

    Raises StageCheckFailed when a run's outputs do not add up, and ConfigInvalid or OSError for configuration that
    cannot be read.
    """
    road = _Road.prepare(count, config_dir)
    times: list[StageTime] = []
    totals: list[StageTime] = []
    ends: Counter[str] = Counter()
    for batch_size in BATCH_SIZES:
        done = [road.run(batch_size) for _ in range(runs)]
        ends = done[-1].ends
        times += [_summarise(stage, batch_size, [run.times[stage] for run in done]) for stage in STAGES]
        totals.append(_summarise(ALL_STAGES, batch_size, [run.times[ALL_STAGES] for run in done]))
    return StagesReport(times, totals, count, runs, dict(sorted(ends.items())), describe_machine())


def _summarise(stage: str, batch_size: int, runs: Sequence[Sequence[float]]) -> StageTime:
    p50, p99 = ([percentile(run, percent) or 0.0 for run in runs] for percent in (50, 99))
    return StageTime(stage, batch_size, round(median(p50), 2), round(median(p99), 2))


@dataclass(slots=True)
class _Run:
    """One pass over the inputs: microseconds per event by stage, the ends, and the sums that must agree."""

    times: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    ends: Counter[str] = field(default_factory=Counter)
    signed_sums: Counter[str] = field(default_factory=Counter)
    documents: int = 0

    def timed(self, stage: str, items: Sequence[Any], work: Callable[[], R]) -> tuple[R, float]:
        """What `work` gives and its microseconds; noted per item when there are any."""
        started = time.perf_counter_ns()
        result = work()
        spent_us = (time.perf_counter_ns() - started) / 1000
        if items:
            self.times[stage].append(spent_us / len(items))
        return result, spent_us

    def check(self, count: int) -> None:
        """Raise StageCheckFailed unless every input has one end and every posting sums to zero."""
        if self.ends.total() != count:
            msg = f"{count} payments went in and {self.ends.total()} came to an end: {dict(self.ends)}"
            raise StageCheckFailed(msg)
        if self.documents != self.ends["posted"]:
            msg = f"{self.ends['posted']} payments were posted and {self.documents} audit documents made"
            raise StageCheckFailed(msg)
        off = {currency: total for currency, total in self.signed_sums.items() if total}
        if off:
            msg = f"debits and credits differ: {off}"
            raise StageCheckFailed(msg)


@dataclass(frozen=True, slots=True)
class _Road:
    """Inputs and configuration that all runs share."""

    raws: list[bytes]
    reference: MemoryReferenceBook
    merchants: MerchantDirectory
    rules: RuleSet
    products: ProductBook

    @classmethod
    def prepare(cls, count: int, config_dir: Path) -> "_Road":
        """Make the inputs and read the configuration; none of this is measured."""
        accounts = sample_accounts(_SEED, _ACCOUNTS)
        samples = sample_inputs(
            _SEED,
            count,
            accounts=accounts,
            duplicates=_DUPLICATES,
            malformed=_MALFORMED,
            started_at=datetime.now(UTC),
            run_id="bench",
        )
        return cls(
            raws=[json.dumps(sample.authorization).encode() for sample in samples],
            reference=MemoryReferenceBook(
                {account.card_token: account.details for account in accounts},
                load_rates(config_dir / "reference" / "rates.yaml"),
            ),
            merchants=load_merchants(config_dir / "reference"),
            rules=load_rule_set(config_dir / "rules" / "issuer-default.yaml"),
            products=load_products(config_dir / "products" / "default.yaml"),
        )

    def run(self, batch_size: int) -> _Run:
        """All inputs through all stages in batches, with empty stores."""
        run = _Run()
        passage = _Passage(self, run)
        with _collector_of(batch_size):
            for start in range(0, len(self.raws), batch_size):
                raws = self.raws[start : start + batch_size]
                run.times[ALL_STAGES].append(passage.send(raws) / len(raws))
        run.check(len(self.raws))
        return run


@contextmanager
def _collector_of(batch_size: int) -> Iterator[None]:
    """The garbage collector as the process that handles such batches has it."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    if batch_size >= _WORKER_BATCH_MIN:
        gc.set_threshold(_WORKER_ALLOCATIONS_PER_COLLECTION)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


class _Passage:
    """The stages of one run, with stores that remember its payments."""

    def __init__(self, road: _Road, run: _Run) -> None:
        self._road = road
        self._run = run
        self._clock = SystemClock()
        self._store = MemoryDedupStore(clock=self._clock)
        self._velocity = MemoryVelocityBook()
        self._decisions = DecisionWriter()
        self._input_format = posting_input_by_name("json")

    def send(self, raws: Sequence[bytes]) -> float:
        """Send one batch through; returns the microseconds that its stages took."""
        road, run = self._road, self._run
        decoded, spent_decode = run.timed("decode", raws, lambda: decode_authorizations(raws))
        candidates = [Candidate(one.payment_id, one, "") for one in decoded if isinstance(one, Authorization)]
        run.ends["malformed"] += sum(isinstance(one, Permanent) for one in decoded)
        verdicts, spent_dedup = run.timed("deduplicate", candidates, lambda: deduplicate(candidates, store=self._store))
        accepted = [verdict for verdict in verdicts if not isinstance(verdict, Duplicate)]
        run.ends["parked"] += len(verdicts) - len(accepted)
        messages, spent_standardise = run.timed("standardise", accepted, lambda: standardise(accepted))
        outcomes, spent_enrich = run.timed(
            "enrich", messages, lambda: enrich(messages, reference=road.reference, merchants=road.merchants)
        )
        enriched = [one for one in outcomes if not isinstance(one, PaymentRejected)]
        decisions, spent_rules = run.timed(
            "apply_rules",
            enriched,
            lambda: apply_rules(enriched, rules=road.rules, velocity=self._velocity, clock=self._clock),
        )
        approved = [
            one for one in decisions if isinstance(one, PaymentApproved) and not isinstance(one, PaymentReferred)
        ]
        referred = sum(isinstance(one, PaymentReferred) for one in decisions)
        run.ends["referred"] += referred
        run.ends["rejected"] += len(outcomes) - len(enriched) + len(decisions) - len(approved) - referred
        return spent_decode + spent_dedup + spent_standardise + spent_enrich + spent_rules + self._post(approved)

    def _post(self, approved: Sequence[PaymentApproved]) -> float:
        """What `post` does without its ledger; returns the microseconds."""
        run = self._run
        sequences, spent_sequence = run.timed(
            "sequence_postings", approved, lambda: sequence_postings(approved, products=self._road.products)
        )
        planned = [
            (payment, parts) for payment, parts in zip(approved, sequences, strict=True) if isinstance(parts, list)
        ]
        run.ends["rejected"] += len(approved) - len(planned)
        postings, spent_build = run.timed("build_posting", planned, lambda: self._build(planned))
        booked = [(posting, payment) for posting, (payment, _) in zip(postings, planned, strict=True)]
        inputs, spent_input = run.timed(
            "posting_input", booked, lambda: [self._input_format.build(*pair) for pair in booked]
        )
        documents, spent_audit = run.timed(
            "audit_document",
            booked,
            lambda: [self._audit(*pair, text) for pair, text in zip(booked, inputs, strict=True)],
        )
        run.ends["posted"] += len(postings)
        run.documents += len(documents)
        for posting in postings:
            for leg in posting.legs:
                run.signed_sums[leg.currency] += leg.direction.signed(leg.amount_minor)
        return spent_sequence + spent_build + spent_input + spent_audit

    def _build(self, planned: Sequence[tuple[PaymentApproved, list[PostingRequested]]]) -> list[Posting]:
        ids = transaction_ids(time.time_ns() // 1_000_000)
        return [build_posting(parts, transaction_id=next(ids)) for _, parts in planned]

    def _audit(self, posting: Posting, payment: PaymentApproved, posting_input: bytes) -> bytes:
        """What the batch road keeps of one posted payment, but for the authorization's own text."""
        return write_document(
            {
                "payment_id": posting.payment_id,
                "transaction_id": posting.transaction_id,
                "payment_key": posting.payment_key,
                "fingerprint": posting.fingerprint,
                "message": payment.message,
                "decision": self._decisions.write(payment.decision),
                "posting_input": orjson.Fragment(posting_input),
            }
        )
