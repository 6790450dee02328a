"""Measures what the model of the graph needs to know of the code: bytes of events, items and log lines, processor time.

Payments of a sample day go through the stage functions, as events with their envelopes, with the ports in memory. The
results are kept in config/capacity/graph.yaml under `measured`; a test compares the bytes with today's code.
"""

import json
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, Final

from postrail.adapters.aws.bus import entry_bytes
from postrail.adapters.aws.bus_stage import EventReader
from postrail.adapters.aws.messages import Message
from postrail.adapters.aws.observability import Telemetry, begin_invocation
from postrail.adapters.memory import MemoryDedupStore, MemoryParkingLot, MemoryReferenceBook, MemoryVelocityBook
from postrail.adapters.system import SystemClock
from postrail.contracts.events import (
    DuplicateParked,
    Event,
    EventData,
    PaymentAccepted,
    PaymentApproved,
    PaymentEnriched,
    PaymentPosted,
    PaymentStandardised,
    PostingRequested,
)
from postrail.contracts.payment import Authorization, LegData
from postrail.domain.errors import PostrailError
from postrail.merchants.directory import load_merchants
from postrail.products import load_products
from postrail.rules import load_rule_set
from postrail.sampling.accounts import sample_accounts
from postrail.sampling.day import sample_day
from postrail.sampling.rates import load_rates
from postrail.stages.apply_rules import apply_rules
from postrail.stages.decode import Refusal, decode_authorizations
from postrail.stages.deduplicate import Candidate, Duplicate, deduplicate, park
from postrail.stages.enrich import enrich
from postrail.stages.follow_up import encode_event, first_event, follow_up
from postrail.stages.post import build_posting
from postrail.stages.sequence_postings import sequence_postings
from postrail.stages.standardise import standardise

_SEED: Final = 20261001
_DAY: Final = date(2026, 10, 1)
_ACCOUNTS: Final = 10_000
_BATCH: Final = 10
STAGES: Final = ("deduplicate", "standardise", "enrich", "apply_rules", "sequence_postings", "post", "record_outcome")
LOG_BATCHES: Final = (1, 10, 100)

_ENVELOPE: Final = {
    "version": "0",
    "id": "00000000-0000-0000-0000-000000000000",
    "account": "000000000000",
    "time": "2026-10-01T12:00:00Z",
    "region": "eu-west-2",
    "resources": [],
    "source": "postrail",
}
"""What EventBridge puts around a detail; a queue's message is this with the detail inside."""


class MeasurementFailed(PostrailError):
    """The stages do not fit together: what was measured means nothing."""


@dataclass(slots=True)
class _Tally:
    bytes_of: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    cpu_us: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    item_bytes: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def timed(self, stage: str, items: Sequence[Any], work: Callable[[], Any]) -> Any:
        started = time.process_time_ns()
        result = work()
        if items:
            self.cpu_us[stage].append((time.process_time_ns() - started) / 1000 / len(items))
        return result


def measure(count: int, *, config_dir: Path) -> dict[str, Any]:
    """Send `count` payments of the sample day through, and say what they weigh and what became of them.

    Bytes are means; processor time is the median over batches of ten, in microseconds an event on this machine, reading
    the event and writing its answer included, calls over the network not.
    """
    tally = _Tally()
    passage = _Passage(tally, config_dir)
    raws = _day(count)
    for start in range(0, len(raws), _BATCH):
        passage.send(raws[start : start + _BATCH])
    return {
        "event_bytes": {name: round(sum(sizes) / len(sizes)) for name, sizes in sorted(tally.bytes_of.items())},
        "per_payment": {
            name: round(len(sizes) / count, 4)
            for name, sizes in sorted(tally.bytes_of.items())
            if name != "authorization"
        },
        "item_bytes": {name: round(sum(sizes) / len(sizes)) for name, sizes in sorted(tally.item_bytes.items())},
        "cpu_us": {stage: round(median(times)) for stage, times in sorted(tally.cpu_us.items())},
        "log_bytes": {stage: {size: log_bytes(stage, size) for size in LOG_BATCHES} for stage in STAGES},
    }


def _day(count: int) -> list[bytes]:
    accounts = sample_accounts(_SEED, _ACCOUNTS)
    return [json.dumps(body).encode() for body in sample_day(_SEED, count, accounts=accounts, day=_DAY)]


