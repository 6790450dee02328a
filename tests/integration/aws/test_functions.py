"""The functions as Lambda runs them: their own handler files, built from the environment, on a cloud."""

import importlib.util
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.builders.deliveries import make_delivery, make_event, make_id, make_sqs_event, make_stream_record
from tests.builders.payments import CARD_TOKEN, make_account_details, make_authorization
from tests.integration.aws.conftest import Cloud

from postrail.adapters.aws import clients
from postrail.adapters.aws.anchors import AnchorBucket
from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.holds import PostgresHolds
from postrail.adapters.postgres.migrate import migrate
from postrail.adapters.postgres.outbox import add_to_outbox
from postrail.adapters.postgres.verify import verify
from postrail.adapters.system import SystemClock, SystemIds
from postrail.bootstrap import SettingMissing
from postrail.contracts.events import AuthorizationReversed, PaymentAuthorized
from postrail.domain.anchor import AnchorUnusable
from postrail.domain.errors import Retryable
from postrail.domain.hold import HoldStatus, PlaceHold
from postrail.domain.ledger import AccountSpec, AccountStatus, AccountType
from postrail.sampling.accounts import system_accounts

ROOT = Path(__file__).parents[3]
EVENTS = ROOT / "tests" / "events"
FUNCTIONS = sorted(path.parent.name for path in ROOT.glob("lambdas/*/handler.py"))
Handler = Callable[[Any, object], Any]


