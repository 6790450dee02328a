"""The log lines: JSON, with the ids of their payments, and never a card number."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import pytest
from aws_lambda_powertools.metrics.provider import cold_start
from tests.builders.deliveries import clear_card_number, make_delivery, make_id, make_sqs_event
from tests.builders.payments import make_accepted, make_authorization
from tests.unit.handlers.conftest import Bench

from postrail.adapters.aws.bus import EventBridgeBus
from postrail.adapters.aws.observability import Telemetry, begin_invocation, logger
from postrail.bootstrap import invoke
from postrail.contracts.events import EventData, PaymentAccepted
from postrail.domain.errors import ReasonCode, Retryable
from postrail.ports import DeadLetter
from postrail.stages.standardise import standardise
from switch.issuing.api.serve import ApiHandler
from switch.issuing.tokens import TokenVerifier

Lines = Callable[[], list[dict[str, Any]]]
PAN = clear_card_number()
GROUPED = " ".join(PAN[start : start + 4] for start in range(0, 16, 4))


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """The log lines written since the last time; each is JSON."""
    stream = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", stream)

    def read() -> list[dict[str, Any]]:
        texts = stream.getvalue().splitlines()
        stream.truncate(0)
        stream.seek(0)
        return [json.loads(text) for text in texts]

    yield read
    logger.remove_keys(["function_request_id", "cold_start", "correlation_id"])


@pytest.fixture
def bench() -> Bench:
    return Bench()


class _Context:
    aws_request_id = "5f9a4b5e-0000-4000-8000-000000000001"


def accepted(number: int) -> dict[str, Any]:
    return make_delivery(make_accepted(make_authorization(payment_id=make_id("pay", number))))


def test_a_single_payments_line_carries_its_ids(bench: Bench, lines: Lines) -> None:
    delivery = accepted(1)
    bench.stage(standardise, PaymentAccepted).handle(make_sqs_event(delivery))
    (line,) = lines()
    assert line["payment_id"] == make_id("pay", 1)
    assert line["correlation_id"] == delivery["detail"]["metadata"]["correlation_id"]


def test_a_batch_names_all_its_payments_in_as_many_lines_as_it_takes(bench: Bench, lines: Lines) -> None:
    """Logs Insights finds 200 fields of a line; the fifty-first payment must be found too."""
    bench.stage(standardise, PaymentAccepted).handle(make_sqs_event(*map(accepted, range(120))))
    told = lines()
    assert [len(line["payment_ids"]) for line in told] == [50, 50, 20]
    assert [number for line in told for number in line["payment_ids"]] == [make_id("pay", n) for n in range(120)]
    assert all(line["correlation_ids"] for line in told)
    assert sum("received" in line for line in told) == 1


def test_what_cannot_be_done_now_is_told_with_the_payments_ids(bench: Bench, lines: Lines) -> None:
    def throttled(payments: Sequence[PaymentAccepted]) -> Sequence[EventData]:
        raise Retryable("throttled")

    bench.stage(throttled, PaymentAccepted).handle(make_sqs_event(accepted(1)))
    failed = next(line for line in lines() if line["message"] == "failed")
    assert (failed["payment_id"], failed["error_text"]) == (make_id("pay", 1), "throttled")
    assert failed["correlation_id"]


@pytest.mark.parametrize("planted", [PAN, GROUPED, GROUPED.replace(" ", "-")], ids=["plain", "spaces", "hyphens"])
def test_a_card_number_in_an_error_never_gets_into_a_line(bench: Bench, lines: Lines, planted: str) -> None:
    """Libraries quote what they choke on; tracebacks too."""

    def choke(payments: Sequence[PaymentAccepted]) -> Sequence[EventData]:
        msg = f"invalid literal for int(): '{planted}'"
        raise ValueError(msg)

    bench.stage(choke, PaymentAccepted).handle(make_sqs_event(accepted(1)))
    told = lines()
    broken = next(line for line in told if line["message"] == "unexpected error")
    assert "ValueError" in broken["exception"], "the traceback is there"
    assert broken["payment_id"] == make_id("pay", 1)
    assert planted not in json.dumps(told)
    assert PAN[-4:] in broken["exception"], "the last four digits tell which card it was"


def test_a_card_number_anywhere_else_in_a_line_is_masked(lines: Lines) -> None:
    """Whatever key it stands under, as text or as a number."""
    Telemetry("test")
    logger.info("strange", acquirer=PAN, nested={"terminal": [PAN]}, amount=int(PAN))
    (line,) = lines()
    assert PAN not in json.dumps(line)


def test_the_detail_of_a_refusal_is_masked(lines: Lines) -> None:
    letter = DeadLetter("enrich", ReasonCode.INVALID_VALUE, f"card {GROUPED} is odd", "{}", None, None)
    Telemetry("enrich").refused(letter)
    (line,) = lines()
    assert GROUPED not in json.dumps(line)
    assert line["detail"].endswith("1111 is odd")


def test_ids_and_amounts_are_not_taken_for_card_numbers(lines: Lines) -> None:
    """A masked id would be of no use to anybody."""
    ids = {"payment_id": make_id("pay", 4_111_111), "correlation_id": "iso:12345678901:000042:261121120000:TERM0001:11"}
    Telemetry("test")
    logger.info("batch", amount_minor=123_456_789_012, **ids)
    (line,) = lines()
    assert {name: line[name] for name in ids} == ids
    assert line["amount_minor"] == 123_456_789_012


def test_what_is_no_unicode_or_too_large_for_json_is_told_all_the_same(lines: Lines) -> None:
    Telemetry("test")
    logger.info("odd", half="\ud800", huge=2**70)
    (line,) = lines()
    assert line["message"] == "odd"
    assert line["half"] == "\\ud800"


def test_lines_carry_lambdas_request_id_and_whether_it_was_the_first(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cold_start, "is_cold_start", True)
    Telemetry("test")

    class Function:
        def handle(self, event: Any) -> Any:
            logger.info("at work")
            return event

    assert invoke(Function, {"n": 1}, _Context()) == {"n": 1}
    invoke(Function, {}, _Context())
    first, second = lines()
    assert first["function_request_id"] == second["function_request_id"] == _Context.aws_request_id
    assert (first["cold_start"], second["cold_start"]) == (True, False)


def test_lines_carry_the_trace_that_lambda_is_part_of(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """X-Ray's id leads from a line to the trace of all functions, and back."""
    root = "1-5f9a4b5e-000000000000000000000001"
    monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={root};Parent=53995c3f42cd8ad8;Sampled=1")
    Telemetry("test")
    logger.info("at work")
    assert lines()[0]["xray_trace_id"] == root


