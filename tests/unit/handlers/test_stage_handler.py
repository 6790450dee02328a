"""How a batch is answered: what is published, what fails, what goes to the dead letters."""

import json
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from tests.builders.deliveries import make_delivery, make_id, make_sqs_event, make_sqs_record
from tests.builders.payments import make_accepted, make_authorization
from tests.unit.handlers.conftest import Bench

from postrail.adapters.aws.observability import logger
from postrail.adapters.aws.rules_chunks import ChunkedEntries
from postrail.contracts.events import EventData, PaymentAccepted, PaymentStandardised
from postrail.domain.errors import Permanent, ReasonCode, Retryable
from postrail.ports import DeadLetter
from postrail.stages.standardise import standardise


def accepted(stan: int) -> dict[str, Any]:
    """The delivery of an accepted payment of its own."""
    authorization = make_authorization(payment_id=make_id("pay", stan), stan=f"{stan:06d}")
    return make_delivery(make_accepted(authorization))


def failing(stans: set[int], error: Exception) -> Any:
    """A stage that raises when one of these payments is in its batch."""

    def run(payments: Sequence[PaymentAccepted]) -> Sequence[EventData]:
        if stans & {int(payment.authorization.stan) for payment in payments}:
            raise error
        return standardise(payments)

    return run


def failed_ids(answer: Any) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_a_batch_is_published_and_answered_without_failures(bench: Bench) -> None:
    handler = bench.stage(standardise, PaymentAccepted)
    assert handler.handle(make_sqs_event(*map(accepted, range(10)))) == {"batchItemFailures": []}
    assert bench.published() == ["PaymentStandardised"] * 10


def test_the_stage_is_called_once_for_a_batch(bench: Bench) -> None:
    """One call of each port for ten payments is what makes the road quick."""
    sizes: list[int] = []

    def run(payments: Sequence[PaymentAccepted]) -> Sequence[EventData]:
        sizes.append(len(payments))
        return standardise(payments)

    bench.stage(run, PaymentAccepted).handle(make_sqs_event(*map(accepted, range(10))))
    assert sizes == [10]


def test_effects_name_their_cause_and_carry_its_trail(bench: Bench) -> None:
    delivery = accepted(1)
    bench.stage(standardise, PaymentAccepted).handle(make_sqs_event(delivery))
    metadata = json.loads(bench.bus.taken[0][1])["metadata"]
    cause = delivery["detail"]["metadata"]
    assert metadata["causation_id"] == cause["event_id"]
    assert metadata["correlation_id"] == cause["correlation_id"]
    assert [hop["event_id"] for hop in metadata["trail"]] == [cause["event_id"]]


def test_a_redelivery_publishes_the_same_events_again(bench: Bench) -> None:
    """The same ids: consumers that know an event know it again."""
    handler, batch = bench.stage(standardise, PaymentAccepted), make_sqs_event(accepted(1))
    handler.handle(batch)
    handler.handle(batch)
    assert bench.bus.taken[0] == bench.bus.taken[1]


def test_bad_messages_go_to_the_dead_letters_and_good_ones_on(bench: Bench) -> None:
    """Nothing is left in the queue: a message that can never be read is not failed, it is kept."""
    batch = make_sqs_event(accepted(1), "{", accepted(2), {"detail-type": "Other"}, accepted(3))
    assert failed_ids(bench.stage(standardise, PaymentAccepted).handle(batch)) == []
    assert len(bench.bus.taken) == 3
    reasons = [letter.reason for letter in bench.dead_letters.letters]
    assert reasons == [ReasonCode.MALFORMED_EVENT, ReasonCode.UNEXPECTED_EVENT]


def test_a_retryable_error_leaves_the_whole_batch_in_its_queue(bench: Bench) -> None:
    """The table was throttled: nothing is wrong with any message."""
    handler = bench.stage(failing({2}, Retryable("throttled")), PaymentAccepted)
    assert failed_ids(handler.handle(make_sqs_event(*map(accepted, range(4))))) == ["m0", "m1", "m2", "m3"]
    assert bench.bus.taken == []


@pytest.mark.parametrize("poison", [{0}, {3}, {9}, {2, 7}, set(range(10))], ids=str)
def test_a_message_that_breaks_the_stage_fails_alone(bench: Bench, poison: set[int]) -> None:
    """Its neighbours pass; it comes again, and after its last attempt its queue moves it to the dead letters."""
    handler = bench.stage(failing(poison, ZeroDivisionError("oh")), PaymentAccepted)
    assert failed_ids(handler.handle(make_sqs_event(*map(accepted, range(10))))) == [f"m{index}" for index in poison]
    assert len(bench.bus.taken) == 10 - len(poison)


def test_a_permanent_error_sends_its_message_to_the_dead_letters(bench: Bench) -> None:
    handler = bench.stage(failing({1}, Permanent(ReasonCode.INVALID_VALUE, "no use")), PaymentAccepted)
    assert failed_ids(handler.handle(make_sqs_event(*map(accepted, range(3))))) == []
    (letter,) = bench.dead_letters.letters
    assert (letter.reason, letter.detail, letter.payment_id) == (
        ReasonCode.INVALID_VALUE,
        "no use",
        make_id("pay", 1),
    )
    assert len(bench.bus.taken) == 2


