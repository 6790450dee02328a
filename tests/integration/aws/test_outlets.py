"""Where events leave: the bus, the dead-letter queues; and where the ledger's address comes from."""

import json
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from tests.builders.deliveries import clear_card_number, make_event
from tests.builders.payments import PAYMENT_ID, make_accepted, make_rejected
from tests.integration.aws.conftest import Cloud

from postrail.adapters.aws.batches import by_size, pause_s
from postrail.adapters.aws.bus import REQUEST_BYTES_MAX, EventBridgeBus
from postrail.adapters.aws.dead_letters import DeadLetterQueue
from postrail.adapters.aws.secrets import read_ledger_dsn
from postrail.adapters.memory import MemoryDeadLetters
from postrail.contracts.events import Delivered, PaymentAccepted
from postrail.domain.errors import ReasonCode, Retryable
from postrail.ports import DeadLetter, DeadLetters


def letter(body: str = "{}", **overrides: Any) -> DeadLetter:
    fields: dict[str, Any] = {
        "stage": "standardise",
        "reason": ReasonCode.WRONG_TYPE,
        "detail": "detail.data is wrong",
        "body": body,
        "payment_id": PAYMENT_ID,
        "correlation_id": "run_0001:test",
    }
    return DeadLetter(**fields | overrides)


# --- the bus -------------------------------------------------------------------------------------------------------


def test_published_events_arrive_as_the_contract_says(cloud: Cloud) -> None:
    """More than ten go in several requests; a target reads back what was published."""
    bus, queue_url = cloud.observed_bus()
    sent = [make_event(make_accepted()) for _ in range(23)]
    assert EventBridgeBus(cloud.client("events"), bus).publish(sent) == []
    bodies = [message["Body"] for message in cloud.messages(queue_url)]
    received = [Delivered[PaymentAccepted].model_validate_json(body) for body in bodies]
    assert {delivered.detail_type for delivered in received} == {"PaymentAccepted"}
    assert sorted(delivered.detail.metadata.event_id for delivered in received) == sorted(
        event.metadata.event_id for event in sent
    )
    assert received[0].detail.data == make_accepted()


class ScriptedEvents:
    """An EventBridge client that refuses entries by a rule, and keeps what it was asked and what it took."""

    def __init__(self, refuse: Any) -> None:
        self._refuse = refuse
        self.requests: list[list[dict[str, Any]]] = []
        self.taken: list[str] = []

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's own name
        self.requests.append(Entries)
        results = []
        for entry in Entries:
            if self._refuse(len(self.requests), entry["Detail"]):
                results.append({"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"})
            else:
                self.taken.append(entry["Detail"])
                results.append({"EventId": str(len(self.taken))})
        return {"FailedEntryCount": sum("ErrorCode" in result for result in results), "Entries": results}


def publish(client: Any, details: list[str]) -> list[int]:
    bus = EventBridgeBus(client, "payments", sleep=lambda _: None)
    return bus.publish_raw([("PaymentPosted", detail) for detail in details])


def test_only_the_failed_entries_are_sent_again() -> None:
    """A request that failed in part must not be repeated whole: the rest would arrive twice."""
    client = ScriptedEvents(lambda request, detail: request == 1 and detail in {"3", "7"})
    assert publish(client, [str(number) for number in range(10)]) == []
    assert [[entry["Detail"] for entry in entries] for entries in client.requests[1:]] == [["3", "7"]]
    assert sorted(client.taken) == sorted(map(str, range(10)))


def test_entries_that_fail_to_the_end_are_named(cloud: Cloud) -> None:
    """The caller must know which messages to leave in their queue."""
    client = ScriptedEvents(lambda _, detail: detail == "4")
    assert publish(client, [str(number) for number in range(12)]) == [4]
    assert len(client.requests) == 6


def test_an_oversize_entry_takes_no_neighbours_along() -> None:
    """EventBridge refuses the whole request for one entry beyond its limit."""
    client = ScriptedEvents(lambda _, __: False)
    assert publish(client, ["a", "x" * (REQUEST_BYTES_MAX + 1), "b"]) == [1]
    assert client.taken == ["a", "b"]


