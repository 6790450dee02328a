"""Rights as the emulator enforces them: nobody has too few, and nobody more than the whole suite needs.

These tests come last: they look at what all the others made functions and tasks ask for.
"""

import io
import json
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.e2e.conftest import Cloud

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

# Rights that AWS uses in a role's name and the emulator asks for from nobody: what Lambda does around a function, and
# what DynamoDB, S3 and Secrets Manager do with the keys of what they hold.
BY_AWS: Final = {
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
}

# Rights that this suite has no use for: the end of the role's name or nothing, the statement and the action; and why.
_FROM_ENVIRONMENT: Final = "A process of this machine is told its database and its keys; a task reads its secrets."
NOT_SEEN: Final = {
    ("", "KeepDeadLetters", "sqs:SendMessage"): "IAM's name for what the emulator calls SendMessageBatch.",
    ("", "KeepDeadLetters", "sqs:SendMessageBatch"): "Most stages got nothing that can never be processed.",
    ("", "NotifyCustomers", "sns:Publish"): "IAM's name for what the emulator calls PublishBatch.",
    ("", "WriteResults", "s3:AbortMultipartUpload"): "For results above 8 MB whose upload breaks off.",
    ("-migrate-ledger-function", "ReadLedgerSecret", "secretsmanager:GetSecretValue"): "The launcher migrates itself.",
    ("-serve-network-api-function", "ReadLedgerSecret", "secretsmanager:GetSecretValue"): "Nobody asks a network here.",
    ("-switch-", "ReadLedgerSecret", "secretsmanager:GetSecretValue"): _FROM_ENVIRONMENT,
    ("-switch-", "ReadOwnKeys", "secretsmanager:GetSecretValue"): _FROM_ENVIRONMENT,
    ("-switch-", "ReadReferenceData", "dynamodb:BatchGetItem"): "Exchange rates, for a purchase in another currency.",
}

_PARTS: Final = {part for part, _, _ in NOT_SEEN}

PROBE: Final = """
import boto3

def handler(event, context):
    table = boto3.client("dynamodb")
    try:
        table.get_item(TableName=event["table"], Key={"pk": {"S": "probe"}}) if event["how"] == "one" else \\
            table.batch_get_item(RequestItems={event["table"]: {"Keys": [{"pk": {"S": "probe"}}]}})
    except table.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return "allowed"
"""


@pytest.fixture
def probe(cloud: Cloud) -> Iterator[Any]:
    """Asks for something under the role of `enrich`; answers `allowed` or the error's code."""
    functions = cloud.client("lambda")
    role = functions.get_function(FunctionName=cloud.outputs["functions"]["enrich"]["name"])["Configuration"]["Role"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("probe.py", PROBE)
    name = f"e2e-probe-{uuid.uuid4().hex[:8]}"
    functions.create_function(
        FunctionName=name,
        Role=role,
        Runtime="python3.13",
        Handler="probe.handler",
        Timeout=30,
        Code={"ZipFile": archive.getvalue()},
    )

    def ask(**event: str) -> str:
        answer = functions.invoke(FunctionName=name, Payload=json.dumps(event).encode())
        return str(json.loads(answer["Payload"].read()))

    yield ask
    functions.delete_function(FunctionName=name)


def asked(cloud: Cloud) -> list[dict[str, Any]]:
    """Who asked for which action, each with its answer."""
    if cloud.description.get("rights") != "checked":
        pytest.skip("this cloud checks no rights: start it by `up --iam`")
    lines = (cloud.state_dir / "rights.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def role_of(principal: str) -> str:
    """The role's name within an assumed role's ARN."""
    return principal.split("/")[1]


def granted(cloud: Cloud) -> Iterator[tuple[str, str, str]]:
    """Role, statement and action of everything that functions and tasks may do."""
    iam, prefix = cloud.client("iam"), cloud.outputs["name_prefix"]
    for page in iam.get_paginator("list_roles").paginate():
        for role in page["Roles"]:
            trusted = json.dumps(role["AssumeRolePolicyDocument"])
            if not role["RoleName"].startswith(prefix) or not ("lambda.amazonaws" in trusted or "ecs-tasks" in trusted):
                continue
            for name in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
                if name == "execution":
                    continue  # of ECS itself, which does not run here
                document = iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)["PolicyDocument"]
                for statement in document["Statement"]:
                    for action in statement["Action"]:
                        yield role["RoleName"], statement["Sid"], action


def test_a_role_gets_what_it_names_and_no_more(cloud: Cloud, probe: Any) -> None:
    """Enrichment may look up many cards at once; it may not look one up alone, and nothing in the vault of numbers."""
    assert asked(cloud)
    reference, vault = cloud.outputs["tables"]["reference"]["name"], cloud.outputs["card_vault"]["table"]
    assert probe(table=reference, how="many") == "allowed"
    assert probe(table=reference, how="one") == "AccessDeniedException"
    assert probe(table=vault, how="many") == "AccessDeniedException"


def test_nobody_was_denied_anything(cloud: Cloud) -> None:
    """No function and no task lacks a right, in all that the tests before made them do."""
    denied = [line for line in asked(cloud) if not line["allowed"] and "e2e-probe" not in line["principal"]]
    assert denied == []


def test_every_right_was_used(cloud: Cloud, request: pytest.FixtureRequest) -> None:
    """By whoever has it, at least once. Only the whole suite can say so."""
    here = {path.name for path in Path(__file__).parent.glob("test_*.py")}
    if here - {item.path.name for item in request.session.items} or request.session.testsfailed:
        pytest.skip("only the whole suite, passed, uses every right")
    used = {(role_of(line["principal"]), line["action"]) for line in asked(cloud)}
    # What one bank or network does, all may do: which of them a test pays at is its own choice.
    switch = f"{cloud.outputs['name_prefix']}-switch-"
    used |= {(switch, action) for role, action in used if role.startswith(switch)}
    unused = {
        (role, sid, action)
        for role, sid, action in granted(cloud)
        if not {(role, action), (switch if role.startswith(switch) else role, action)} & used
        and action not in BY_AWS
        and not any((part, sid, action) in NOT_SEEN for part in _PARTS if part in role)
    }
    assert unused == set()
