"""The only place that builds adapters: one `build_*` for each Lambda function, from the settings.

Each imports what it needs and no more: what a function never uses must not cost it its cold start.
"""
# ruff: noqa: PLC0415

import gc
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from postrail.adapters.system import SystemClock, SystemIds
from postrail.settings import LedgerSettings, Settings

if TYPE_CHECKING:
    from postrail.adapters.aws.bus_stage import Run
    from postrail.adapters.aws.ledger_functions import OutboxSender
    from postrail.adapters.aws.ledger_login import RoleLogin
    from postrail.adapters.aws.observability import Telemetry
    from postrail.adapters.aws.secrets import LedgerPlace
    from postrail.adapters.aws.stage_handler import PipeAnswer
    from postrail.adapters.postgres.batch_runs import PostgresChunks
    from postrail.adapters.postgres.connection import Database
    from postrail.batch.worker import WorkerTask, Workshop
    from postrail.contracts.events import Delivered, Event, EventData
    from postrail.ports import DeadLetters, EventBus, ReferenceBook

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


def invoke(function: Callable[[], Handles], event: Any, context: object) -> Any:
    """Answer one invocation: `function` gives what was built, and every line carries Lambda's request id."""
    built = function()
    from postrail.adapters.aws.observability import begin_invocation

    begin_invocation(context)
    return built.handle(event)


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

    database, telemetry = _ledger_database(settings, "post"), _telemetry(settings, "post")
    stage = PostingStage(
        ledger=PostgresLedger(database),
        sender=_outbox_sender(settings, database),
        input_format=posting_input_by_name(settings.posting_input_format),
        clock=SystemClock(),
        ids=SystemIds(),
        telemetry=telemetry,
    )
    return _last_stage(settings, "post", (PostingRequested,), stage.take, telemetry)


def build_record_outcome(settings: Settings) -> "Handles":
    """The audit trail of payments that ended outside the ledger, and of what issuers reversed."""
    from postrail.adapters.aws.ledger_functions import OutcomeStage
    from postrail.adapters.postgres.outcomes import PostgresOutcomes
    from postrail.contracts.events import AuthorizationReversed, DuplicateParked, PaymentReferred, PaymentRejected

    stage = OutcomeStage(PostgresOutcomes(_ledger_database(settings, "record_outcome")))
    told = (PaymentRejected, PaymentReferred, DuplicateParked, AuthorizationReversed)
    return _last_stage(settings, "record_outcome", told, stage.take, _telemetry(settings, "record_outcome"))


