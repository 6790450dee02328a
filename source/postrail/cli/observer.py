"""A temporary ear on the graph: a queue that hears every event of one run on the bus, and its alerts.

It is made of a queue, a rule on the bus and a subscription to the alerts topic, all named after the run, and taken
away again when the observation ends, however it ends.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from postrail.cli.failures import CommandError
from postrail.cli.graph import Graph

READY_SECONDS_MAX = 60.0
"""A new rule takes effect within seconds, by AWS's own account; a minute is generous."""
_CANARY_EVERY_SECONDS = 1.0
_CANARY_TYPE = "SelftestCanary"
_CANARY_SOURCE = "postrail.selftest"
_MESSAGES_PER_DRAIN_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Observed:
    """One event of the run as it was seen on the bus.

    `at` is when its producer made it and `seen_at` when it reached the observer's queue, in seconds of the epoch.
    """

    detail_type: str
    payment_id: str
    at: float
    seen_at: float
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Alert:
    """One message of the alerts topic; `at` is when it reached the observer's queue."""

    text: str
    at: float


class Observer:
    """Hears the events and alerts of one run. Use as a context manager."""

    def __init__(
        self,
        graph: Graph,
        run_id: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._graph = graph
        self._run_id = run_id
        self._clock = clock
        self._sleep = sleep
        self._name = f"{graph.outputs.name_prefix}-selftest-{run_id[-12:]}"
        self._queue_url = ""
        self._leave = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            queue_arn = self._make_queue(stack)
            self._make_rule(stack, queue_arn)
            self._subscribe(stack, queue_arn)
            self._wait_until_ready()
            self._leave = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.close()

    def drain(self) -> tuple[list[Observed], list[Alert]]:
        """Everything heard since the last call."""
        events: list[Observed] = []
        alerts: list[Alert] = []
        for message in self._messages():
            body = json.loads(message["Body"])
            if "TopicArn" in body:
                alerts.append(Alert(str(body.get("Message", "")), _sent_at(message)))
            elif body.get("detail-type") != _CANARY_TYPE:
                events.append(_observed(body, _sent_at(message)))
        return events, alerts

    def _messages(self) -> Iterator[dict[str, Any]]:
        sqs, read = self._graph.client("sqs"), 0
        while read < _MESSAGES_PER_DRAIN_MAX:
            answer = sqs.receive_message(
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=0,
                MessageSystemAttributeNames=["SentTimestamp"],
            )
            messages = answer.get("Messages", [])
            if not messages:
                return
            read += len(messages)
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(messages)
            ]
            sqs.delete_message_batch(QueueUrl=self._queue_url, Entries=entries)
            yield from messages

    def _make_queue(self, stack: ExitStack) -> str:
        sqs = self._graph.client("sqs")
        self._queue_url = sqs.create_queue(
            QueueName=self._name, Attributes={"MessageRetentionPeriod": "3600", "VisibilityTimeout": "30"}
        )["QueueUrl"]
        stack.callback(sqs.delete_queue, QueueUrl=self._queue_url)
        arn = sqs.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sqs.set_queue_attributes(QueueUrl=self._queue_url, Attributes={"Policy": deliveries_policy(arn)})
        return str(arn)

    def _make_rule(self, stack: ExitStack, queue_arn: str) -> None:
        events, bus = self._graph.client("events"), self._graph.outputs.bus_name
        events.put_rule(
            Name=self._name,
            EventBusName=bus,
            EventPattern=json.dumps({"detail": {"metadata": {"correlation_id": [self._run_id]}}}),
            State="ENABLED",
        )
        stack.callback(events.delete_rule, Name=self._name, EventBusName=bus)
        events.put_targets(Rule=self._name, EventBusName=bus, Targets=[{"Id": "observer", "Arn": queue_arn}])
        stack.callback(events.remove_targets, Rule=self._name, EventBusName=bus, Ids=["observer"])

    def _subscribe(self, stack: ExitStack, queue_arn: str) -> None:
        sns = self._graph.client("sns")
        answer = sns.subscribe(
            TopicArn=self._graph.topic_arn("alerts"), Protocol="sqs", Endpoint=queue_arn, ReturnSubscriptionArn=True
        )
        stack.callback(sns.unsubscribe, SubscriptionArn=answer["SubscriptionArn"])

    def _wait_until_ready(self) -> None:
        """Send canaries until one is heard: a new rule does not match from its first moment on."""
        deadline = self._clock() + READY_SECONDS_MAX
        while self._clock() < deadline:
            self._put_canary()
            next_at = self._clock() + _CANARY_EVERY_SECONDS
            while self._clock() < next_at:
                if any(json.loads(message["Body"]).get("detail-type") == _CANARY_TYPE for message in self._messages()):
                    return
                self._sleep(0.1)
        msg = f"The bus {self._graph.outputs.bus_name} delivered nothing to a new rule for {READY_SECONDS_MAX:.0f} s."
        raise CommandError(msg)

    def _put_canary(self) -> None:
        detail = {"metadata": {"correlation_id": self._run_id}}
        self._graph.client("events").put_events(
            Entries=[
                {
                    "Source": _CANARY_SOURCE,
                    "DetailType": _CANARY_TYPE,
                    "Detail": json.dumps(detail),
                    "EventBusName": self._graph.outputs.bus_name,
                }
            ]
        )


def _observed(event: dict[str, Any], seen_at: float) -> Observed:
    metadata, data = event["detail"].get("metadata", {}), event["detail"].get("data", {})
    occurred_at = metadata.get("occurred_at") or event["time"]
    return Observed(
        detail_type=event["detail-type"],
        payment_id=str(metadata.get("payment_id", "")),
        at=datetime.fromisoformat(occurred_at).timestamp(),
        seen_at=seen_at,
        data=data if isinstance(data, dict) else {},
    )


def _sent_at(message: dict[str, Any]) -> float:
    return int(message.get("Attributes", {}).get("SentTimestamp", 0)) / 1000


def deliveries_policy(queue_arn: str) -> str:
    """The policy of a queue that listens: rules and topics of its own account may send to it, and nobody else."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": ["events.amazonaws.com", "sns.amazonaws.com"]},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"StringEquals": {"aws:SourceAccount": queue_arn.split(":")[4]}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
