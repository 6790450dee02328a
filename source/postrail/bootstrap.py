"""The only place that builds adapters: one `build_*` for each Lambda function, from the settings.

Each imports what it needs and no more: what a function never uses must not cost it its cold start.
"""
# ruff: noqa: PLC0415

import gc
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from postrail.adapters.system import SystemClock, SystemIds
from postrail.settings import Settings

if TYPE_CHECKING:
    from postrail.adapters.aws.bus_stage import Run
    from postrail.adapters.aws.ledger_functions import OutboxSender
    from postrail.adapters.aws.observability import Telemetry
    from postrail.adapters.aws.stage_handler import PipeAnswer
    from postrail.adapters.postgres.connection import Database
    from postrail.contracts.events import Delivered, Event, EventData
    from postrail.ports import DeadLetters, EventBus

BuiltT = TypeVar("BuiltT")
# Thousands of small objects live as long as one batch of events and die without the collector's help.
_ALLOCATIONS_PER_COLLECTION: Final = 50_000


class Handles(Protocol):
    """Something that answers Lambda inputs."""

    def handle(self, event: Any) -> Any:
        """JSON in, JSON out."""
        ...


class SettingMissing(ValueError):
    """A setting that this function cannot do without is empty."""


def once(build: Callable[[Settings], BuiltT]) -> Callable[[], BuiltT]:
    """Build at the first call and keep: nothing reads the environment while modules are imported.

    What was built lives as long as the process: the collector need not look at it again at every batch.
    """
    kept: list[BuiltT] = []

    def built() -> BuiltT:
        if not kept:
            kept.append(build(Settings()))
            gc.collect()
            gc.freeze()
            gc.set_threshold(_ALLOCATIONS_PER_COLLECTION)
        return kept[0]

    return built


def build_deduplicate(settings: Settings) -> "Handles":
    """The duplicate check behind both doors."""
    from postrail.adapters.aws import clients
    from postrail.adapters.aws.arrivals import ArrivalReader, DuplicateCheck, arrival_ids, return_accepted
    from postrail.adapters.aws.dedup_table import DedupTable
    from postrail.adapters.aws.parking_lot import ParkedEventsBucket
    from postrail.adapters.aws.stage_handler import StageHandler

    clock = SystemClock()
    store = DedupTable(
        clients.dynamodb(),
        _needed(settings.dedup_table, "dedup_table"),
        clock=clock,
        window_hours=settings.dedup_window_hours,
    )
    parking_lot = ParkedEventsBucket(clients.s3(), _needed(settings.parked_bucket, "parked_bucket"))
    check = DuplicateCheck(store=store, parking_lot=parking_lot, clock=clock, producer="deduplicate")
    return StageHandler(
        "deduplicate",
        read=ArrivalReader().read,
        ids_of=arrival_ids,
        work=check.judge,
        bus=_bus(settings),
        dead_letters=_dead_letters(settings),
        telemetry=_telemetry(settings, "deduplicate"),
        pipe_answer=return_accepted,
    )


def build_standardise(settings: Settings) -> "Handles":
    """Accepted payments to ISO 20022 advices."""
    from postrail.contracts.events import PaymentAccepted
    from postrail.stages.standardise import standardise

    return _bus_stage(settings, "standardise", PaymentAccepted, standardise)


def build_enrich(settings: Settings) -> "Handles":
    """Advices completed with account, merchant and billing."""
    from postrail.adapters.aws import clients
    from postrail.adapters.aws.reference_table import ReferenceTable
    from postrail.contracts.events import PaymentStandardised
    from postrail.merchants.directory import load_merchants
    from postrail.stages.enrich import enrich

    reference = ReferenceTable(
        clients.dynamodb(),
        _needed(settings.reference_table, "reference_table"),
        cache_seconds=settings.reference_cache_seconds,
    )
    merchants = load_merchants(settings.resolved_config_dir() / "reference")
    run = partial(enrich, reference=reference, merchants=merchants)
    return _bus_stage(settings, "enrich", PaymentStandardised, run)