class _Passage:
    """The stages, with stores that remember this run's payments."""

    def __init__(self, tally: _Tally, config_dir: Path) -> None:
        self._tally = tally
        self._clock = SystemClock()
        self._store = MemoryDedupStore(clock=self._clock)
        self._velocity = MemoryVelocityBook()
        self._parking_lot = MemoryParkingLot()
        accounts = sample_accounts(_SEED, _ACCOUNTS)
        self._reference = MemoryReferenceBook(
            {account.card_token: account.details for account in accounts},
            load_rates(config_dir / "reference" / "rates.yaml"),
        )
        self._merchants = load_merchants(config_dir / "reference")
        self._rules = load_rule_set(config_dir / "rules" / "issuer-default.yaml")
        self._products = load_products(config_dir / "products" / "default.yaml")

    def send(self, raws: Sequence[bytes]) -> None:
        """One batch through all stages."""
        accepted = self._deduplicate(raws)
        standardised = self._stage("standardise", PaymentAccepted, accepted, standardise)
        enriched = self._stage(
            "enrich",
            PaymentStandardised,
            standardised,
            lambda data: enrich(data, reference=self._reference, merchants=self._merchants),
        )
        decided = self._stage(
            "apply_rules",
            PaymentEnriched,
            [event for event in enriched if isinstance(event.data, PaymentEnriched)],
            lambda data: apply_rules(data, rules=self._rules, velocity=self._velocity, clock=self._clock),
        )
        approved = [event for event in decided if type(event.data) is PaymentApproved]
        parts = self._stage(
            "sequence_postings",
            PaymentApproved,
            approved,
            lambda data: sequence_postings(data, products=self._products),
        )
        self._post([event for event in parts if isinstance(event.data, PostingRequested)])

    def _deduplicate(self, raws: Sequence[bytes]) -> list[Event[Any]]:
        tally = self._tally
        rows = [
            json.dumps({"payment_id": {"S": "pay_" + "0" * 32}, "authorization": {"S": raw.decode()}}) for raw in raws
        ]

        def judge() -> list[Event[Any]]:
            for row in rows:
                json.loads(row)
            decoded = [one for one in decode_authorizations(raws) if isinstance(one, Authorization)]
            candidates = [Candidate(one.payment_id, one, "") for one in decoded]
            verdicts = deduplicate(candidates, store=self._store)
            duplicates = [verdict for verdict in verdicts if isinstance(verdict, Duplicate)]
            parked = iter(park(duplicates, parking_lot=self._parking_lot, clock=self._clock))
            data = [next(parked) if isinstance(verdict, Duplicate) else verdict for verdict in verdicts]
            return self._write([self._first(*pair) for pair in zip(decoded, data, strict=True)])

        events: list[Event[Any]] = tally.timed("deduplicate", raws, judge)
        for raw in raws:
            tally.bytes_of["authorization"].append(len(raw))
        for event in events:
            if isinstance(event.data, PaymentAccepted):
                self._weigh_items(event.data)
        return [event for event in events if isinstance(event.data, PaymentAccepted)]

    def _first(self, authorization: Authorization, data: PaymentAccepted | DuplicateParked) -> Event[Any]:
        return first_event(
            data,
            owner="0" * 32,
            caused_at=authorization.authorized_at,
            correlation_id="batch-2026-10-01",
            producer="deduplicate",
            clock=self._clock,
        )

    def _weigh_items(self, accepted: PaymentAccepted) -> None:
        """What DynamoDB counts of the items of one payment: names and values."""
        authorization = accepted.authorization
        text = authorization.model_dump_json(exclude_none=True)
        account = self._reference.accounts_by_token([authorization.card.token]).get(authorization.card.token)
        items = {
            "authorizations": {
                "payment_id": authorization.payment_id,
                "correlation_id": "0" * 36,
                "action_code": authorization.action_code,
                "authorized_at": "2026-10-01T09:15:30.123456Z",
                "authorization": text,
            },
            "dedup": {
                "payment_key": accepted.payment_key,
                "owner": "0" * 32,
                "fingerprint": accepted.fingerprint,
                "payment_id": authorization.payment_id,
                "seen_at": "2026-10-01T09:15:30.123456+00:00",
                "expires_at": "0" * 8,
            },
            "velocity": {
                "pk": f"{authorization.card.token}#2026100109",
                "payments": authorization.payment_id * 2,
                "expires_at": "0" * 8,
            },
        }
        if account is not None:
            items["reference"] = {"pk": f"CARD#{authorization.card.token}", "account": account.model_dump_json()}
        for table, item in items.items():
            weight = sum(len(name) + len(value.encode()) for name, value in item.items())
            self._tally.item_bytes[table].append(weight)

    def _stage(
        self,
        stage: str,
        takes: type[EventData],
        causes: Sequence[Event[Any]],
        run: Callable[[list[Any]], Sequence[Any]],
    ) -> list[Event[Any]]:
        reader = EventReader(takes)
        bodies = [_delivered(cause) for cause in causes]

        def answer() -> list[Event[Any]]:
            delivered = [_detail(reader, body) for body in bodies]
            outcomes = run([event.data for event in delivered])
            return self._write(list(self._follow(delivered, outcomes, stage)))

        if not causes:
            return []
        events: list[Event[Any]] = self._tally.timed(stage, causes, answer)
        return events

    def _follow(self, causes: Sequence[Event[Any]], outcomes: Sequence[Any], stage: str) -> Iterator[Event[Any]]:
        for cause, outcome in zip(causes, outcomes, strict=True):
            for index, data in enumerate([outcome] if isinstance(outcome, EventData) else outcome):
                yield follow_up(
                    cause.metadata, cause.data.detail_type(), data, producer=stage, clock=self._clock, index=index
                )

    def _post(self, parts: Sequence[Event[Any]]) -> None:
        reader = EventReader(PostingRequested)
        bodies = [_delivered(part) for part in parts]
        if not bodies:
            return

        def answer() -> list[Event[Any]]:
            sequences: dict[str, list[Event[Any]]] = {}
            for body in bodies:
                event = _detail(reader, body)
                sequences.setdefault(event.data.sequence_id, []).append(event)
            return self._write([self._posted(some) for some in sequences.values()])

        self._tally.timed("post", bodies, answer)

    def _posted(self, parts: Sequence[Event[Any]]) -> Event[Any]:
        data = [part.data for part in parts]
        posting = build_posting(data, transaction_id="txn_01a0f6bf5c327abc8000000000000000")
        posted = PaymentPosted(
            payment_id=posting.payment_id,
            sequence_id=posting.sequence_id,
            transaction_id=posting.transaction_id,
            payment_key=posting.payment_key,
            legs=tuple(
                LegData(
                    account_id=leg.account_id,
                    direction=leg.direction,
                    amount_minor=leg.amount_minor,
                    currency=leg.currency,
                )
                for leg in posting.legs
            ),
            posted_at=datetime.now(UTC),
        )
        cause = parts[-1].metadata
        return follow_up(cause, PostingRequested.detail_type(), posted, producer="post", clock=self._clock)

    def _write(self, events: list[Event[Any]]) -> list[Event[Any]]:
        for event in events:
            name = event.data.detail_type()
            self._tally.bytes_of[name].append(entry_bytes(name, encode_event(event)))
        return events


