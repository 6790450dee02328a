"""Credentials of tasks, for whoever plays ECS on this machine: so that a role that lacks a right shows here."""

from collections.abc import Mapping
from typing import Any

from postrail.cli.graph import Cloud, Graph


def task_credentials(ecs: Any, sts: Any, task_definition_arn: str) -> dict[str, str]:
    """Credentials of a task definition's role, as environment variables. They are good for an hour.

    ECS hands them to a task by an address of its own. Raises ClientError when the role may not be taken.
    """
    definition = ecs.describe_task_definition(taskDefinition=task_definition_arn)["taskDefinition"]
    given = sts.assume_role(RoleArn=definition["taskRoleArn"], RoleSessionName="played")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
    }


def party_credentials(graph: Graph, cloud: Cloud) -> dict[str, Mapping[str, str]]:
    """Those of each bank's and network's task, by the party's id; empty where the local cloud checks no rights."""
    if not cloud.checks_rights:
        return {}
    ecs, sts = graph.client("ecs"), graph.client("sts")
    parties = graph.outputs.switch.get("parties", {})
    return {name: task_credentials(ecs, sts, party["task_definition_arn"]) for name, party in parties.items()}