def test_messages_whose_events_the_bus_refused_fail(bench: Bench) -> None:
    """No event is lost: its cause stays in the queue."""
    bench.bus.refuses = frozenset({PaymentStandardised.detail_type()})
    handler = bench.stage(standardise, PaymentAccepted)
    assert failed_ids(handler.handle(make_sqs_event(*map(accepted, range(2))))) == ["m0", "m1"]


def test_bad_messages_stay_when_the_dead_letters_cannot_be_sent(bench: Bench) -> None:
    """Better to read it again than to lose it."""

    def refuse(_: Sequence[DeadLetter]) -> None:
        raise Retryable("no queue")

    bench.dead_letters.send = refuse  # type: ignore[method-assign]
    handler = bench.stage(standardise, PaymentAccepted)
    assert failed_ids(handler.handle(make_sqs_event(accepted(1), "{"))) == ["m1"]
    assert len(bench.bus.taken) == 1


def test_one_event_may_come_alone(bench: Bench) -> None:
    """Real-time delivery: the rule calls the function, there is no batch to answer for."""
    bench.stage(standardise, PaymentAccepted).handle(accepted(1))
    assert bench.published() == ["PaymentStandardised"]


def test_a_lone_event_that_fails_raises(bench: Bench) -> None:
    """Lambda delivers again, and then to the failure destination."""
    handler = bench.stage(failing({1}, Retryable("throttled")), PaymentAccepted)
    with pytest.raises(Retryable):
        handler.handle(accepted(1))


def test_a_lone_event_that_is_bad_does_not_raise(bench: Bench) -> None:
    """It is in the dead letters: delivering it again would be of no use."""
    bench.stage(standardise, PaymentAccepted).handle(accepted(1) | {"detail": {}})
    assert [letter.reason for letter in bench.dead_letters.letters] == [ReasonCode.MISSING_FIELD]


@pytest.mark.parametrize("nonsense", [{}, [], None, "text", 7, {"Records": [None, {"body": 3}]}, [[]]], ids=str)
def test_nonsense_ends_in_the_dead_letters_and_not_in_a_crash(bench: Bench, nonsense: Any) -> None:
    """Somebody called the function by hand."""
    bench.stage(standardise, PaymentAccepted).handle(nonsense)
    assert bench.bus.taken == []


def test_a_list_is_answered_with_chunks_of_put_events_entries(bench: Bench) -> None:
    """The state machine sends them: ten entries at most, the detail as JSON text."""
    handler = bench.stage(standardise, PaymentAccepted, pipe_answer=ChunkedEntries("payments"))
    records = [make_sqs_record(accepted(stan), f"m{stan}") for stan in range(12)]
    answer = handler.handle([*records, accepted(12), make_sqs_record("{")])
    assert [len(chunk) for chunk in answer["chunks"]] == [10, 3]
    entry = answer["chunks"][0][0]
    assert (entry["Source"], entry["DetailType"], entry["EventBusName"]) == (
        "postrail",
        "PaymentStandardised",
        "payments",
    )
    assert json.loads(entry["Detail"])["data"]["payment_key"].startswith("acq:")
    assert bench.bus.taken == []
    assert len(bench.dead_letters.letters) == 1
    assert json.loads(json.dumps(answer)) == answer


def test_a_list_of_bad_messages_gives_no_chunks(bench: Bench) -> None:
    handler = bench.stage(standardise, PaymentAccepted, pipe_answer=ChunkedEntries("payments"))
    assert handler.handle(["{"]) == {"chunks": []}


def test_a_list_fails_whole_and_leaves_nothing_behind(bench: Bench) -> None:
    """It comes again whole: a dead letter sent now would be sent twice."""
    handler = bench.stage(failing({1}, Retryable("throttled")), PaymentAccepted)
    with pytest.raises(Retryable):
        handler.handle([make_sqs_record("{"), make_sqs_record(accepted(1)), make_sqs_record(accepted(2))])
    assert bench.bus.taken == []
    assert bench.dead_letters.letters == []


def test_every_batch_is_told_in_one_line_without_bodies(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line a batch also keeps the emulator from waiting for output; bodies never reach a log."""
    monkeypatch.setattr(logger.registered_handler, "stream", sys.stdout)
    bench.stage(standardise, PaymentAccepted).handle(make_sqs_event(accepted(1), accepted(2), '{"secret": "hush"'))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    batch = next(line for line in lines if line.get("message") == "batch")
    assert (batch["received"], batch["published"], batch["refused"], batch["failed"]) == (3, 2, 1, 0)
    assert batch["payment_ids"] == [make_id("pay", 1), make_id("pay", 2)]
    assert any("_aws" in line for line in lines)
    assert "hush" not in json.dumps(lines)
