"""The calls a pipe makes, against fakes of boto3's clients."""

import io
import json
from collections.abc import Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from local_cloud.pipe_runner.definition import BusTarget, StateMachineTarget
from local_cloud.pipe_runner.endpoints import DeadLetterQueue, EventBusTarget, LambdaEnrichment, StateMachineStart
from local_cloud.pipe_runner.errors import CloudUnavailableError, DeliveryError


def refused(code: str, status: int = 400) -> ClientError:
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "Any")


class FakeBus:
    """A bus that fails chosen events a chosen number of times."""

    def __init__(self, failures: dict[str, int], code: str = "ThrottlingException") -> None:
        self.failures = failures
        self.code = code
        self.calls: list[list[dict[str, Any]]] = []

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 (boto3's name)
        self.calls.append(Entries)
        results = []
        for entry in Entries:
            name = json.loads(entry["Detail"])["name"]
            failing = self.failures.get(name, 0) > 0
            if failing:
                self.failures[name] -= 1
            results.append({"ErrorCode": self.code, "ErrorMessage": "x"} if failing else {"EventId": name})
        return {"FailedEntryCount": sum("ErrorCode" in one for one in results), "Entries": results}

    def names(self) -> list[list[str]]:
        return [[json.loads(entry["Detail"])["name"] for entry in call] for call in self.calls]


def target(bus: FakeBus, **changes: str) -> EventBusTarget:
    parameters = {"detail_type": "PaymentAccepted", "source": "postrail"} | changes
    return EventBusTarget(bus, BusTarget("arn:bus", **parameters), lambda _: None)  # type: ignore[arg-type]


def events(names: Sequence[str]) -> list[dict[str, Any]]:
    return [{"name": name} for name in names]


def test_only_the_failed_entries_are_sent_again() -> None:
    bus = FakeBus({"b": 2, "d": 1})
    target(bus)(events("abcd"))
    assert bus.names() == [["a", "b", "c", "d"], ["b", "d"], ["b"]]


def test_events_go_in_tens() -> None:
    bus = FakeBus({})
    target(bus)(events([str(number) for number in range(23)]))
    assert [len(call) for call in bus.calls] == [10, 10, 3]
    assert bus.calls[0][0] == {
        "EventBusName": "arn:bus",
        "Source": "postrail",
        "DetailType": "PaymentAccepted",
        "Detail": '{"name":"0"}',
    }


def test_large_events_share_a_call_only_up_to_the_limit() -> None:
    bus = FakeBus({})
    target(bus)([{"name": str(number), "text": "x" * 100_000} for number in range(4)])
    assert [len(call) for call in bus.calls] == [2, 2]


def test_an_event_above_the_limit_is_hopeless() -> None:
    """An emulator would take it; the real bus would not."""
    with pytest.raises(DeliveryError) as error:
        target(FakeBus({}))([{"name": "x" * 300_000}])
    assert error.value.permanent


def test_entries_that_keep_failing_fail_the_batch_after_a_bounded_number_of_attempts() -> None:
    bus = FakeBus({"a": 1000})
    with pytest.raises(DeliveryError, match="ThrottlingException"):
        target(bus)(events("ab"))
    assert bus.names() == [["a", "b"], *[["a"]] * 4]


def test_a_code_that_another_attempt_cannot_cure_fails_at_once() -> None:
    bus = FakeBus({"a": 1000}, code="MalformedDetail")
    with pytest.raises(DeliveryError, match="MalformedDetail"):
        target(bus)(events("a"))
    assert len(bus.calls) == 1


def test_detail_type_and_source_may_be_paths_into_the_event() -> None:
    bus = FakeBus({})
    target(bus, detail_type="$.metadata.type")([{"name": "a", "metadata": {"type": "PaymentAccepted"}}])
    assert bus.calls[0][0]["DetailType"] == "PaymentAccepted"
    with pytest.raises(DeliveryError, match=r"\$\.metadata\.type"):
        target(bus, detail_type="$.metadata.type")([{"name": "a"}])


class FakeFunction:
    def __init__(self, payload: Any, *, function_error: str | None = None, raises: Exception | None = None) -> None:
        self.payload = payload
        self.function_error = function_error
        self.raises = raises

    def invoke(self, **_: Any) -> dict[str, Any]:
        if self.raises:
            raise self.raises
        body = b"" if self.payload is None else json.dumps(self.payload).encode()
        return {"Payload": io.BytesIO(body)} | ({"FunctionError": self.function_error} if self.function_error else {})


def enrichment(function: FakeFunction) -> LambdaEnrichment:
    return LambdaEnrichment(function, "arn:function")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [([1, 2], [1, 2]), ([], []), ({}, []), ("", []), (None, []), ({"a": 1}, [{"a": 1}]), ([{}], [{}])],
)
def test_an_empty_answer_sends_nothing_and_a_single_object_is_one_event(payload: Any, expected: list[Any]) -> None:
    assert enrichment(FakeFunction(payload))([]) == expected


def test_a_function_error_fails_the_batch_without_quoting_its_message() -> None:
    """The message of an exception may hold what the payment held."""
    failing = FakeFunction({"errorType": "ValueError", "errorMessage": "4111111111111111"}, function_error="Unhandled")
    with pytest.raises(DeliveryError) as error:
        enrichment(failing)([])
    assert str(error.value) == "enrichment failed: ValueError"


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), CloudUnavailableError),
        (refused("TooManyRequestsException", 429), CloudUnavailableError),
        (refused("InternalFailure", 500), CloudUnavailableError),
        (refused("ResourceNotFoundException", 404), DeliveryError),
        (refused("AccessDeniedException", 403), DeliveryError),
    ],
)
def test_no_answer_is_told_from_a_refusal(raised: Exception, becomes: type[Exception]) -> None:
    with pytest.raises(becomes):
        enrichment(FakeFunction(None, raises=raised))([])


class FakeMachines:
    def __init__(self, status: str) -> None:
        self.status = status
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def start_sync_execution(self, **arguments: Any) -> dict[str, Any]:
        self.calls.append(("sync", arguments))
        return {"status": self.status, "error": "Refused"}

    def start_execution(self, **arguments: Any) -> dict[str, Any]:
        self.calls.append(("async", arguments))
        return {}


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT"])
def test_a_run_that_does_not_succeed_fails_the_batch(status: str) -> None:
    machines = FakeMachines(status)
    with pytest.raises(DeliveryError, match=f"{status}: Refused"):
        StateMachineStart(machines, StateMachineTarget("arn:m", wait=True))([{"body": "x"}])  # type: ignore[arg-type]


def test_fire_and_forget_only_starts() -> None:
    machines = FakeMachines("FAILED")
    StateMachineStart(machines, StateMachineTarget("arn:m", wait=False))([{"body": "x"}])  # type: ignore[arg-type]
    assert machines.calls == [("async", {"stateMachineArn": "arn:m", "input": '[{"body":"x"}]'})]


def test_a_missing_dead_letter_queue_is_trouble_of_the_cloud_and_not_of_the_record() -> None:
    """Taken for a refusal, it would let the record be skipped without a trace."""

    class FakeQueue:
        def send_message(self, **_: Any) -> None:
            raise refused("AWS.SimpleQueueService.NonExistentQueue")

    with pytest.raises(CloudUnavailableError):
        DeadLetterQueue(FakeQueue(), lambda: "url")({}, {})  # type: ignore[arg-type]
