"""What every role of the graph may do: named actions on named resources, and each exception with its reason."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import botocore.exceptions
import botocore.session
import pytest
from tests.builders.planned_graph import RUNS, PlannedGraph, Resource, planned_graph

# Actions that have no resource (Service Authorization Reference, column "Resource types"), or none that could be named
# before, and why somebody has them.
_LOG_DELIVERY: Final = "Step Functions delivers its logs; deliveries are of the account and know no resource."
_X_RAY: Final = "Traces have no resource."
_INTERFACES: Final = "Lambda makes and removes the function's network interfaces, which have no name before."
EVERY_RESOURCE: Final[Mapping[str, str]] = {
    "ec2:AssignPrivateIpAddresses": _INTERFACES,
    "ec2:CreateNetworkInterface": _INTERFACES,
    "ec2:DeleteNetworkInterface": _INTERFACES,
    "ec2:DescribeNetworkInterfaces": _INTERFACES,
    "ec2:DescribeSubnets": _INTERFACES,
    "ec2:UnassignPrivateIpAddresses": _INTERFACES,
    "ecr:GetAuthorizationToken": "A token is for the account's whole registry; what it may pull is said apart.",
    "logs:CreateLogDelivery": _LOG_DELIVERY,
    "logs:DeleteLogDelivery": _LOG_DELIVERY,
    "logs:DescribeLogGroups": _LOG_DELIVERY,
    "logs:DescribeResourcePolicies": _LOG_DELIVERY,
    "logs:GetLogDelivery": _LOG_DELIVERY,
    "logs:ListLogDeliveries": _LOG_DELIVERY,
    "logs:PutResourcePolicy": _LOG_DELIVERY,
    "logs:UpdateLogDelivery": _LOG_DELIVERY,
    "secretsmanager:GetRandomPassword": "A password that does not exist yet is of no secret.",
    "xray:GetSamplingRules": _X_RAY,
    "xray:GetSamplingTargets": _X_RAY,
    "xray:PutTelemetryRecords": _X_RAY,
    "xray:PutTraceSegments": _X_RAY,
}

# Actions that no operation of an SDK is named after, each in the Service Authorization Reference of its service.
WITHOUT_OPERATION: Final = {
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLSelect",
    "dynamodb:PartiQLUpdate",
    "iam:PassRole",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "lambda:InvokeFunction",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:UpdateLogDelivery",
    "rds-db:connect",
    "s3:GetBucketObjectLockConfiguration",
}

# Operations that IAM allows by the action for one message: named in a policy they would allow nothing.
NO_ACTIONS: Final = {
    "sns:PublishBatch",
    "sqs:ChangeMessageVisibilityBatch",
    "sqs:DeleteMessageBatch",
    "sqs:SendMessageBatch",
}

# Policies of AWS's own that a role has, and why.
POLICIES_OF_AWS: Final[Mapping[str, str]] = {
    "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole": (
        "What RDS writes of a database's host, into a log group of its own choice; AWS documents no other way."
    ),
}

# Services of which nothing says that they name a source when they take a role.
NAME_NO_SOURCE: Final = {
    "lambda.amazonaws.com",
    "monitoring.rds.amazonaws.com",
    "rds.amazonaws.com",
    "vpc-flow-logs.amazonaws.com",
}

# Where the SDK has another name for a service than IAM.
SERVICES: Final = {
    "aps": ("amp",),
    "dynamodb": ("dynamodb", "dynamodbstreams"),
    "payment-cryptography": ("payment-cryptography", "payment-cryptography-data"),
    "states": ("stepfunctions",),
}


pytestmark = pytest.mark.timeout(900)  # Terraform makes the graph anew when it has changed


@dataclass(frozen=True)
class Statement:
    """One statement of a role's or a resource's policy."""

    address: str
    effect: str
    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Any]
    principal: Any = None


def statements(resource: Resource, attribute: str = "policy") -> Iterator[Statement]:
    """The statements of a policy document among a resource's attributes."""
    document = json.loads(resource.values[attribute])
    for statement in _as_list(document["Statement"]):
        assert not {"NotAction", "NotResource", "NotPrincipal"} & statement.keys(), resource.address
        yield Statement(
            resource.address,
            statement["Effect"],
            statement.get("Sid", ""),
            tuple(_as_list(statement["Action"])),
            tuple(_as_list(statement.get("Resource", []))),
            statement.get("Condition", {}),
            statement.get("Principal"),
        )


def _as_list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def rights(graph: PlannedGraph) -> list[Statement]:
    """Everything that any role of the graph is allowed."""
    return [each for policy in graph.of("aws_iam_role_policy", "aws_iam_policy") for each in statements(policy)]


@pytest.fixture(scope="module", params=RUNS)
def graph(request: pytest.FixtureRequest) -> PlannedGraph:
    """Every way in which the graph can be made."""
    return planned_graph(request.param)


def test_policies_are_written_here_but_for_one(graph: PlannedGraph) -> None:
    """No policy of AWS's own, which changes without us; none within a role, where it would not be looked at."""
    attached = list(graph.of("aws_iam_role_policy_attachment", "aws_iam_policy_attachment"))
    assert {each.values["policy_arn"] for each in attached} <= POLICIES_OF_AWS.keys()
    assert [resource.address for resource in graph.of("aws_iam_user", "aws_iam_group")] == []
    for role in graph.of("aws_iam_role"):
        assert not role.values["inline_policy"], role.address
        assert not role.values["managed_policy_arns"], role.address


