"""The rules engine's state machine: valid States Language, and every state, way out, retry and catch taken once."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from tests.builders.planned_graph import planned_graph
from tests.unit.step_functions.engine import (
    Failure,
    Outcome,
    Services,
    all_states,
    alone,
    execute,
    followers_of,
)

BATCH: Final = [{"messageId": "1", "body": "{}"}, {"messageId": "2", "body": "{}"}]
EVENT: Final = {"detail-type": "PaymentEnriched", "detail": {}}
BUS: Final = "postrail-test-payments"


def entry(number: int) -> dict[str, str]:
    """A decision as apply_rules returns it."""
    return {"EventBusName": BUS, "Source": "postrail", "DetailType": "PaymentApproved", "Detail": f'{{"n":{number}}}'}


def accepted(*numbers: int) -> dict[str, Any]:
    """The bus's answer when it took everything."""
    return {"FailedEntryCount": 0, "Entries": [{"EventId": str(number)} for number in numbers]}


def refused(*codes: str | None) -> dict[str, Any]:
    """The bus's answer, entry by entry: an error code, or None for what it took."""
    entries = [{"ErrorCode": code, "ErrorMessage": "no"} if code else {"EventId": "1"} for code in codes]
    return {"FailedEntryCount": sum(code is not None for code in codes), "Entries": entries}


def decided(*chunks: list[dict[str, str]]) -> dict[str, Any]:
    """The function's answer."""
    return {"StatusCode": 200, "Payload": {"chunks": list(chunks)}}


def definition(delivery: str) -> dict[str, Any]:
    """The state machine as Terraform makes it."""
    (machine,) = planned_graph(delivery).of("aws_sfn_state_machine")
    document: dict[str, Any] = json.loads(machine.values["definition"])
    return document


pytestmark = pytest.mark.timeout(900)  # Terraform makes the graph anew when it has changed


