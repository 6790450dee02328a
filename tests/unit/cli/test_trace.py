"""A payment's history, told from what each place knows."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from tests.builders.payments import make_accepted, make_authorization, make_referred, make_rejected
from tests.fakes.system import FakeClock, FakeIds

from postrail.adapters.postgres.trace import OutcomeTrace, PartTrace, PaymentTrace, SequenceTrace
from postrail.cli import history as history_module
from postrail.cli.history import read_history
from postrail.cli.trace import document
from postrail.contracts.envelope import start_event
from postrail.contracts.events import DuplicateParked
from postrail.domain.errors import ReasonCode
from postrail.iso20022.cain import from_xml
from postrail.stages.follow_up import encode_event, follow_up

AUTHORIZATION = make_authorization()
PAYMENT_ID = AUTHORIZATION.payment_id
RUN = "run_12345678"


@pytest.fixture
def known(monkeypatch):
    """What the database knows: set by each test."""
    answer = {}
    monkeypatch.setattr(history_module, "trace", lambda _, payment_id: answer.get(payment_id))
    return answer


@pytest.fixture
def row(graph):
    """The payment's row in the authorizations table."""
    graph.client("dynamodb").put_item(
        TableName=graph.table("authorizations"),
        Item={
            "payment_id": {"S": PAYMENT_ID},
            "correlation_id": {"S": RUN},
            "action_code": {"S": "000"},
            "authorization": {"S": AUTHORIZATION.model_dump_json(exclude_none=True)},
        },
    )


def _marker(graph, payment_id=PAYMENT_ID):
    accepted = make_accepted()
    graph.client("dynamodb").put_item(
        TableName=graph.table("dedup"),
        Item={
            "payment_key": {"S": accepted.payment_key},
            "payment_id": {"S": payment_id},
            "owner": {"S": "evt_x"},
            "fingerprint": {"S": accepted.fingerprint},
            "seen_at": {"S": "2026-10-01T09:15:32+00:00"},
            "expires_at": {"N": "1900000000"},
        },
    )


def _after_acceptance(data):
    """The detail of an event that follows a PaymentAccepted, as a document."""
    clock = FakeClock()
    accepted = start_event(make_accepted(), correlation_id=RUN, producer="deduplicate", clock=clock, ids=FakeIds())
    event = follow_up(accepted.metadata, "PaymentAccepted", data, producer="test", clock=clock)
    return event, json.loads(encode_event(event))


def _outcome(data, reason):
    event, detail = _after_acceptance(data)
    at = event.metadata.occurred_at
    outcome = OutcomeTrace(
        event.metadata.event_id, data.detail_type(), at, at + timedelta(milliseconds=40), reason, detail
    )
    return PaymentTrace(PAYMENT_ID, (), (outcome,), ())


def test_a_payment_that_nobody_knows_is_nothing(graph, known):
    assert read_history(graph, PAYMENT_ID) is None


def test_a_row_that_the_check_has_not_seen_is_in_flight(graph, known, row):
    history = read_history(graph, PAYMENT_ID)
    assert history.state == "in_flight"
    assert "the duplicate check has not seen it yet" in history.summary
    assert history.correlation_id == RUN


def test_a_pre_authorisation_is_held(graph, known):
    """Its item has an attribute that says when the money is taken."""
    body = AUTHORIZATION.model_dump_json(exclude_none=True)
    item = {"payment_id": PAYMENT_ID, "correlation_id": RUN, "action_code": "000", "authorization": body}
    graph.client("dynamodb").put_item(
        TableName=graph.table("authorizations"),
        Item={name: {"S": value} for name, value in (item | {"capture": "later"}).items()},
    )
    history = read_history(graph, PAYMENT_ID)
    assert (history.state, document(history)["state"]) == ("held", "held")
    assert "until its completion comes" in history.summary


def test_an_accepted_payment_is_between_stages(graph, known, row):
    _marker(graph)
    history = read_history(graph, PAYMENT_ID)
    assert history.state == "in_flight"
    assert "accepted at 2026-10-01T09:15:32" in history.summary


def test_a_duplicate_on_its_way_to_the_parking_lot_names_the_first(graph, known, row):
    _marker(graph, payment_id="pay_first")
    assert "pay_first has the same key and came first" in read_history(graph, PAYMENT_ID).summary


def test_a_rejection_tells_hops_reason_and_stage(graph, known, row):
    known[PAYMENT_ID] = _outcome(make_rejected(), "UNKNOWN_ACCOUNT")
    history = read_history(graph, PAYMENT_ID)
    assert history.state == "rejected"
    assert history.summary == "rejected (UNKNOWN_ACCOUNT): no account belongs to this card token"
    assert [hop.name for hop in history.hops] == ["PaymentAccepted", "PaymentRejected", "recorded in the audit trail"]
    deltas = [hop["delta_ms"] for hop in document(history)["hops"]]
    assert deltas[0] is None
    assert deltas[-1] == 40.0