def test_no_action_is_a_pattern(graph: PlannedGraph) -> None:
    found = rights(graph)
    assert found
    assert [
        (each.address, action)
        for each in found
        for action in each.actions
        if not re.fullmatch(r"[a-z0-9-]+:\w+", action)
    ] == []


def test_everything_is_allowed_on_named_resources_only(graph: PlannedGraph) -> None:
    """But for actions that know no resource."""
    loose = {
        (each.address, action)
        for each in rights(graph)
        if each.effect == "Allow" and "*" in each.resources
        for action in each.actions
        if action not in EVERY_RESOURCE
    }
    assert loose == set()


def test_a_pattern_of_resources_ends_one_name(graph: PlannedGraph) -> None:
    """`bucket/incoming/*` or `log-group:name:*`: service, region, account and the name before are written out."""
    for each in rights(graph):
        for resource in each.resources:
            if resource == "*":
                continue
            head, star, tail = resource.partition("*")
            assert not tail, f"{each.address}: {resource}"
            assert not star or head[-1] in "/:_", f"{each.address}: {resource}"
            assert re.match(r"arn:aws:[a-z0-9-]+:[a-z0-9-]*:\d*:[\w-]+", head), f"{each.address}: {resource}"


def test_every_action_exists() -> None:
    """A misspelt action allows nothing and nobody notices before the first denial."""
    session = botocore.session.get_session()

    def operations(service: str) -> set[str]:
        found: set[str] = set()
        for name in SERVICES.get(service, (service,)):
            try:
                found |= set(session.get_service_model(name).operation_names)
            except botocore.exceptions.UnknownServiceError:
                continue
        return found

    named = {action for run in RUNS for each in rights(planned_graph(run)) for action in each.actions}
    unknown = {
        action for action in named - WITHOUT_OPERATION if action.split(":")[1] not in operations(action.split(":")[0])
    }
    assert unknown == set()


@pytest.mark.parametrize("run", RUNS)
def test_no_operation_is_taken_for_an_action(run: str) -> None:
    """Only an emulator asks for these by their own names."""
    named = {action for each in rights(planned_graph(run)) for action in each.actions}
    assert named & NO_ACTIONS == set()


def test_exceptions_are_still_needed() -> None:
    """A reason that no policy needs any more is taken off the list; rotation needs a database of our own."""
    named = {action for run in RUNS for each in rights(planned_graph(run)) for action in each.actions}
    assert set(EVERY_RESOURCE) - named - {"secretsmanager:GetRandomPassword"} == set()


def test_roles_are_for_services_and_not_for_everybody(graph: PlannedGraph) -> None:
    """One service each; where it acts for many customers, for this account's resources alone (the confused deputy)."""
    for role in graph.of("aws_iam_role"):
        for each in statements(role, "assume_role_policy"):
            assert each.actions == ("sts:AssumeRole",), role.address
            assert set(each.principal) == {"Service"}, role.address
            (service,) = _as_list(each.principal["Service"])
            if service not in NAME_NO_SOURCE:
                operators = {key for operator in each.conditions.values() for key in operator}
                assert operators & {"aws:SourceAccount", "aws:SourceArn"}, (
                    f"{role.address} can be taken for anybody's {service}"
                )


def test_every_function_has_a_role_of_its_own(graph: PlannedGraph) -> None:
    """Rights of two functions in one role would be rights that neither needs."""
    roles = [role.place for role in graph.of("aws_iam_role") if role.values["name"].endswith("-function")]
    functions = [function.place for function in graph.of("aws_lambda_function")]
    assert sorted(functions) == sorted(roles)
    assert len(set(functions)) == len(functions)


def test_keys_are_used_through_the_service_that_holds_the_data(graph: PlannedGraph) -> None:
    """Who may use the key of the tables may do so by reading a table, and not by itself."""
    through_tables = [each for each in rights(graph) if each.sid == "UseTablesKey"]
    assert through_tables
    for each in through_tables:
        assert each.conditions["StringEquals"]["kms:ViaService"] == "dynamodb.eu-west-2.amazonaws.com", each.address


def test_resources_are_open_to_nobody_outside(graph: PlannedGraph) -> None:
    """A policy of a resource that allows everybody something would make it public; denying everybody is fine."""
    kinds = (
        "aws_kms_key",
        "aws_kms_key_policy",
        "aws_s3_bucket_policy",
        "aws_sns_topic_policy",
        "aws_sqs_queue",
        "aws_sqs_queue_policy",
        "aws_secretsmanager_secret_policy",
        "aws_cloudwatch_log_resource_policy",
    )
    for resource in graph.of(*kinds):
        attribute = "policy_document" if resource.type == "aws_cloudwatch_log_resource_policy" else "policy"
        if not str(resource.values.get(attribute) or "").startswith("{"):
            continue  # none, or one that only AWS knows
        for each in statements(resource, attribute):
            if each.effect == "Allow" and each.principal in ("*", {"AWS": "*"}):
                assert each.conditions, f"{resource.address} {each.sid}"