def load(name: str) -> Handler:
    """A function's handler, loaded anew: a cold start."""
    spec = importlib.util.spec_from_file_location(f"handler_{name}", ROOT / "lambdas" / name / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler: Handler = module.handler
    return handler


def raw_event(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


@pytest.fixture(autouse=True)
def fresh_clients() -> Iterator[None]:
    """Clients are kept for the life of a process: each test is a process of its own."""
    kept = (clients.dynamodb, clients.events, clients.s3, clients.secrets_manager, clients.sqs, clients._session)
    for client in kept:
        client.cache_clear()
    yield
    for client in kept:
        client.cache_clear()


class Graph:
    """The resources of the whole graph on one cloud, and what arrived on its bus."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.bus, self.observer = cloud.observed_bus()
        self.dead_letters = cloud.queue("dlq")
        self.dedup = cloud.table("dedup", "payment_key")
        self.reference = cloud.table("reference", "pk")
        self.velocity = cloud.table("velocity", "pk")
        self.parked = cloud.bucket("parked-events")
        account = make_account_details().model_dump_json()
        rate = {"rate": {"S": "0.86"}, "day": {"S": "2026-10-01"}, "publisher": {"S": "issuer-daily"}}
        for item in (
            {"pk": {"S": f"CARD#{CARD_TOKEN}"}, "account": {"S": account}},
            {"pk": {"S": "RATE#EUR#GBP"}, **rate},
        ):
            cloud.client("dynamodb").put_item(TableName=self.reference, Item=item)

    def environment(self) -> dict[str, str]:
        return {
            "POSTRAIL_BUS_NAME": self.bus,
            "POSTRAIL_DEAD_LETTER_QUEUE_URL": self.dead_letters,
            "POSTRAIL_DEDUP_TABLE": self.dedup,
            "POSTRAIL_REFERENCE_TABLE": self.reference,
            "POSTRAIL_VELOCITY_TABLE": self.velocity,
            "POSTRAIL_PARKED_BUCKET": self.parked,
        }

    def arrived(self) -> list[dict[str, Any]]:
        """The events that came onto the bus since last asked, as delivered."""
        return [json.loads(message["Body"]) for message in self.cloud.messages(self.observer)]


@pytest.fixture
def graph(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Graph:
    built = Graph(cloud)
    for name, value in built.environment().items():
        monkeypatch.setenv(name, value)
    return built


def types(events: list[dict[str, Any]]) -> list[str]:
    return sorted(event["detail-type"] for event in events)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_importing_a_handler_reads_no_setting_and_builds_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad setting shows in the first invocation's log, not as a function that cannot be loaded."""
    monkeypatch.setenv("POSTRAIL_DEDUP_WINDOW_HOURS", "no number")
    assert callable(load(name))


def test_there_are_seventeen_functions() -> None:
    assert len(FUNCTIONS) == 17


def test_a_setting_that_is_missing_is_named(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTRAIL_DEDUP_TABLE")
    with pytest.raises(SettingMissing, match="POSTRAIL_DEDUP_TABLE"):
        load("deduplicate")(raw_event("sqs_payment_authorized"), None)


def test_deduplicate_answers_an_sqs_batch(graph: Graph) -> None:
    assert load("deduplicate")(raw_event("sqs_payment_authorized"), None) == {"batchItemFailures": []}
    assert types(graph.arrived()) == ["PaymentAccepted", "PaymentAccepted"]


def test_deduplicate_answers_a_lone_event(graph: Graph) -> None:
    load("deduplicate")(raw_event("eventbridge_payment_authorized"), None)
    assert types(graph.arrived()) == ["PaymentAccepted"]


def test_deduplicate_answers_the_pipe(graph: Graph) -> None:
    """JSON that the runtime can write; the Pipe publishes it, the function only says what it parked."""
    handler, records = load("deduplicate"), raw_event("pipe_authorizations_stream")
    answer = handler(records, None)
    assert [json.loads(json.dumps(detail))["metadata"]["producer"] for detail in answer] == ["deduplicate"] * 2
    assert graph.arrived() == []
    again = [record | {"eventID": f"other-{record['eventID']}"} for record in records]
    assert handler(again, None) == []
    assert types(graph.arrived()) == ["DuplicateParked", "DuplicateParked"]
    parked = graph.cloud.client("s3").list_objects_v2(Bucket=graph.parked)["Contents"]
    assert len(parked) == 2


def test_apply_rules_answers_the_pipe_with_chunks(graph: Graph) -> None:
    answer = load("apply_rules")(raw_event("pipe_apply_rules_queue"), None)
    ((entry,),) = answer["chunks"]
    assert (entry["EventBusName"], entry["Source"]) == (graph.bus, "postrail")
    assert json.loads(entry["Detail"])["data"]["decision"]["version"]


# --- the whole road ------------------------------------------------------------------------------------------------


@pytest.fixture
def with_ledger(graph: Graph, postgres_dsn: str, application_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Graph:
    """The graph on a ledger with the default payment's account; its functions have the application's rights alone."""
    monkeypatch.setenv("POSTRAIL_LEDGER_DSN", application_dsn)
    customer = make_account_details()
    spec = AccountSpec(
        customer.account_id, AccountType.CUSTOMER, customer.currency, AccountStatus.OPEN, customer.holder_name
    )
    with Database(postgres_dsn) as database:
        specs = [spec, *system_accounts(["GBP"])]
        openings = {spec.account_id: 100_000}
        PostgresAccounts(database).open_accounts(specs, openings=openings, clock=SystemClock(), ids=SystemIds())
    return graph


def walk(graph: Graph, *functions: str) -> list[dict[str, Any]]:
    """Hand what is on the bus to each function in turn; what is there in the end."""
    events = graph.arrived()
    for function in functions:
        answer = load(function)(make_sqs_event(*events), None)
        assert answer == {"batchItemFailures": []}
        events = graph.arrived()
    return events


ROAD = ("standardise", "enrich", "apply_rules", "sequence_postings", "post")


def test_a_payment_goes_all_the_way_to_a_balanced_ledger(with_ledger: Graph, postgres_dsn: str) -> None:
    """Every function reads what the one before it published; the trail tells all of it."""
    load("deduplicate")(raw_event("sqs_payment_authorized"), None)
    posted = walk(with_ledger, *ROAD)
    assert types(posted) == ["PaymentPosted", "PaymentPosted"]
    assert [hop["type"] for hop in posted[0]["detail"]["metadata"]["trail"]] == [
        "PaymentAuthorized",
        "PaymentAccepted",
        "PaymentStandardised",
        "PaymentEnriched",
        "PaymentApproved",
        "PostingRequested",
    ]
    assert verify(postgres_dsn).clean
    assert with_ledger.cloud.messages(with_ledger.dead_letters) == []


def test_the_road_twice_posts_once(with_ledger: Graph, postgres_dsn: str) -> None:
    """Everything is delivered again from the second door on: the ledger does not move."""
    load("deduplicate")(raw_event("sqs_payment_authorized"), None)
    walk(with_ledger, *ROAD)
    before = transactions(postgres_dsn)
    load("deduplicate")(raw_event("sqs_payment_authorized"), None)
    assert walk(with_ledger, *ROAD) == []
    assert transactions(postgres_dsn) == before
    assert verify(postgres_dsn).clean


def transactions(dsn: str) -> int:
    with Database(dsn) as database:
        return int(database.fetch("SELECT count(*) FROM ledger.journal")[0][0])


def test_an_unknown_card_is_rejected_and_recorded_once(with_ledger: Graph, postgres_dsn: str) -> None:
    """The audit trail keeps the outcome once, however often the payment came by."""
    stranger = make_authorization(card={"token": "9999990000000019"})
    for _ in range(2):
        accepted = load("deduplicate")([make_stream_record(stranger)], None)
        delivery = make_delivery(PaymentAuthorized(authorization=stranger))
        delivery |= {"detail-type": "PaymentAccepted", "detail": accepted[0]}
        load("standardise")(make_sqs_event(delivery), None)
        rejected = walk(with_ledger, "enrich")
        assert types(rejected) == ["PaymentRejected"]
        load("record_outcome")(make_sqs_event(*rejected), None)
    with Database(postgres_dsn) as database:
        rows = database.fetch("SELECT payment_id, reason_code FROM audit.outcomes")
    assert [tuple(row) for row in rows] == [(stranger.payment_id, "UNKNOWN_ACCOUNT")]


def test_a_reversal_goes_from_the_issuers_outbox_by_the_bus_to_the_audit_trail(
    with_ledger: Graph, postgres_dsn: str
) -> None:
    """The issuer commits it with the hold that it releases; the relay brings it to the bus, and it is recorded once."""
    reversal = AuthorizationReversed(
        payment_id=make_id("pay"),
        reversed_minor=2_550,
        remaining_minor=0,
        currency="EUR",
        message_reason="4021",
        hold_id=make_id("hld"),
        reversed_at=datetime(2026, 10, 1, 9, 15, 31, tzinfo=UTC),
    )
    with Database(postgres_dsn) as database, database.transaction():
        add_to_outbox(database, [make_event(reversal)], lease_seconds=-1)
    assert load("relay_outbox")(raw_event("scheduled"), None) == {"sent": 1, "left": 0}
    delivered = with_ledger.arrived()
    assert types(delivered) == ["AuthorizationReversed"]
    for _ in range(2):
        assert load("record_outcome")(make_sqs_event(*delivered), None) == {"batchItemFailures": []}
    with Database(postgres_dsn) as database:
        rows = database.fetch("SELECT payment_id, detail_type, reason_code FROM audit.outcomes")
    assert [tuple(row) for row in rows] == [(reversal.payment_id, "AuthorizationReversed", "4021")]


def test_what_the_bus_refused_is_relayed_from_the_outbox(
    with_ledger: Graph, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bus is gone at the moment of posting: the ledger stands, the message is done, the event leaves later."""
    load("deduplicate")(raw_event("eventbridge_payment_authorized"), None)
    requested = walk(with_ledger, "standardise", "enrich", "apply_rules", "sequence_postings")
    monkeypatch.setenv("POSTRAIL_BUS_NAME", "a-bus-that-is-not-there")
    monkeypatch.setattr("postrail.adapters.aws.bus._ATTEMPTS_MAX", 1)
    assert load("post")(make_sqs_event(*requested), None) == {"batchItemFailures": []}
    assert with_ledger.arrived() == []
    monkeypatch.setenv("POSTRAIL_BUS_NAME", with_ledger.bus)
    assert load("relay_outbox")(raw_event("scheduled"), None) == {"sent": 0, "left": 0}
    with Database(postgres_dsn) as database:
        database.execute("UPDATE ledger.outbox SET leased_until = now() - interval '1 second'")
    assert load("relay_outbox")(raw_event("scheduled"), None) == {"sent": 1, "left": 0}
    assert types(with_ledger.arrived()) == ["PaymentPosted"]
    assert load("relay_outbox")(raw_event("scheduled"), None) == {"sent": 0, "left": 0}


def test_a_sequence_without_all_its_parts_raises_one_alert(
    with_ledger: Graph, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits, it is said once, and it is still posted when the missing part comes."""
    monkeypatch.setenv("POSTRAIL_SEQUENCE_TIMEOUT_SECONDS", "60")
    load("deduplicate")(raw_event("eventbridge_payment_authorized"), None)
    requested = walk(with_ledger, "standardise", "enrich", "apply_rules", "sequence_postings")
    if len(requested) < 2:
        pytest.fail("the default payment must be converted, so that its sequence has several parts")
    load("post")(make_sqs_event(*requested[1:]), None)
    assert load("watch_sequences")(raw_event("scheduled"), None) == {"overdue": 0, "sent": 0}
    with Database(postgres_dsn) as database:
        database.execute("UPDATE ledger.posting_sequences SET first_part_at = first_part_at - interval '2 minutes'")
    assert load("watch_sequences")(raw_event("scheduled"), None) == {"overdue": 1, "sent": 1}
    assert types(with_ledger.arrived()) == ["PostingSequenceOverdue"]
    assert load("watch_sequences")(raw_event("scheduled"), None) == {"overdue": 0, "sent": 0}
    load("post")(make_sqs_event(requested[0]), None)
    assert types(with_ledger.arrived()) == ["PaymentPosted"]


def test_holds_that_are_due_are_ended_by_the_clock(with_ledger: Graph, postgres_dsn: str) -> None:
    """What was due a minute ago is available again; what is due tomorrow still holds."""
    now, ids, customer = SystemClock().now(), SystemIds(), make_account_details()
    hold_ids = [ids.new_id("hld") for _ in range(3)]
    due_at = [now - timedelta(minutes=1), now - timedelta(seconds=1), now + timedelta(days=1)]
    with Database(postgres_dsn) as database:
        holds, accounts = PostgresHolds(database), PostgresAccounts(database)
        requests = [
            PlaceHold(hold_id, hold_id, customer.account_id, customer.currency, 1_000, due, now - timedelta(hours=1))
            for hold_id, due in zip(hold_ids, due_at, strict=True)
        ]
        assert {result.reason for result in holds.place(requests)} == {None}
        assert load("expire_holds")(raw_event("scheduled"), None) == {"expired": 2, "cut_short": 0}
        assert [hold.status for hold in holds.find(hold_ids)] == [
            HoldStatus.EXPIRED,
            HoldStatus.EXPIRED,
            HoldStatus.ACTIVE,
        ]
        assert accounts.read_balances([customer.account_id])[0].held_minor == 1_000
        assert load("expire_holds")(raw_event("scheduled"), None) == {"expired": 0, "cut_short": 0}
    assert verify(postgres_dsn).clean


def test_the_anchors_that_are_kept_stand_in_this_ledger_and_in_no_other(
    with_ledger: Graph, postgres_dsn: str, empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole and clean ledger that is not the one they were taken of is found out by them alone."""
    bucket = with_ledger.cloud.bucket("anchors")
    monkeypatch.setenv("POSTRAIL_ANCHORS_URI", f"s3://{bucket}/ledger")
    load("deduplicate")(raw_event("sqs_payment_authorized"), None)
    walk(with_ledger, *ROAD)
    kept = load("anchor_ledger")(raw_event("scheduled"), None)
    assert json.loads(json.dumps(kept))["place"].startswith(f"s3://{bucket}/ledger/20")
    anchors = list(AnchorBucket(with_ledger.cloud.client("s3"), f"s3://{bucket}/ledger").read())
    assert [anchor.root for anchor in anchors] == [kept["root"]]
    with Database(postgres_dsn) as database:
        assert kept["batches"] == database.fetch("SELECT count(*) FROM ledger.batches")[0][0] > 0
    report = verify(postgres_dsn, anchors=anchors)
    assert (report.clean, report.anchors) == (True, 1)
    migrate(empty_dsn)
    assert verify(empty_dsn).clean
    (difference,) = verify(empty_dsn, anchors=anchors).differences
    assert difference.check == "anchors_stand_in_the_chain"


def test_an_anchor_without_a_place_or_a_ledger_is_an_error(
    graph: Graph, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never a success that kept nothing."""
    monkeypatch.setenv("POSTRAIL_LEDGER_DSN", postgres_dsn)
    with pytest.raises(SettingMissing, match="POSTRAIL_ANCHORS_URI"):
        load("anchor_ledger")(raw_event("scheduled"), None)
    monkeypatch.setenv("POSTRAIL_ANCHORS_URI", f"s3://{graph.cloud.prefix}-none/ledger")
    with pytest.raises(AnchorUnusable, match="NoSuchBucket"):
        load("anchor_ledger")(raw_event("scheduled"), None)
    monkeypatch.setenv("POSTRAIL_LEDGER_DSN", "postgresql://nobody@127.0.0.1:1/none")
    for function in ("anchor_ledger", "expire_holds"):
        with pytest.raises(Retryable):
            load(function)(raw_event("scheduled"), None)


def test_a_ledger_that_is_away_leaves_the_messages_in_their_queue(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens at the address: retryable, for each message."""
    monkeypatch.setenv("POSTRAIL_LEDGER_DSN", "postgresql://nobody@127.0.0.1:1/none")
    load("deduplicate")(raw_event("eventbridge_payment_authorized"), None)
    requested = walk(graph, "standardise", "enrich", "apply_rules", "sequence_postings")
    answer = load("post")(make_sqs_event(*requested), None)
    assert len(answer["batchItemFailures"]) == len(requested) > 0


def test_the_ledger_is_found_by_its_secret_and_migrated(
    graph: Graph, empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a real account does; the second run finds nothing to do."""
    credentials, _, address = empty_dsn.removeprefix("postgresql://").partition("@")
    username, _, password = credentials.partition(":")
    location, _, dbname = address.partition("/")
    host, _, port = location.partition(":")
    secret = {"host": host, "port": port, "dbname": dbname, "username": username, "password": password}
    created = graph.cloud.client("secretsmanager").create_secret(
        Name=f"{graph.cloud.prefix}-ledger", SecretString=json.dumps(secret)
    )
    monkeypatch.setenv("POSTRAIL_LEDGER_SECRET_ARN", created["ARN"])
    assert load("migrate_ledger")({}, None)["applied"]
    assert load("migrate_ledger")({}, None) == {"applied": []}