def test_a_context_without_a_request_id_leaves_the_line_without_one(lines: Lines) -> None:
    Telemetry("test")
    begin_invocation(None)
    logger.info("at work")
    assert "function_request_id" not in lines()[0]


def test_times_are_utc_to_the_millisecond(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine's own zone has no place in lines that are read beside others'."""
    Telemetry("test")
    logger.info("at work")
    assert lines()[0]["timestamp"].endswith("+00:00")


def test_lines_of_an_api_carry_the_gateways_request_id(lines: Lines) -> None:
    """By which the gateway's access log, its caller's answer and our lines are found together."""
    event = {"routeKey": "GET /nowhere", "requestContext": {"requestId": "JKJaXmPLvHcESHA="}}
    ApiHandler({}, cast("TokenVerifier", None)).handle(event)
    (line,) = lines()
    assert (line["message"], line["correlation_id"]) == ("request refused", "JKJaXmPLvHcESHA=")


def test_what_the_bus_refused_is_told_with_the_ids_of_its_payments(lines: Lines) -> None:
    """Of ten entries one is throttled again and again: its payment is named, its neighbours are not."""
    details = [json.dumps(accepted(number)["detail"]) for number in range(3)]

    class Client:
        def put_events(self, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803 - as boto3 has it
            results = [{"ErrorCode": "Throttled"} if entry["Detail"] == details[1] else {} for entry in Entries]
            return {"FailedEntryCount": len([one for one in results if one]), "Entries": results}

    bus = EventBridgeBus(cast("Any", Client()), "payments", sleep=lambda _: None)
    assert bus.publish_raw([("PaymentAccepted", detail) for detail in details]) == [1]
    told = lines()
    assert [line["payment_ids"] for line in told] == [[make_id("pay", 1)]] * len(told)
    assert told[0]["codes"] == ["Throttled"]
    assert told[0]["correlation_ids"]