def _delivered(event: Event[Any]) -> str:
    envelope = {**_ENVELOPE, "detail-type": event.data.detail_type(), "detail": json.loads(encode_event(event))}
    return json.dumps(envelope, separators=(",", ":"))


def _detail(reader: EventReader, body: str) -> Event[Any]:
    delivered = reader.read(Message("", body))
    if isinstance(delivered, Refusal):
        msg = f"a stage refused what the stage before it wrote: {delivered.detail}"
        raise MeasurementFailed(msg)
    return delivered.detail


def log_bytes(stage: str, size: int) -> int:
    """Bytes that the stage's own lines of one batch of `size` payments take in CloudWatch, without Lambda's lines.

    CloudWatch counts 26 bytes a line besides the text.
    """
    buffer = StringIO()
    handlers = [one for one in logging.getLogger("postrail").handlers if isinstance(one, logging.StreamHandler)]
    streams = [handler.setStream(buffer) for handler in handlers]
    try:
        begin_invocation(SimpleNamespace(aws_request_id="0" * 36))
        telemetry = Telemetry(stage, namespace="Postrail/postrail-prod")
        with redirect_stdout(buffer):  # metrics are printed, as Lambda wants them
            if stage == "post":
                telemetry.count("Posted", size)
                for index in range(size):
                    telemetry.measure("PostingLatency", 1_234.0 + index)
            ids = [(f"pay_{index:032x}", f"cor_{index:032x}") for index in range(size)]
            telemetry.batch(received=size, published=size, refused=0, failed=0, payments=ids)
    finally:
        for handler, stream in zip(handlers, streams, strict=True):
            if stream is not None:
                handler.setStream(stream)
    lines = buffer.getvalue().splitlines()
    return sum(len(line.encode()) + 26 for line in lines)
