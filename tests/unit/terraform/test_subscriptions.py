"""Every rule of the graph gets the events that it is for and no others, and no event goes nowhere.

The patterns are those that Terraform deploys; the events are the examples of the contracts.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

import pytest
from ministack.services.eventbridge import _test_event_pattern
from moto.events.models import EventPattern
from tests.builders.bus_events import DETAIL_TYPES, BusEvent, envelope, recorded, valid_examples
from tests.builders.planned_graph import PlannedGraph, Resource

from local_cloud.pipe_runner.event_pattern import compile_pattern

pytestmark = pytest.mark.timeout(900)  # Terraform makes the graph anew when it has changed

Wants = Callable[[BusEvent], bool]


def of_types(*detail_types: str) -> Wants:
    """Events of Postrail's own of these types."""
    return lambda event: event["source"] == "postrail" and event["detail-type"] in detail_types


def _conflicts(event: BusEvent) -> bool:
    return of_types("DuplicateParked")(event) and event["detail"]["data"]["reason_code"] == "CONFLICT"


def _failures_that_nobody_asked_for(event: BusEvent) -> bool:
    return of_types("PaymentPostingFailed")(event) and event["detail"]["data"]["reason_code"] != "HOLD_RELEASED"


# What each rule of the bus is for. The one that checks for duplicates is the door: whoever sends, it looks.
WANTED: Final[Mapping[str, Wants]] = {
    "deduplicate": lambda event: event["detail-type"] == "PaymentAuthorized",
    "standardise": of_types("PaymentAccepted"),
    "enrich": of_types("PaymentStandardised"),
    "apply-rules": of_types("PaymentEnriched"),
    "sequence-postings": of_types("PaymentApproved"),
    "posting": of_types("PostingRequested"),
    "record-outcome": of_types("AuthorizationReversed", "DuplicateParked", "PaymentReferred", "PaymentRejected"),
    "alerts": of_types("PaymentReferred", "PostingSequenceOverdue"),
    "alerts-conflicts": _conflicts,
    "alerts-failures": _failures_that_nobody_asked_for,
}

# Events that no rule of ours takes, and why that is right.
TERMINAL: Final[Mapping[str, str]] = {
    "PaymentPosted": "The ledger told it, and holds it already: for the issuer's own consumers, who bring their rules.",
}

# Events that reach people but no stage.
FOR_PEOPLE: Final[Mapping[str, str]] = {
    "PaymentPostingFailed": "The ledger holds the failure in the transaction that told of it.",
    "PostingSequenceOverdue": "Says that parts are missing; the sequence goes on as soon as they come.",
}

# Reason codes under which a type of event exists without reaching anybody but the ledger that holds it.
KEPT_QUIET: Final = {("PaymentPostingFailed", "HOLD_RELEASED")}


def rules_of(graph: PlannedGraph, *, default_bus: bool = False) -> dict[str, str]:
    """Patterns by the name of their rule, without the prefix."""
    return {
        rule.values["name"].removeprefix("postrail-test-"): rule.values["event_pattern"]
        for rule in graph.of("aws_cloudwatch_event_rule")
        if (rule.values["event_bus_name"] == "default") is default_bus
    }


def matches(pattern: str, event: BusEvent) -> bool:
    """Whether a pattern takes an event: by our own reading, and that of MiniStack's TestEventPattern may not differ."""
    ours = compile_pattern(pattern)(dict(event))
    status, _, body = _test_event_pattern({"EventPattern": pattern, "Event": json.dumps(event)})
    assert status == 200, body
    assert json.loads(body)["Result"] is ours, f"MiniStack reads {pattern} differently"
    return ours


def matches_record(pattern: str, record: BusEvent) -> bool:
    """Whether a pipe's filter takes a record, which is no event: by our own reading, and moto's may not differ."""
    ours = compile_pattern(pattern)(dict(record))
    moto = EventPattern.load(pattern)
    assert moto.matches_event(record) is ours, f"moto reads {pattern} differently"  # type: ignore[arg-type]
    return ours


def all_examples() -> Iterator[tuple[str, BusEvent]]:
    """Every example of every contract."""
    for detail_type in DETAIL_TYPES:
        yield from valid_examples(detail_type)


def test_every_contract_has_an_example() -> None:
    """A type without examples would be matched by nothing, and nothing would say so."""
    assert {event["detail-type"] for _, event in all_examples()} == set(DETAIL_TYPES)