def build_apply_rules(settings: Settings) -> "Handles":
    """Decisions; given a list, as the state machine does, they are returned as PutEvents requests."""
    from postrail.adapters.aws import clients
    from postrail.adapters.aws.rules_chunks import ChunkedEntries
    from postrail.adapters.aws.velocity_table import VelocityTable
    from postrail.contracts.events import PaymentEnriched
    from postrail.rules import load_rule_set
    from postrail.stages.apply_rules import apply_rules

    rules = load_rule_set(settings.rules_file or settings.resolved_config_dir() / _DEFAULT_RULES)
    velocity = VelocityTable(clients.dynamodb(), _needed(settings.velocity_table, "velocity_table"))
    run = partial(apply_rules, rules=rules, velocity=velocity, clock=SystemClock())
    chunks = ChunkedEntries(settings.bus_name)
    return _bus_stage(settings, "apply_rules", PaymentEnriched, run, pipe_answer=chunks)


def build_sequence_postings(settings: Settings) -> "Handles":
    """Approved payments to the parts of their posting sequences."""
    from postrail.contracts.events import PaymentApproved
    from postrail.products import load_products
    from postrail.stages.sequence_postings import sequence_postings

    run = partial(sequence_postings, products=load_products(settings.resolved_config_dir() / _DEFAULT_PRODUCTS))
    return _bus_stage(settings, "sequence_postings", PaymentApproved, run)


def build_post(settings: Settings) -> "Handles":
    """The posting engine on the ledger."""
    from postrail.adapters.aws.ledger_functions import PostingStage
    from postrail.adapters.postgres.ledger import PostgresLedger
    from postrail.contracts.events import PostingRequested
    from postrail.posting_inputs import posting_input_by_name

    database = _ledger_database(settings, "post")
    stage = PostingStage(
        ledger=PostgresLedger(database),
        sender=_outbox_sender(settings, database),
        input_format=posting_input_by_name(settings.posting_input_format),
        clock=SystemClock(),
        ids=SystemIds(),
    )
    return _last_stage(settings, "post", (PostingRequested,), stage.take)


def build_record_outcome(settings: Settings) -> "Handles":
    """The audit trail of payments that ended outside the ledger."""
    from postrail.adapters.aws.ledger_functions import OutcomeStage
    from postrail.adapters.postgres.outcomes import PostgresOutcomes
    from postrail.contracts.events import DuplicateParked, PaymentReferred, PaymentRejected

    stage = OutcomeStage(PostgresOutcomes(_ledger_database(settings, "record_outcome")))
    return _last_stage(settings, "record_outcome", (PaymentRejected, PaymentReferred, DuplicateParked), stage.take)


def build_relay_outbox(settings: Settings) -> "Handles":
    """The outbox's second chance."""
    from postrail.adapters.aws.ledger_functions import OutboxRelay
    from postrail.adapters.postgres.outbox import PostgresOutbox

    database = _ledger_database(settings, "relay_outbox")
    return OutboxRelay(
        outbox=PostgresOutbox(database),
        sender=_outbox_sender(settings, database),
        telemetry=_telemetry(settings, "relay_outbox"),
    )


def build_watch_sequences(settings: Settings) -> "Handles":
    """The watch over sequences whose parts stay away."""
    from postrail.adapters.aws.ledger_functions import SequenceWatch
    from postrail.adapters.postgres.sequences import PostgresSequences

    database = _ledger_database(settings, "watch_sequences")
    return SequenceWatch(
        sequences=PostgresSequences(database),
        sender=_outbox_sender(settings, database),
        older_than_seconds=settings.sequence_timeout_seconds,
        clock=SystemClock(),
        ids=SystemIds(),
        telemetry=_telemetry(settings, "watch_sequences"),
    )


