"""Code in the network reaches what its rights name: an endpoint for each action, and no endpoint for nobody."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

import pytest
import yaml
from tests.builders.planned_graph import REPO, PlannedGraph

# Rights that send no packet through the network, by service, and why.
NOT_THROUGH_THE_NETWORK: Final[Mapping[str, str]] = {
    "ec2": "Lambda makes the function's interfaces before any code of ours runs.",
    "rds-db": "The right is in a signed token that the database checks.",
    "xray": "Lambda sends traces itself, from outside of what a function runs in.",
}
# The same, for functions alone: a task's log driver sends through the task's interface.
_POLLING: Final = "Lambda reads queues itself, in the function's name, before it calls the function."
LAMBDA_DOES_IT: Final = {
    "logs:CreateLogStream": "Lambda delivers what functions log.",
    "logs:PutLogEvents": "Lambda delivers what functions log.",
    "sqs:ChangeMessageVisibility": _POLLING,
    "sqs:DeleteMessage": _POLLING,
    "sqs:GetQueueAttributes": _POLLING,
    "sqs:ReceiveMessage": _POLLING,
}

# The API of each service that an endpoint is named after, as rights call it.
ENDPOINT_OF: Final = {"ecr": ("ecr.api", "ecr.dkr"), "payment-cryptography": ("payment-cryptography.dataplane",)}


@pytest.fixture(scope="module")
def through(real_account: PlannedGraph) -> dict[str, set[str]]:
    """What each endpoint lets through: actions by service."""
    return {
        endpoint.values["service_name"].removeprefix("com.amazonaws.eu-west-2."): {
            action for statement in json.loads(endpoint.values["policy"])["Statement"] for action in statement["Action"]
        }
        for endpoint in real_account.of("aws_vpc_endpoint")
    }


def needed(graph: PlannedGraph) -> dict[str, set[str]]:
    """Actions that code in the network calls by their endpoint, with who calls them."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for caller, is_function, statement in _statements_in_network(graph):
        by_a_service = "kms:ViaService" in json.dumps(statement.get("Condition", {}))
        for action in statement["Action"]:
            elsewhere = action.split(":")[0] in NOT_THROUGH_THE_NETWORK or (is_function and action in LAMBDA_DOES_IT)
            if not elsewhere and not by_a_service:
                found[action].add(caller)
    return dict(found)


def _statements_in_network(graph: PlannedGraph) -> Iterator[tuple[str, bool, dict[str, Any]]]:
    in_vpc = {function.place for function in graph.of("aws_lambda_function") if function.values["vpc_config"]}
    assert in_vpc
    assert {place.split(".")[0] for place in in_vpc} < {
        fn.place.split(".")[0] for fn in graph.of("aws_lambda_function")
    }
    for policy in graph.of("aws_iam_role_policy"):
        of_function = policy.place in in_vpc
        of_task = policy.place in {"batch", "switch"} and policy.values["name"] in {"task", "execution"}
        if of_function or of_task:
            for statement in json.loads(policy.values["policy"])["Statement"]:
                yield policy.address, of_function, statement


def test_what_code_in_the_network_may_do_has_a_way(
    real_account: PlannedGraph, through: Mapping[str, AbstractSet[str]]
) -> None:
    """A new right of a function or task in the network would otherwise wait for an answer until its timeout."""
    lost = {
        f"{action} by {endpoint}": sorted(callers)
        for action, callers in needed(real_account).items()
        for endpoint in ENDPOINT_OF.get(action.split(":")[0], (action.split(":")[0],))
        if action not in through.get(endpoint, set())
    }
    assert lost == {}


def test_no_way_is_open_that_nobody_takes(real_account: PlannedGraph, through: Mapping[str, AbstractSet[str]]) -> None:
    """An endpoint costs by the hour in each zone, and what it lets through is what a stranger in there could do."""
    wanted = set(needed(real_account))
    assert {service: sorted(actions - wanted) for service, actions in through.items() if actions - wanted} == {}


def test_the_price_of_the_endpoints_is_reckoned_with_as_many(real_account: PlannedGraph) -> None:
    """`postrail capacity` counts an hour of each endpoint in each zone."""
    hours = sum(
        len(endpoint.values["subnet_ids"])
        for endpoint in real_account.of("aws_vpc_endpoint")
        if endpoint.values["vpc_endpoint_type"] == "Interface"
    )
    counted = yaml.safe_load((REPO / "config/capacity/graph.yaml").read_text(encoding="utf-8"))["fixed"]
    assert [fixed["number"] for fixed in counted if fixed["price"] == "endpoint_hour"] == [hours]


def test_tasks_and_functions_share_no_group_with_the_database(real_account: PlannedGraph) -> None:
    """Whoever is in the database's group would be let in by its own rules; nobody but the database is."""
    (database,) = (
        group.values["id"]
        for group in real_account.of("aws_security_group")
        if group.place.startswith("network") and group.values["name"] == "postrail-test-database"
    )
    for function in real_account.of("aws_lambda_function"):
        for vpc in function.values["vpc_config"]:
            assert database not in vpc["security_group_ids"], function.address
            assert vpc["security_group_ids"], function.address


def test_functions_that_do_not_need_the_ledger_stay_outside(real_account: PlannedGraph) -> None:
    """In a VPC they would pay for interfaces and endpoints and reach nothing that they need."""
    outside = {
        function.values["function_name"].removeprefix("postrail-test-")
        for function in real_account.of("aws_lambda_function")
        if not function.values["vpc_config"]
    }
    assert outside == {"apply-rules", "deduplicate", "enrich", "sequence-postings", "standardise"}


def test_ec2_takes_the_descriptions(real_account: PlannedGraph) -> None:
    """Its own rule for groups and their rules (EC2 API Reference, CreateSecurityGroup), which no plan checks."""
    described = real_account.of(
        "aws_security_group", "aws_vpc_security_group_egress_rule", "aws_vpc_security_group_ingress_rule"
    )
    allowed = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}")
    refused = [each.address for each in described if not allowed.fullmatch(each.values["description"])]
    assert refused == []


def test_only_who_checks_tokens_may_call_the_internet(real_account: PlannedGraph) -> None:
    """Without NAT not even they: no rule of the whole graph names the world."""
    rules = list(real_account.of("aws_vpc_security_group_egress_rule", "aws_vpc_security_group_ingress_rule"))
    assert rules
    assert [rule.address for rule in rules if rule.values["cidr_ipv4"] == "0.0.0.0/0" or rule.values["cidr_ipv6"]] == []
    assert (
        list(real_account.of("aws_route", "aws_internet_gateway", "aws_nat_gateway", "aws_security_group_rule")) == []
    )