@pytest.mark.parametrize("delivery", ["real_account", "realtime"])
def test_no_rule_is_unknown_here(delivery: str, request: pytest.FixtureRequest) -> None:
    """A new rule says what it is for before it is deployed."""
    assert set(rules_of(request.getfixturevalue(delivery))) == set(WANTED)


@pytest.mark.parametrize("rule", sorted(WANTED))
@pytest.mark.parametrize("delivery", ["real_account", "realtime"])
def test_a_rule_takes_its_events_and_no_others(rule: str, delivery: str, request: pytest.FixtureRequest) -> None:
    """Every example of every contract is shown to every rule; at least one is for it."""
    pattern = rules_of(request.getfixturevalue(delivery))[rule]
    taken = {name for name, event in all_examples() if matches(pattern, event)}
    assert taken == {name for name, event in all_examples() if WANTED[rule](event)}
    assert taken


@pytest.mark.parametrize("rule", sorted(WANTED))
def test_a_rule_leaves_what_only_looks_like_its_events(rule: str, real_account: PlannedGraph) -> None:
    """Another sender, another spelling, a detail type within a detail: only the door takes what strangers send."""
    pattern = rules_of(real_account)[rule]
    for name, event in all_examples():
        strange = envelope(event["detail-type"], event["detail"], source="acme.switch")
        assert matches(pattern, strange) is WANTED[rule](strange), name
        assert not matches(pattern, {**event, "detail-type": event["detail-type"].upper()}), name
        assert not matches(pattern, {**event, "detail-type": f"{event['detail-type']}V2"}), name
        assert not matches(pattern, envelope("Postrail Canary", {"detail-type": event["detail-type"]})), name


def test_every_event_has_a_consumer_or_is_declared_terminal(real_account: PlannedGraph) -> None:
    """Nothing is published for nobody, and nothing is declared terminal that somebody takes."""
    patterns = rules_of(real_account)
    for name, event in all_examples():
        takers = {rule for rule, pattern in patterns.items() if matches(pattern, event)}
        stages = {rule for rule in takers if not rule.startswith("alerts")}
        detail_type = event["detail-type"]
        if detail_type in TERMINAL:
            assert not takers, f"{name} is declared terminal and taken by {takers}"
        elif (detail_type, event["detail"]["data"].get("reason_code")) in KEPT_QUIET:
            assert not takers, f"{name} is declared quiet and taken by {takers}"
        else:
            assert takers, f"{name} goes nowhere"
            assert bool(stages) is (detail_type not in FOR_PEOPLE), f"{name} is taken by {takers}"


def test_every_rule_leads_somewhere_and_fails_into_a_queue(real_account: PlannedGraph, realtime: PlannedGraph) -> None:
    """One target at least for each rule; each gives up after finite attempts, and then leaves its event in a queue."""
    for graph in (real_account, realtime):
        targets = list(graph.of("aws_cloudwatch_event_target"))
        names = {(rule.values["event_bus_name"], rule.values["name"]) for rule in graph.of("aws_cloudwatch_event_rule")}
        assert {(target.values["event_bus_name"], target.values["rule"]) for target in targets} == names
        for target in targets:
            (dead_letters,) = target.values["dead_letter_config"]
            (retries,) = target.values["retry_policy"]
            assert dead_letters["arn"].startswith("arn:aws:sqs:"), target.address
            assert 0 < retries["maximum_retry_attempts"] <= 185, target.address
            assert 60 <= retries["maximum_event_age_in_seconds"] <= 86_400, target.address


# Rules on the default bus, where AWS's own services tell what happened: what each takes, and what it leaves. An event
# is what tests/events holds, changed at these paths.
Change = Mapping[str, Any]
AWS_EVENTS: Final[Mapping[str, tuple[str, list[Change], list[Change]]]] = {
    "batch-start": (
        "s3_object_created",
        [{}, {"detail.object.key": "incoming/deep/er/file.jsonl"}, {"detail.object.key": "outside-of-both.jsonl"}],
        [
            {"detail.object.key": "results/2026-09-30.jsonl.refused.jsonl"},
            {"detail.object.key": "incoming/"},
            {"detail.object.key": 'incoming/x","--force'},
            {"detail.object.key": "incoming/x\\n"},
            {"detail.bucket.name": "somebody-elses"},
            {"detail-type": "Object Deleted"},
            {"source": "postrail"},
        ],
    ),
    "batch-failed": (
        "ecs_task_stopped",
        [
            {},
            {"detail.containers": [{"exitCode": 137}]},
            {"detail.containers": [{"reason": "OutOfMemoryError: Container killed", "exitCode": 0}]},
            {"detail.containers": [{}], "detail.stopCode": "TaskFailedToStart"},
            {"detail.containers": [{"exitCode": 0}], "detail.stopCode": "UserInitiated"},
        ],
        [
            {"detail.containers": [{"exitCode": 0}]},
            {"detail.lastStatus": "RUNNING"},
            {"detail.clusterArn": "arn:aws:ecs:eu-west-2:111122223333:cluster/another"},
            {"source": "aws.s3"},
        ],
    ),
}


