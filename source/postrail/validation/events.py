"""Questions about the ways of events: bus, archive, rules, queues, pipes, topics, schedules."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from postrail.validation.deployment import Deployment, Pipe, Queue, Rule
from postrail.validation.findings import NotHere, Question, Wrong
from postrail.validation.stores import Aws

_DEPLOY_AGAIN = "Deploy again: somebody has changed it by hand."
_PAGES_MAX = 50


def questions_on_events(deployment: Deployment, aws: Aws) -> Iterator[Question]:
    """Everything that an event passes on its way, in the order of the way."""
    expected = deployment.expectations
    events, sqs = aws("events"), aws("sqs")
    yield Question("bus", deployment.bus_name, partial(_bus, events, deployment.bus_name))
    yield Question("archive", expected.archive, partial(_archive, events, expected.archive))
    for name, rule in expected.rules.items():
        yield Question("rule", name, partial(_rule, events, name, rule))
    for name, queue in deployment.queues.items():
        if queue.url is not None:
            yield Question("queue", name, partial(_queue, sqs, queue, expected.max_receive_count))
    for name, letters in deployment.dead_letter_queues.items():
        yield Question("dead letters", name, partial(_letters, sqs, letters.url))
    for name, pipe in deployment.pipes.items():
        yield Question("pipe", name, partial(_pipe, aws, name, pipe))
    for name, arn in deployment.topics.items():
        yield Question("topic", name, partial(_topic, aws("sns"), name, arn))
    for name, function_arn in expected.schedules.items():
        yield Question("schedule", name, partial(_schedule, aws("scheduler"), name, function_arn))


def _bus(events: Any, name: str) -> str:
    events.describe_event_bus(Name=name)
    return ""


def _archive(events: Any, name: str) -> str:
    found = events.describe_archive(ArchiveName=name)
    if found["State"] != "ENABLED":
        raise Wrong(f"is {found['State']}", "Deploy again: without archive nothing can be replayed.")
    return f"keeps events for {found.get('RetentionDays', 0) or 'unlimited'} days"


def _rule(events: Any, name: str, rule: Rule) -> str:
    found = events.describe_rule(Name=name, EventBusName=rule.bus)
    if found["State"] != "ENABLED":
        raise Wrong(f"is {found['State']}: its events reach nobody", "Enable it: `aws events enable-rule`.")
    if json.loads(found.get("EventPattern") or "{}") != json.loads(rule.pattern):
        raise Wrong("takes other events than were deployed", _DEPLOY_AGAIN)
    targets = _targets(events, name, rule.bus)
    missing = [arn for arn in rule.target_arns if arn not in targets]
    if missing:
        raise Wrong(f"leads not to {', '.join(missing)}", "Deploy again: `make deploy` puts the target back.")
    strange = sorted(targets.keys() - set(rule.target_arns))
    if strange:
        raise Wrong(f"leads also to {', '.join(strange)}", "Remove that target, or give it a rule of its own.")
    return f"to {', '.join(arn.rsplit(':', 1)[1] for arn in rule.target_arns)}"


def _targets(events: Any, name: str, bus: str) -> dict[str, Any]:
    answer = events.list_targets_by_rule(Rule=name, EventBusName=bus)
    return {str(target["Arn"]): target for target in answer["Targets"]}


def _queue(sqs: Any, queue: Queue, max_receive_count: int) -> str:
    found = _attributes(sqs, str(queue.url))
    if not found.get("KmsMasterKeyId"):
        raise Wrong("is not encrypted under the customer's key", _DEPLOY_AGAIN)
    redrive = json.loads(found.get("RedrivePolicy") or "{}")
    if redrive.get("deadLetterTargetArn") != queue.dlq_arn:
        raise Wrong("has no way to its dead-letter queue: what fails is tried for ever, then lost", _DEPLOY_AGAIN)
    if int(redrive.get("maxReceiveCount", 0)) != max_receive_count:
        raise Wrong(f"tries {redrive.get('maxReceiveCount')} times, not {max_receive_count}", _DEPLOY_AGAIN)
    return f"{max_receive_count} tries, then {queue.dlq_arn.rsplit(':', 1)[1]}"


def _letters(sqs: Any, url: str) -> str:
    found = _attributes(sqs, url)
    if not found.get("KmsMasterKeyId") and found.get("SqsManagedSseEnabled") != "true":
        raise Wrong("is not encrypted", _DEPLOY_AGAIN)
    waiting = int(found.get("ApproximateNumberOfMessages", 0))
    return f"{waiting} letters wait: `postrail dlq list`" if waiting else "empty"


def _attributes(sqs: Any, url: str) -> dict[str, str]:
    attributes: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]).get("Attributes", {})
    return attributes


def _pipe(aws: Aws, name: str, pipe: Pipe) -> str:
    if not pipe.managed:
        raise NotHere(f"pipes do not run here (pipes.{name}.managed is false); a runner of ours plays it")
    found = aws("pipes").describe_pipe(Name=pipe.Name)
    if found["CurrentState"] != "RUNNING":
        said = f"is {found['CurrentState']} {found.get('StateReason', '')}".strip()
        raise Wrong(said, "Start it: `aws pipes start-pipe`, after its reason is gone.")
    if (found["Source"], found["Target"]) != (pipe.Source, pipe.Target):
        raise Wrong(f"leads from {found['Source']} to {found['Target']}", _DEPLOY_AGAIN)
    return "running"


def _topic(sns: Any, name: str, arn: str) -> str:
    attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    if not attributes.get("KmsMasterKeyId"):
        raise Wrong("is not encrypted under the customer's key", _DEPLOY_AGAIN)
    subscriptions = list(_subscriptions(sns, arn))
    waiting = [each["Endpoint"] for each in subscriptions if each["SubscriptionArn"] == "PendingConfirmation"]
    if waiting:
        raise Wrong(
            f"not confirmed: {', '.join(sorted(waiting))}", "Follow the link in the message that each of them got."
        )
    if not subscriptions and name == "alerts":
        raise NotHere("nobody subscribed: give addresses by the variable alert_emails, or subscribe what pages people")
    return f"{len(subscriptions)} subscribers"


def _subscriptions(sns: Any, arn: str) -> Iterator[dict[str, str]]:
    token: dict[str, str] = {}
    for _ in range(_PAGES_MAX):
        page = sns.list_subscriptions_by_topic(TopicArn=arn, **token)
        yield from page["Subscriptions"]
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def _schedule(scheduler: Any, name: str, function_arn: str) -> str:
    found = scheduler.get_schedule(Name=name)
    if found["State"] != "ENABLED":
        raise Wrong(f"is {found['State']}", "Enable it: deploy again, or in the console.")
    if found["Target"]["Arn"] != function_arn:
        raise Wrong(f"starts {found['Target']['Arn']}", _DEPLOY_AGAIN)
    return str(found["ScheduleExpression"])