def test_requests_keep_below_ten_entries_and_the_size_limit() -> None:
    """Ten events of thirty thousand two-byte characters do not fit one request."""
    client = ScriptedEvents(lambda _, __: False)
    assert publish(client, ["é" * 30_000] * 11) == []
    assert [len(entries) for entries in client.requests] == [4, 4, 3]
    assert publish(client, ["a"] * 25) == []
    assert [len(entries) for entries in client.requests[3:]] == [10, 10, 5]


def test_a_bus_that_does_not_answer_takes_nothing() -> None:
    """A cut connection is told as events not taken, not as a crash."""

    class Gone:
        def put_events(self, **_: Any) -> Any:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

    assert publish(Gone(), ["a", "b"]) == [0, 1]


def test_nothing_to_publish_asks_nothing() -> None:
    client = ScriptedEvents(lambda _, __: False)
    assert publish(client, []) == []
    assert client.requests == []


def test_runs_are_cut_by_count_and_by_size() -> None:
    assert by_size([1, 1, 1], count_max=2, bytes_max=10) == [[0, 1], [2]]
    assert by_size([6, 6, 3], count_max=9, bytes_max=10) == [[0], [1, 2]]
    assert by_size([11, 1], count_max=9, bytes_max=10) == [[0], [1]]
    assert by_size([], count_max=9, bytes_max=10) == []


def test_pauses_grow_to_a_bound() -> None:
    assert [pause_s(attempt, jitter=lambda: 1.0) for attempt in (1, 2, 3, 20)] == [0.05, 0.1, 0.2, 1.0]


# --- dead letters --------------------------------------------------------------------------------------------------


def test_a_dead_letter_tells_why_and_whose(cloud: Cloud) -> None:
    """Reason, detail, stage and ids are message attributes: readable without parsing the body."""
    queue_url = cloud.queue("standardise-dlq")
    DeadLetterQueue(cloud.client("sqs"), queue_url).send([letter('{"a": 1}')])
    (message,) = cloud.messages(queue_url)
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert message["Body"] == '{"a": 1}'
    assert attributes == {
        "reason": "WRONG_TYPE",
        "detail": "detail.data is wrong",
        "stage": "standardise",
        "payment_id": PAYMENT_ID,
        "correlation_id": "run_0001:test",
    }


@pytest.mark.parametrize("kind", ["memory", "aws"])
def test_no_clear_card_number_is_kept(cloud: Cloud, kind: str) -> None:
    """The body is kept for a person to look at: scrubbed, however the number was written."""
    pan = clear_card_number()
    spaced = " ".join(pan[start : start + 4] for start in range(0, 16, 4))
    escaped = "".join(f"\\u00{ord(digit):02x}" for digit in pan)
    bodies = [f'{{"pan": "{form}"}}' for form in (pan, spaced, escaped)]
    letters = [letter(body, detail=f"says {pan}") for body in bodies]
    memory, queue_url = MemoryDeadLetters(), cloud.queue("dlq")
    outlet: DeadLetters = memory if kind == "memory" else DeadLetterQueue(cloud.client("sqs"), queue_url)
    outlet.send(letters)
    kept = json.dumps([str(one) for one in memory.letters] or cloud.messages(queue_url), default=str)
    assert kept.count("1111") >= 3
    assert pan not in kept
    assert spaced not in kept
    assert escaped not in kept


def test_what_sqs_does_not_take_is_replaced(cloud: Cloud) -> None:
    """Control characters, lone surrogates and empty texts: bad input must not be lost for being too bad."""
    queue_url = cloud.queue("dlq")
    bad = [letter("a\x00b\ud800c", detail="d\x0be"), letter("", detail="", payment_id=None, correlation_id=None)]
    DeadLetterQueue(cloud.client("sqs"), queue_url).send(bad)
    messages = sorted(cloud.messages(queue_url), key=lambda message: message["Body"])
    assert [message["Body"] for message in messages] == ["(empty)", "a\ufffdb\ufffdc"]
    assert messages[1]["MessageAttributes"]["detail"]["StringValue"] == "d\ufffde"
    assert messages[0]["MessageAttributes"].keys() == {"reason", "stage"}