def changed(event: BusEvent, change: Change) -> BusEvent:
    """The event with other values at some paths."""
    result: Any = deepcopy(event)
    for path, value in change.items():
        *above, last = path.split(".")
        node = result
        for name in above:
            node = node[name]
        node[last] = value
    found: BusEvent = result
    return found


def place_of(graph: PlannedGraph) -> Change:
    """What AWS would write of this graph's own bucket; the mocks give it a name of their own."""
    (inbox,) = (bucket for bucket in graph.of("aws_s3_bucket") if bucket.place == "batch")
    return {"detail.bucket.name": inbox.values["id"]}


def test_no_rule_on_the_default_bus_is_unknown_here(real_account: PlannedGraph) -> None:
    assert set(rules_of(real_account, default_bus=True)) == set(AWS_EVENTS)


@pytest.mark.parametrize("rule", sorted(AWS_EVENTS))
def test_a_rule_on_the_default_bus_takes_and_leaves(rule: str, real_account: PlannedGraph) -> None:
    """Documented events of S3 and ECS, and their like; and nothing of the payments' own bus."""
    pattern = rules_of(real_account, default_bus=True)[rule]
    name, taken, left = AWS_EVENTS[rule]
    event = recorded(name)
    if name == "s3_object_created":
        event = changed(event, place_of(real_account))
    for change in taken:
        assert matches(pattern, changed(event, change)), change
    for change in left:
        assert not matches(pattern, changed(event, change)), change
    for other, example in all_examples():
        assert not matches(pattern, example), other


def only(resources: Iterator[Resource]) -> Resource:
    (found,) = resources
    return found


def test_the_pipe_takes_approved_authorizations_once(real_account: PlannedGraph) -> None:
    """Inserts of approved authorizations; no declines, no changes, no removals, and no pre-authorisation."""
    pipe = only(pipe for pipe in real_account.of("aws_pipes_pipe") if pipe.values["name"].endswith("-intake"))
    (criteria,) = pipe.values["source_parameters"][0]["filter_criteria"]
    (single,) = criteria["filter"]
    pattern = single["pattern"]
    record = recorded("pipe_authorizations_stream")[0]
    assert matches_record(pattern, record)
    image = "dynamodb.NewImage"
    for change in (
        {"eventName": "MODIFY"},
        {"eventName": "REMOVE"},
        {f"{image}.action_code": {"S": "116"}},
        {f"{image}.action_code": {"S": "400"}},
        {f"{image}.action_code": {}},
        {f"{image}.capture": {"S": "later"}},
        {"dynamodb": {"Keys": record["dynamodb"]["Keys"]}},
    ):
        assert not matches_record(pattern, changed(record, change)), change


def test_pipes_without_a_filter_are_known(real_account: PlannedGraph) -> None:
    """The rules engine takes all that its queue holds, which its rule chose already."""
    unfiltered = {
        pipe.values["name"]
        for pipe in real_account.of("aws_pipes_pipe")
        if not pipe.values["source_parameters"][0]["filter_criteria"]
    }
    assert unfiltered == {"postrail-test-rules"}


def test_every_mapping_leaves_the_choice_to_its_rule(real_account: PlannedGraph) -> None:
    """A filter on a queue would delete what it does not take: such events would be lost in silence."""
    mappings = list(real_account.of("aws_lambda_event_source_mapping"))
    assert mappings
    assert [mapping.address for mapping in mappings if mapping.values["filter_criteria"]] == []


def test_what_is_not_json_is_no_pattern(real_account: PlannedGraph) -> None:
    """All patterns of the graph were read as they are deployed."""
    for rule in real_account.of("aws_cloudwatch_event_rule"):
        assert isinstance(json.loads(rule.values["event_pattern"]), dict)