def build_relay_outbox(settings: Settings) -> "Handles":
    """The outbox's second chance."""
    from postrail.adapters.aws.ledger_functions import OutboxRelay

    return OutboxRelay(
        sender=_outbox_sender(settings, _ledger_database(settings, "relay_outbox")),
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


def build_expire_holds(settings: Settings) -> "Handles":
    """The sweep over holds that are due."""
    from postrail.adapters.aws.ledger_functions import HoldSweep
    from postrail.adapters.postgres.holds import PostgresHolds

    return HoldSweep(
        holds=PostgresHolds(_ledger_database(settings, "expire_holds")),
        clock=SystemClock(),
        telemetry=_telemetry(settings, "expire_holds"),
    )


def build_anchor_ledger(settings: Settings) -> "Handles":
    """The anchors of the ledger's hash chains."""
    from postrail.adapters.aws import clients
    from postrail.adapters.aws.anchors import AnchorBucket
    from postrail.adapters.aws.ledger_functions import LedgerAnchoring
    from postrail.adapters.postgres.chain import take_anchor

    return LedgerAnchoring(
        take=partial(take_anchor, _ledger_database(settings, "anchor_ledger"), clock=SystemClock()),
        store=AnchorBucket(clients.s3(), _needed(settings.anchors_uri, "anchors_uri")),
        telemetry=_telemetry(settings, "anchor_ledger"),
    )


def build_migrate_ledger(settings: Settings) -> "Handles":
    """The migration of the ledger's schema, and the rights and the password of who uses it."""
    from postrail.adapters.aws.ledger_functions import LedgerMigration
    from postrail.adapters.postgres.migrate import migrate

    dsn, login = ledger_dsn(settings), _role_login(settings) if settings.ledger_app_secret_arn else None
    return LedgerMigration(
        migrate=lambda: migrate(dsn()),
        ensure_login=login.ensure if login else None,
        telemetry=_telemetry(settings, "migrate_ledger"),
    )


def build_rotate_ledger_secret(settings: Settings) -> "Handles":
    """The rotation of the password by which the proxy reaches the ledger."""
    from postrail.adapters.aws.ledger_login import LoginRotation

    return LoginRotation(_role_login(settings))


def _role_login(settings: Settings) -> "RoleLogin":
    from postrail.adapters.aws import clients
    from postrail.adapters.aws.ledger_login import RoleLogin

    return RoleLogin(
        clients.secrets_manager(),
        _needed(settings.ledger_app_secret_arn, "ledger_app_secret_arn"),
        role=_needed(settings.ledger_app_username, "ledger_app_username"),
        place=_ledger_place(settings),
        owner_dsn=ledger_dsn(settings),
    )


def build_check_ledger(settings: Settings) -> "Handles":
    """The questions of a validation to the ledger."""
    from postrail.adapters.aws.ledger_check import LedgerCheck
    from postrail.adapters.postgres.marked_payments import MarkedPayments

    payments = MarkedPayments(_ledger_database(settings, "check_ledger"), clock=SystemClock(), ids=SystemIds())
    return LedgerCheck(payments, telemetry=_telemetry(settings, "check_ledger"))


def ledger_dsn(settings: LedgerSettings) -> Callable[[], str]:
    """Where the ledger is: asked at every connect, so that a rotated password is picked up and no token is too old.

    Raises SettingMissing when the settings do not say.
    """
    if settings.ledger_dsn:
        return lambda: settings.ledger_dsn
    from postrail.adapters.aws import clients
    from postrail.adapters.aws.secrets import read_ledger_dsn, sign_ledger_dsn

    place = _ledger_place(settings)
    if settings.ledger_auth == "iam":
        _needed(place.host, "ledger_host")
        _needed(place.username, "ledger_username")
        return lambda: sign_ledger_dsn(clients.rds(), place)
    secret_arn = _needed(settings.ledger_secret_arn, "ledger_secret_arn")
    return lambda: read_ledger_dsn(clients.secrets_manager(), secret_arn, place)


def _ledger_place(settings: LedgerSettings) -> "LedgerPlace":
    from postrail.adapters.aws.secrets import LedgerPlace

    return LedgerPlace(
        host=settings.ledger_host,
        port=settings.ledger_port,
        dbname=settings.ledger_dbname,
        username=settings.ledger_username,
        sslmode=settings.ledger_sslmode,
        ca_file=settings.ledger_ca_file,
    )


@dataclass(frozen=True)
class BatchPlaces:
    """Where the workers of a batch find things; it travels to their processes.

    What is empty comes from the settings. `environment` is how boto3 reaches the reference table, when it is not what
    the process's own environment says.
    """

    ledger_dsn: str = ""
    reference_file: Path | None = None
    reference_table: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


def build_workshop(places: BatchPlaces, task: "WorkerTask") -> "Workshop":
    """What one worker of a batch works with; called in the worker's own process."""
    from postrail.batch.columns import RowBuilder
    from postrail.batch.duplicate_window import KEYS_MAX, DuplicateWindow
    from postrail.batch.road import Road, StageTools
    from postrail.batch.velocity_window import USES_MAX, VelocityWindow
    from postrail.batch.worker import Workshop
    from postrail.merchants.directory import load_merchants
    from postrail.posting_inputs import posting_input_by_name
    from postrail.products import load_products
    from postrail.rules import load_rule_set

    os.environ.update(places.environment)
    settings, clock = Settings(), SystemClock()
    config = settings.resolved_config_dir()
    tools = StageTools(
        store=DuplicateWindow(keys_max=KEYS_MAX // task.partitions, clock=clock),
        velocity=VelocityWindow(uses_max=USES_MAX // task.partitions),
        reference=_batch_reference(places, settings, task),
        merchants=load_merchants(config / "reference"),
        rules=load_rule_set(settings.rules_file or config / _DEFAULT_RULES),
        products=load_products(config / _DEFAULT_PRODUCTS),
        input_format=posting_input_by_name(settings.posting_input_format),
        clock=clock,
    )
    decode_row = RowBuilder(task.header).from_line if task.header else None
    road = Road(run_id=task.run_id, partition=task.partition, decode_row=decode_row, tools=tools)
    return Workshop(road, partial(_open_chunks, places.ledger_dsn or ledger_dsn(settings)))


def _open_chunks(dsn: str | Callable[[], str]) -> "PostgresChunks":
    from postrail.adapters.postgres.batch_runs import PostgresChunks
    from postrail.adapters.postgres.connection import Database

    # A chunk is large and a worker's thread shares its core: the server must not take slowness for death.
    return PostgresChunks(
        Database(
            dsn,
            application_name="postrail-batch",
            statement_seconds_max=120.0,
            lock_seconds_max=60.0,
            idle_in_transaction_seconds_max=60.0,
        )
    )


def _batch_reference(places: BatchPlaces, settings: Settings, task: "WorkerTask") -> "ReferenceBook":
    """The file's cards of the worker's own partition, or the reference table."""
    if places.reference_file is None:
        from postrail.adapters.aws import clients
        from postrail.adapters.aws.reference_table import ReferenceTable

        table = places.reference_table or _needed(settings.reference_table, "reference_table")
        return ReferenceTable(clients.dynamodb(), table, cache_seconds=settings.reference_cache_seconds)
    from postrail.adapters.memory.books import MemoryReferenceBook
    from postrail.batch.reference import CardLine, read_reference
    from postrail.batch.routing import partition_of

    def wants(token: bytes) -> bool:
        return partition_of(token, task.partitions) == task.partition

    lines = list(read_reference(places.reference_file, wants=wants))
    return MemoryReferenceBook(
        {line.card: line.account for line in lines if isinstance(line, CardLine)},
        [line.to_rate() for line in lines if not isinstance(line, CardLine)],
    )


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
    telemetry: "Telemetry",
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
        telemetry=telemetry,
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

    return Telemetry(stage, level=settings.log_level, namespace=settings.metrics_namespace)


def _needed(value: str, name: str) -> str:
    if not value:
        msg = f"this function needs the setting POSTRAIL_{name.upper()}, and it is empty"
        raise SettingMissing(msg)
    return value
