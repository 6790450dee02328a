"""Runs Amazon States Language by MiniStack's interpreter, alone in this process, with scripted services.

It is the interpreter that the local cloud runs; what it would call is answered from a script, and it does not wait.
"""

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import pytest
from ministack.services import stepfunctions

CALLS_MAX: Final = 50
_INTERPRETED: Final = stepfunctions._error_matches


@dataclass(frozen=True)
class Failure:
    """An answer that is an error, by its name as States Language knows it."""

    error: str
    cause: str = "as the script says"


@dataclass
class Services:
    """What tasks meet: answers by the last word of the resource, and what was asked, in order."""

    script: Mapping[str, Sequence[Any]]
    asked: list[tuple[str, Any]] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._left = {operation: deque(answers) for operation, answers in self.script.items()}

    def answer(self, resource: str, arguments: Any, timeout_s: float | None = None) -> Any:
        """The next answer of the script; a script that has run out is a mistake of the test."""
        assert timeout_s, f"{resource} waits for ever"
        operation = resource.rpartition(":")[2]
        self.asked.append((operation, deepcopy(arguments)))
        assert len(self.asked) <= CALLS_MAX, "this does not come to an end"
        assert self._left.get(operation), f"nobody expected {operation}, call {len(self.asked)}"
        answer = self._left[operation].popleft()
        if isinstance(answer, Failure):
            raise stepfunctions._ExecutionError(answer.error, answer.cause)
        return answer

    def calls(self, operation: str) -> list[Any]:
        """The arguments of every call of an operation."""
        return [arguments for name, arguments in self.asked if name == operation]

    @property
    def unused(self) -> int:
        """How many answers nobody asked for."""
        return sum(len(answers) for answers in self._left.values())


@dataclass(frozen=True)
class Outcome:
    """How an execution ended."""

    status: str
    output: Any
    error: str | None = None


def matches(names: Sequence[str], error: str) -> bool:
    """Whether a retrier or catcher is for an error.

    MiniStack takes States.ALL by its word; in AWS two errors end an execution unless they are named, or whatever
    catches them is around the state ("Handling errors in Step Functions workflows", States.ALL).
    """
    if error in {"States.DataLimitExceeded", "States.Runtime"}:
        return error in names
    return bool(_INTERPRETED(names, error))


@contextmanager
def scripted(services: Services) -> Iterator[None]:
    """The interpreter's calls and pauses go to the script."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stepfunctions, "_invoke_resource_with_timeout", services.answer)
        patch.setattr(stepfunctions, "_invoke_resource", services.answer)
        patch.setattr(stepfunctions, "_scaled_sleep", services.waits_s.append)
        patch.setattr(stepfunctions, "_error_matches", matches)
        patch.setattr(stepfunctions.time, "sleep", lambda _: None)
        yield


def execute(definition: Mapping[str, Any], given: Any, services: Services) -> Outcome:
    """Run a state machine to its end, as StartSyncExecution does."""
    with scripted(services):
        name = f"test-{uuid4().hex}"
        made = _body(stepfunctions._create_state_machine({"name": name, "definition": json.dumps(definition)}))
        request = {"stateMachineArn": made["stateMachineArn"], "input": json.dumps(given)}
        ended = _body(stepfunctions._start_sync_execution(request))
        stepfunctions._delete_state_machine({"stateMachineArn": made["stateMachineArn"]})
    return Outcome(ended["status"], json.loads(ended["output"]), ended.get("error"))


def _body(response: tuple[int, Mapping[str, str], bytes | str]) -> dict[str, Any]:
    status, _, body = response
    assert status == 200, body
    document: dict[str, Any] = json.loads(body)
    return document


def alone(name: str, states: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """A machine of one state: variables are set before it, and what it would go to only says its name and its input."""
    state = states[name]
    followers = {found for found in followers_of(state).values() if found}
    told = {
        follower: {
            "Type": "Pass",
            "Output": {
                "next": follower,
                "input": "{% $states.input %}",
                "error": "{% $error %}",
            },
            "End": True,
        }
        for follower in followers
    }
    before = {"Type": "Pass", "Assign": {"error": "none", **variables}, "Next": name}
    return {"QueryLanguage": "JSONata", "StartAt": "Before", "States": {"Before": before, name: state, **told}}


def followers_of(state: Mapping[str, Any]) -> dict[str, str | None]:
    """Every way out of a state, by its place in the definition: the state that it leads to, None for the end."""
    ways: dict[str, str | None] = {}
    for kind in ("Choices", "Catch"):
        ways |= {f"{kind}[{number}]": each["Next"] for number, each in enumerate(state.get(kind, []))}
    ways |= {key: state[key] for key in ("Next", "Default") if key in state}
    if state.get("End") or state["Type"] in {"Succeed", "Fail"}:
        ways["End"] = None
    return ways


def all_states(definition: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every state with the name of its scope: `` for the machine itself, else the Map that it stands in."""
    yield "", definition["States"]
    for name, state in definition["States"].items():
        if state["Type"] == "Map":
            yield name, state["ItemProcessor"]["States"]