def build_migrate_ledger(settings: Settings) -> "Handles":
    """The migration of the ledger's schema."""
    from postrail.adapters.aws.ledger_functions import LedgerMigration
    from postrail.adapters.postgres.migrate import migrate

    dsn = ledger_dsn(settings)
    return LedgerMigration(migrate=lambda: migrate(dsn()), telemetry=_telemetry(settings, "migrate_ledger"))


def ledger_dsn(settings: Settings) -> Callable[[], str]:
    """Where the ledger is: asked at every connect, so that a rotated password is picked up."""
    if settings.ledger_dsn:
        return lambda: settings.ledger_dsn
    from postrail.adapters.aws import clients
    from postrail.adapters.aws.secrets import read_ledger_dsn

    secret_arn = _needed(settings.ledger_secret_arn, "ledger_secret_arn")
    return lambda: read_ledger_dsn(clients.secrets_manager(), secret_arn)


_DEFAULT_RULES: Final = "rules/issuer-default.yaml"
_DEFAULT_PRODUCTS: Final = "products/default.yaml"


def _bus_stage(
    settings: Settings,
    stage: str,
    takes: "type[EventData]",
    run: "Run",
    pipe_answer: "PipeAnswer | None" = None,
) -> "Handles":
    from postrail.adapters.aws.bus_stage import BusStage, EventReader, delivered_ids
    from postrail.adapters.aws.stage_handler import StageHandler, publish_everything

    return StageHandler(
        stage,
        read=EventReader(takes).read,
        ids_of=delivered_ids,
        work=BusStage(run, producer=stage, clock=SystemClock()).answer,
        bus=_bus(settings),
        dead_letters=_dead_letters(settings),
        telemetry=_telemetry(settings, stage),
        pipe_answer=pipe_answer or publish_everything,
    )


def _last_stage(
    settings: Settings,
    stage: str,
    takes: "tuple[type[EventData], ...]",
    work: "Callable[[Sequence[Delivered[Any]]], list[list[Event[Any]]]]",
) -> "Handles":
    from postrail.adapters.aws.bus_stage import EventReader, delivered_ids
    from postrail.adapters.aws.stage_handler import StageHandler

    return StageHandler(
        stage,
        read=EventReader(*takes).read,
        ids_of=delivered_ids,
        work=work,
        bus=_bus(settings),
        dead_letters=_dead_letters(settings),
        telemetry=_telemetry(settings, stage),
    )


def _ledger_database(settings: Settings, function: str) -> "Database":
    from postrail.adapters.postgres.connection import Database

    return Database(ledger_dsn(settings), application_name=f"postrail-{function}")


def _outbox_sender(settings: Settings, database: "Database") -> "OutboxSender":
    from postrail.adapters.aws.ledger_functions import OutboxSender
    from postrail.adapters.postgres.outbox import PostgresOutbox

    return OutboxSender(outbox=PostgresOutbox(database), bus=_bus(settings))


def _bus(settings: Settings) -> "EventBus":
    from postrail.adapters.aws import clients
    from postrail.adapters.aws.bus import EventBridgeBus

    return EventBridgeBus(clients.events(), settings.bus_name)


def _dead_letters(settings: Settings) -> "DeadLetters":
    from postrail.adapters.aws import clients
    from postrail.adapters.aws.dead_letters import DeadLetterQueue

    return DeadLetterQueue(clients.sqs(), _needed(settings.dead_letter_queue_url, "dead_letter_queue_url"))


def _telemetry(settings: Settings, stage: str) -> "Telemetry":
    from postrail.adapters.aws.observability import Telemetry

    return Telemetry(stage, level=settings.log_level)


def _needed(value: str, name: str) -> str:
    if not value:
        msg = f"this function needs the setting POSTRAIL_{name.upper()}, and it is empty"
        raise SettingMissing(msg)
    return value