def test_a_referral_tells_the_decision(graph, known, row):
    known[PAYMENT_ID] = _outcome(make_referred(), "RULE_REFERRED")
    history = read_history(graph, PAYMENT_ID)
    assert history.state == "referred"
    assert history.decision.rule_set == "issuer-default"
    assert document(history)["decision"]["version"] == "1"


def test_a_parked_duplicate_shows_the_object_and_the_first_payment(graph, known):
    uri = f"s3://{graph.outputs.parked_bucket}/DUPLICATE/x.json"
    graph.client("s3").put_object(
        Bucket=graph.outputs.parked_bucket, Key="DUPLICATE/x.json", Body=b'{"reason": "DUPLICATE", "body": "{}"}'
    )
    parked = DuplicateParked(
        payment_id=PAYMENT_ID,
        payment_key="acq:1:2:3",
        reason_code=ReasonCode.DUPLICATE,
        parked_uri=uri,
        first_payment_id="pay_00000000000000000000000000000001",
        first_seen_at=datetime(2026, 10, 1, tzinfo=UTC),
    )
    known[PAYMENT_ID] = _outcome(parked, "DUPLICATE")
    history = read_history(graph, PAYMENT_ID)
    assert history.state == "parked"
    assert history.first_payment_id == "pay_00000000000000000000000000000001"
    assert document(history)["parked"] == {"uri": uri, "reason": "DUPLICATE", "body": "{}"}


def test_a_dead_letter_tells_queue_and_reason_and_stays_where_it_is(graph, known, row):
    sqs, queue = graph.client("sqs"), graph.dead_letter_queues()["deduplicate-dlq"]
    values = {"reason": "WRONG_TYPE", "detail": "amount_minor", "payment_id": PAYMENT_ID, "correlation_id": RUN}
    sqs.send_message(
        QueueUrl=queue,
        MessageBody="{}",
        MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in values.items()},
    )
    history = read_history(graph, PAYMENT_ID)
    assert history.summary == "dead-lettered in deduplicate-dlq (WRONG_TYPE): amount_minor"
    assert sqs.receive_message(QueueUrl=queue)["Messages"]


def test_a_sequence_that_waits_names_the_missing_parts(graph, known):
    moment = datetime(2026, 10, 1, tzinfo=UTC)
    event = {"metadata": {}, "data": {"part": {"kind": "principal"}}}
    part = PartTrace(2, "evt_2", moment, event, contradicts=False)
    sequence = SequenceTrace(
        "seq_1", RUN, "acq:1", "f" * 32, "waiting", None, None, 3, moment, None, None, (part,), None
    )
    known[PAYMENT_ID] = PaymentTrace(PAYMENT_ID, (sequence,), (), ())
    history = read_history(graph, PAYMENT_ID)
    assert (history.state, history.summary) == (
        "waiting",
        "in flight: 1 of 3 posting parts are here, missing: 1, 3",
    )


@pytest.fixture
def command(postrail, graph, no_graph, known, row, monkeypatch):
    """The command on this graph."""
    monkeypatch.setenv("POSTRAIL_OUTPUTS", str(no_graph / "aws-outputs.json"))
    monkeypatch.setenv("POSTRAIL_LEDGER_DSN", "postgresql://nobody@127.0.0.1:1/none")
    return postrail


def test_the_command_says_so_when_the_id_is_unknown(command):
    code, out, err = command("trace", "pay_nobody")
    assert (code, out) == (1, "")
    assert "No payment pay_nobody is known here" in err
    assert err.count("\n") == 1


def test_the_command_shows_tables(command, known):
    known[PAYMENT_ID] = _outcome(make_referred(), "RULE_REFERRED")
    code, out, _ = command("trace", PAYMENT_ID)
    assert code == 0
    for piece in (PAYMENT_ID, "25.50 EUR", "PaymentAccepted", "PaymentReferred", "foreign-transaction", RUN):
        assert piece in out


def test_the_command_prints_one_json_object(command, known):
    known[PAYMENT_ID] = _outcome(make_rejected(), "UNKNOWN_ACCOUNT")
    code, out, _ = command("trace", PAYMENT_ID, "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["payment_id"], found["state"]) == (PAYMENT_ID, "rejected")
    assert found["authorization"]["amount_minor"] == AUTHORIZATION.amount_minor


def test_the_command_prints_the_message_as_xml(command, known):
    referred = make_referred()
    known[PAYMENT_ID] = _outcome(referred, "RULE_REFERRED")
    code, out, _ = command("trace", PAYMENT_ID, "--xml")
    assert code == 0
    assert from_xml(out.encode()) == referred.message


def test_the_message_of_a_payment_in_flight_is_what_standardise_will_make(command):
    code, out, _ = command("trace", PAYMENT_ID, "--xml")
    assert code == 0
    assert "AuthstnInitn" in from_xml(out.encode())