def test_an_oversize_body_is_cut_and_says_so(cloud: Cloud) -> None:
    """SQS takes 256 KB; the beginning and the reason are worth more than nothing."""
    queue_url = cloud.queue("dlq")
    DeadLetterQueue(cloud.client("sqs"), queue_url).send([letter("é" * 300_000), letter("small")])
    messages = sorted(cloud.messages(queue_url), key=lambda message: len(message["Body"]))
    assert messages[0]["Body"] == "small"
    assert messages[1]["Body"] == "é" * 102_400
    assert messages[1]["MessageAttributes"]["truncated"]["StringValue"] == "true"


def test_many_letters_go_in_tens(cloud: Cloud) -> None:
    queue_url = cloud.queue("dlq")
    DeadLetterQueue(cloud.client("sqs"), queue_url).send([letter(f"body {number}") for number in range(23)])
    assert len({message["Body"] for message in cloud.messages(queue_url)}) == 23


class ScriptedSqs:
    """An SQS client that refuses the first message of each batch, a number of times."""

    def __init__(self, refusals: int) -> None:
        self._refusals = refusals
        self.taken: list[str] = []

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        refused = Entries[:1] if self._refusals > 0 else []
        self._refusals -= 1
        self.taken += [entry["MessageBody"] for entry in Entries[len(refused) :]]
        return {"Failed": [{"Id": entry["Id"], "Code": "InternalError", "SenderFault": False} for entry in refused]}


def test_refused_letters_are_sent_again_and_then_retryable() -> None:
    """A dead letter that cannot be kept must leave its message where it is."""
    client = ScriptedSqs(refusals=1)
    DeadLetterQueue(client, "url", sleep=lambda _: None).send([letter("a"), letter("b")])  # type: ignore[arg-type]
    assert sorted(client.taken) == ["a", "b"]
    with pytest.raises(Retryable):
        DeadLetterQueue(ScriptedSqs(100), "url", sleep=lambda _: None).send([letter("a")])  # type: ignore[arg-type]


def test_a_queue_that_is_missing_is_retryable(cloud: Cloud) -> None:
    queue_url = cloud.queue("dlq").replace("dlq", "none")
    with pytest.raises(Retryable):
        DeadLetterQueue(cloud.client("sqs"), queue_url).send([letter()])


# --- the ledger's address ------------------------------------------------------------------------------------------


def make_secret(cloud: Cloud, content: str) -> str:
    return cloud.client("secretsmanager").create_secret(Name=f"{cloud.prefix}-ledger", SecretString=content)["ARN"]


def test_the_ledger_dsn_is_made_of_the_secret(cloud: Cloud) -> None:
    """Passwords may hold anything: they are quoted for the URI."""
    secret = {"host": "db", "port": 5432, "dbname": "ledger", "username": "app", "password": "p@ss/w:rd", "x": 1}
    arn = make_secret(cloud, json.dumps(secret))
    assert read_ledger_dsn(cloud.client("secretsmanager"), arn) == "postgresql://app:p%40ss%2Fw%3Ard@db:5432/ledger"


def test_a_secret_that_is_not_complete_shows_no_value(cloud: Cloud) -> None:
    arn = make_secret(cloud, json.dumps({"host": "db", "password": "hidden"}))
    with pytest.raises(Retryable) as caught:
        read_ledger_dsn(cloud.client("secretsmanager"), arn)
    assert "hidden" not in str(caught.value)


def test_the_dsn_may_ask_for_tls(cloud: Cloud) -> None:
    secret = {"host": "db", "port": 5432, "dbname": "ledger", "username": "app", "password": "p", "sslmode": "require"}
    arn = make_secret(cloud, json.dumps(secret))
    assert read_ledger_dsn(cloud.client("secretsmanager"), arn).endswith("/ledger?sslmode=require")


def test_published_rejections_keep_their_reason(cloud: Cloud) -> None:
    """The rule for the audit trail, and whoever alarms, key on it."""
    bus, queue_url = cloud.observed_bus()
    EventBridgeBus(cloud.client("events"), bus).publish([make_event(make_rejected())])
    (message,) = cloud.messages(queue_url)
    assert json.loads(message["Body"])["detail"]["data"]["reason_code"] == "UNKNOWN_ACCOUNT"