@pytest.fixture(scope="module", params=["near_realtime", "realtime"])
def machine(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Behind a queue, and behind a rule."""
    return definition(request.param)


# What the linter says of good States Language, and why it is mistaken.
MISTAKEN: Final[Mapping[str, str]] = {
    r"\.WaitBeforeSendingAgain\.Seconds is .* but should be an Integer": (
        "With JSONata a Wait takes its seconds from an expression (states-language.net, Wait State)."
    ),
}


def test_it_is_valid_states_language(machine: dict[str, Any], tmp_path: Path) -> None:
    """By the checks of statelint: fields, types, names of states, everything reachable and everything ending."""
    file = tmp_path / "machine.asl.json"
    file.write_text(json.dumps(machine), encoding="utf-8")
    said = subprocess.run([sys.executable, "-m", "statelint", str(file)], capture_output=True, text=True, check=False)
    problems = [line.strip() for line in said.stdout.splitlines() if line.startswith(" ")]
    assert [problem for problem in problems if not any(re.search(known, problem) for known in MISTAKEN)] == []
    assert said.returncode == 0 or problems, said.stderr


@pytest.mark.parametrize(
    ("wrong", "right"),
    [('"Next": "PublishDecisions"', '"Next": "Publish"'), ('"Type": "Choice"', '"Type": "Chance"')],
)
def test_the_linter_finds_mistakes(wrong: str, right: str, tmp_path: Path) -> None:
    """Else the test before this one says nothing."""
    text = json.dumps(definition("near_realtime"))
    assert wrong in text
    file = tmp_path / "machine.asl.json"
    file.write_text(text.replace(wrong, right), encoding="utf-8")
    said = subprocess.run([sys.executable, "-m", "statelint", str(file)], capture_output=True, text=True, check=False)
    assert len(said.stdout.splitlines()) > 2


@dataclass(frozen=True)
class Case:
    """A state alone: what it gets, what its service answers, and which way it leaves, with what."""

    scope: str
    state: str
    way: str
    given: Any
    output: Any = None
    error: str | None = None
    answers: tuple[Any, ...] = ()
    asked: Any = None
    waits_s: tuple[float, ...] = ()
    retry: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    delivery: str = "near_realtime"

    @property
    def name(self) -> str:
        """For the test's id."""
        return f"{self.state}-{self.way}-{self.error or self.retry or ''}".rstrip("-") + f"-{self.delivery}"


OPERATIONS: Final = {"ApplyRules": "invoke", "PutEvents": "putEvents", "KeepInput": "sendMessage"}
MAP: Final = "PublishDecisions"
TASK_DOWN: Final = Failure("Lambda.TooManyRequestsException")
TWO: Final = {"entries": [entry(1), entry(2)], "attempt": 1}

CASES: Final = (
    Case("", "ApplyRules", "Next", BATCH, {"chunks": [[entry(1)]]}, answers=(decided([entry(1)]),), asked=BATCH),
    # One event, from a rule, becomes a list of one.
    Case(
        "",
        "ApplyRules",
        "Next",
        EVENT,
        {"chunks": []},
        answers=(decided(),),
        asked=[EVENT],
        delivery="realtime",
    ),
    Case(
        "",
        "ApplyRules",
        "Next",
        BATCH,
        {"chunks": []},
        answers=(TASK_DOWN, Failure("States.Timeout"), decided()),
        waits_s=(1, 2),
        retry="Retry[1]",
    ),
    Case("", "ApplyRules", "Catch[1]", BATCH, error="Permanent", answers=(Failure("Permanent"),), retry="Retry[0]"),
    Case("", "ApplyRules", "Catch[1]", BATCH, error=TASK_DOWN.error, answers=(TASK_DOWN,) * 3, waits_s=(1, 2)),
    Case(
        "",
        "ApplyRules",
        "Catch[0]",
        BATCH,
        error="States.DataLimitExceeded",
        answers=(Failure("States.DataLimitExceeded"),),
    ),
    Case(
        "",
        MAP,
        "End",
        {"chunks": [[entry(1)], [entry(2)]]},
        {"chunks": 2},
        answers=(accepted(1), accepted(2)),
    ),
    Case("", MAP, "End", {"chunks": []}, {"chunks": 0}),
    Case(
        "",
        MAP,
        "Catch[1]",
        {"chunks": [[entry(1)]]},
        error="EventsNotPublished",
        answers=(refused("InternalFailure"),) * 4,
        waits_s=(1, 2, 3),
    ),
    # No catcher within the Map is for it.
    Case(
        "",
        MAP,
        "Catch[0]",
        {"chunks": [[entry(1)]]},
        error="States.DataLimitExceeded",
        answers=(Failure("States.DataLimitExceeded"),),
    ),
    Case(MAP, "PutEvents", "Next", TWO, {"entries": [], "attempt": 2}, answers=(accepted(1, 2),), asked=TWO["entries"]),
    # What was taken is not sent again.
    Case(
        MAP,
        "PutEvents",
        "Next",
        TWO,
        {"entries": [entry(2)], "attempt": 2},
        answers=(refused(None, "ThrottlingException"),),
    ),
    Case(
        MAP,
        "PutEvents",
        "Next",
        TWO,
        {"entries": [], "attempt": 2},
        answers=(Failure("EventBridge.InternalException"), accepted(1, 2)),
        waits_s=(1,),
        retry="Retry[0]",
    ),
    Case(
        MAP,
        "PutEvents",
        "Catch[0]",
        TWO,
        error="EventBridge.InternalException",
        answers=(Failure("EventBridge.InternalException"),) * 3,
        waits_s=(1, 2),
    ),
    Case(MAP, "AnyRefused", "Choices[0]", {"entries": [], "attempt": 5}),
    Case(MAP, "AnyRefused", "Choices[1]", {"entries": [entry(1)], "attempt": 5}),
    Case(MAP, "AnyRefused", "Default", {"entries": [entry(1)], "attempt": 4}),
    Case(MAP, "WaitBeforeSendingAgain", "Next", {"entries": [entry(1)], "attempt": 4}, waits_s=(3,)),
    # MiniStack hands the input on from a Succeed state, whatever its Output says; nobody reads it.
    Case(MAP, "Published", "End", TWO, TWO),
    Case(MAP, "NotPublished", "End", TWO, error="EventsNotPublished"),
    Case("", "WhoKeepsTheInput", "Default", BATCH, variables={"error": "Permanent"}),
    Case("", "WhoKeepsTheInput", "Choices[0]", BATCH, variables={"error": "Permanent"}, delivery="realtime"),
    Case(
        "",
        "KeepInput",
        "Next",
        EVENT,
        answers=({"MessageId": "1"},),
        variables={"error": "Permanent"},
        delivery="realtime",
    ),
    Case(
        "",
        "KeepInput",
        "Next",
        EVENT,
        answers=(Failure("SQS.SdkClientException"), {"MessageId": "1"}),
        waits_s=(1,),
        retry="Retry[0]",
        variables={"error": "Permanent"},
        delivery="realtime",
    ),
    # Then only the execution's own log has it.
    Case(
        "",
        "KeepInput",
        "Catch[0]",
        EVENT,
        answers=(Failure("SQS.SdkClientException"),) * 4,
        waits_s=(1, 2, 4),
        error="SQS.SdkClientException",
        variables={"error": "Permanent"},
        delivery="realtime",
    ),
    Case("", "GiveUp", "End", BATCH, error="Permanent", variables={"error": "Permanent"}),
)


@pytest.mark.parametrize("case", CASES, ids=[f"{number:02}-{case.name}" for number, case in enumerate(CASES)])
def test_a_state_alone(case: Case) -> None:
    """Its arguments, its pauses, the way that it takes and what it hands on."""
    states = dict(all_states(definition(case.delivery)))[case.scope]
    services = Services({OPERATIONS.get(case.state, "putEvents"): case.answers})
    ended = execute(alone(case.state, states, case.variables), case.given, services)
    follower = followers_of(states[case.state])[case.way]
    if states[case.state]["Type"] == "Fail":
        assert (ended.status, ended.error) == ("FAILED", case.error)
    elif follower is None:
        assert ended == Outcome("SUCCEEDED", case.output)
    else:
        assert ended.output["next"] == follower, ended
        if case.output is not None:
            assert ended.output["input"] == case.output
        if "Assign" in _caught(states[case.state], case.way):
            assert ended.output["error"] == case.error
    assert tuple(services.waits_s) == case.waits_s
    assert services.unused == 0
    if case.asked is not None:
        (arguments,) = services.calls(OPERATIONS[case.state])
        assert arguments[{"ApplyRules": "Payload", "PutEvents": "Entries"}[case.state]] == case.asked


def _caught(state: Mapping[str, Any], way: str) -> Mapping[str, Any]:
    number = re.fullmatch(r"Catch\[(\d+)\]", way)
    found: Mapping[str, Any] = state["Catch"][int(number[1])] if number else {}
    return found


def test_every_state_and_every_way_out_of_it_is_among_the_cases() -> None:
    """A state, a catch, a choice or a retry that is added later has to be added here."""
    machine = definition("near_realtime")
    ways = {
        (scope, name, way)
        for scope, states in all_states(machine)
        for name, state in states.items()
        for way in followers_of(state)
    }
    assert {(case.scope, case.state, case.way) for case in CASES} == ways
    retries = {
        (name, f"Retry[{number}]")
        for _, states in all_states(machine)
        for name, state in states.items()
        for number, _ in enumerate(state.get("Retry", []))
    }
    assert {(case.state, case.retry) for case in CASES if case.retry} == retries


def test_both_deliveries_differ_in_who_keeps_the_input_alone() -> None:
    """So what one's cases show holds for the other."""
    behind_queue, behind_rule = (json.dumps(definition(name)) for name in ("near_realtime", "realtime"))
    assert behind_queue.replace("{% false %}", "{% true %}") == behind_rule


def test_retries_are_finite_and_pauses_short(machine: dict[str, Any]) -> None:
    """And the whole has an end before Step Functions cuts an express execution after five minutes."""
    assert machine["TimeoutSeconds"] <= 300
    for _, states in all_states(machine):
        for name, state in states.items():
            for retry in state.get("Retry", []):
                assert retry["MaxAttempts"] <= 3, name
            if state["Type"] == "Task":
                assert state["TimeoutSeconds"] < machine["TimeoutSeconds"], name


def test_a_batch_is_decided_and_published() -> None:
    """Two chunks, of which one is taken at the second attempt: each entry reaches the bus once."""
    services = Services(
        {
            "invoke": [decided([entry(1), entry(2)])],
            "putEvents": [refused("ThrottlingException", None), accepted(1)],
        }
    )
    assert execute(definition("near_realtime"), BATCH, services) == Outcome("SUCCEEDED", {"chunks": 1})
    assert [call["Entries"] for call in services.calls("putEvents")] == [[entry(1), entry(2)], [entry(1)]]
    assert services.waits_s == [1]


def test_behind_a_queue_a_failed_batch_stays_in_it() -> None:
    """The execution fails, by which the pipe leaves the messages where they are. Nothing else is kept."""
    services = Services({"invoke": [Failure("Permanent")]})
    ended = execute(definition("near_realtime"), BATCH, services)
    assert (ended.status, ended.error) == ("FAILED", "Permanent")
    assert services.calls("sendMessage") == []


@pytest.mark.parametrize(
    ("script", "error"),
    [
        pytest.param({"invoke": [Failure("Permanent")]}, "Permanent", id="not-decided"),
        pytest.param(
            {"invoke": [decided([entry(1)])], "putEvents": [refused("InternalFailure")] * 4},
            "EventsNotPublished",
            id="not-published",
        ),
    ],
)
def test_behind_a_rule_a_failed_event_becomes_a_dead_letter(script: dict[str, Any], error: str) -> None:
    """Whole, with the reason; and the execution fails all the same, so that its alarm rings."""
    services = Services(script | {"sendMessage": [{"MessageId": "1"}]})
    ended = execute(definition("realtime"), EVENT, services)
    assert (ended.status, ended.error) == ("FAILED", error)
    (letter,) = services.calls("sendMessage")
    assert json.loads(letter["MessageBody"]) == EVENT
    assert letter["MessageAttributes"]["detail"]["StringValue"] == error
    assert letter["MessageAttributes"]["stage"]["StringValue"] == "apply_rules"
