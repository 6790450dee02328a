"""A small deployment, and an AWS that answers as it is told."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from postrail.validation.deployment import Deployment, read_deployment
from postrail.validation.findings import Finding, Question, answer

ACCOUNT = "111122223333"
ARN = f"arn:aws:{{}}:eu-west-2:{ACCOUNT}:{{}}"
PREFIX = "postrail-test"


def arn(service: str, name: str) -> str:
    """An ARN in the account of these tests."""
    return ARN.format(service, name)


def outputs(**changes: Any) -> dict[str, Any]:
    """Outputs of a real account with one of everything; `changes` go into `expectations`."""
    enrich_rule = {
        "bus": "payments",
        "pattern": '{"detail-type": ["PaymentStandardised"], "source": ["postrail"]}',
        "target_arns": [arn("sqs", f"{PREFIX}-enrich")],
    }
    return {
        "name_prefix": PREFIX,
        "region": "eu-west-2",
        "bus_name": "payments",
        "tables": {"dedup": {"name": f"{PREFIX}-dedup", "arn": arn("dynamodb", "table/dedup"), "stream_arn": None}},
        "queues": {
            "enrich": {
                "url": "https://sqs/enrich",
                "arn": arn("sqs", f"{PREFIX}-enrich"),
                "dlq_url": "https://sqs/enrich-dlq",
                "dlq_arn": arn("sqs", f"{PREFIX}-enrich-dlq"),
            }
        },
        "dead_letter_queues": {"enrich": {"url": "https://sqs/enrich-dlq", "arn": arn("sqs", f"{PREFIX}-enrich-dlq")}},
        "functions": {"enrich": {"name": f"{PREFIX}-enrich", "arn": arn("lambda", f"function:{PREFIX}-enrich")}},
        "topics": {"alerts": arn("sns", f"{PREFIX}-alerts")},
        "pipes": {"intake": {"Name": f"{PREFIX}-intake", "Source": "stream", "Target": "bus", "managed": True}},
        "state_machine_arn": arn("states", "stateMachine:rules-engine"),
        "ledger_secret_arn": arn("secretsmanager", "secret:ledger"),
        "api": {},
        "switch": {
            "managed": True,
            "cluster_arn": arn("ecs", "cluster/switch"),
            "parties": {"northgate": {"keys_secret_arn": arn("secretsmanager", "secret:northgate")}},
        },
        "batch": {
            "managed": True,
            "cluster_arn": arn("ecs", "cluster/batch"),
            "task_definition_arn": arn("ecs", "task-definition/batch:1"),
        },
        "card_vault": {"table": f"{PREFIX}-card-vault", "table_arn": arn("dynamodb", "table/card-vault")},
        "expectations": {
            "account_id": ACCOUNT,
            "target": {},
            "deletion_protection": True,
            "max_receive_count": 5,
            "log_retention_days": 30,
            "archive": "payments",
            "consumers": {"enrich": f"{PREFIX}-enrich"},
            "schedules": {f"{PREFIX}-relay-outbox": arn("lambda", f"function:{PREFIX}-relay-outbox")},
            "keys": {"events": arn("kms", "key/1")},
            "rules": {f"{PREFIX}-enrich": enrich_rule},
            "buckets": {"anchors": {"name": "anchors", "lock_mode": "COMPLIANCE", "lock_days": 365}},
        }
        | changes,
    }


@pytest.fixture
def deployment() -> Deployment:
    return read_deployment(outputs())


class Aws:
    """Clients whose every operation gives what was put down for it: an answer, or an error code to raise."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers

    def __call__(self, service: str) -> "Client":
        return Client(self._answers)


class Client:
    """One client; the service does not matter, since no two operations asked for here share a name."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers

    def __getattr__(self, operation: str) -> Any:
        def call(**_: Any) -> Any:
            found = self._answers[operation]
            if isinstance(found, str):
                raise ClientError({"Error": {"Code": found, "Message": "no"}}, operation)
            return found

        return call


def ask(questions: Iterator[Question], area: str, subject: str = "") -> Finding:
    """The answer to the one question of an area, or to the one about a subject."""
    (question,) = [each for each in questions if each.area == area and subject in each.subject]
    return answer(question)
