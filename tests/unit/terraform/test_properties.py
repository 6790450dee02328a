"""What must hold for every resource of a kind, wherever in the graph it stands and whoever adds the next one."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from tests.builders.planned_graph import PlannedGraph, Resource, planned_graph

pytestmark = pytest.mark.timeout(900)  # Terraform makes the graph anew when it has changed

TERRAFORM: Final = Path(__file__).resolve().parents[3] / "terraform"

# Queues that encrypt with SQS's own key instead of a customer's, and why.
KEYS_OF_AWS: Final[Mapping[str, str]] = {
    "event_bus": "The last resort of rules: it must take what the key of events could not encrypt.",
}


@pytest.fixture(scope="module", params=["near_realtime", "realtime"])
def graph(request: pytest.FixtureRequest) -> PlannedGraph:
    """Both graphs of a real account."""
    return planned_graph(request.param)


def first(value: Any) -> Mapping[str, Any]:
    """The single block of its kind; an empty one when there is none."""
    return value[0] if value else {}


def dead_letter_queue(queue: Resource) -> bool:
    """Queues where things end: named so."""
    return str(queue.values["name"]).endswith(("-dlq", "-undelivered"))


def test_every_queue_has_a_dead_letter_queue_and_finite_tries(graph: PlannedGraph) -> None:
    for queue in graph.of("aws_sqs_queue"):
        if dead_letter_queue(queue):
            assert queue.values["message_retention_seconds"] == 1_209_600, queue.address
        else:
            redrive = json.loads(queue.values["redrive_policy"])
            assert 1 <= redrive["maxReceiveCount"] <= 10, queue.address
            assert "deadLetterTargetArn" in redrive, queue.address


def test_every_queue_is_encrypted(graph: PlannedGraph) -> None:
    for queue in graph.of("aws_sqs_queue"):
        by_aws = queue.values["sqs_managed_sse_enabled"] is True and queue.place in KEYS_OF_AWS
        assert queue.values["kms_master_key_id"] or by_aws, queue.address


def test_every_queue_is_spoken_to_by_tls_alone(graph: PlannedGraph) -> None:
    """In the queue's own policy or in one beside it."""
    policies = [queue.values["policy"] for queue in graph.of("aws_sqs_queue")]
    policies += [policy.values["policy"] for policy in graph.of("aws_sqs_queue_policy")]
    assert sum("aws:SecureTransport" in str(policy) for policy in policies) >= len(list(graph.of("aws_sqs_queue")))


def test_every_table_is_encrypted_by_our_key_and_can_be_restored(graph: PlannedGraph) -> None:
    tables = list(graph.of("aws_dynamodb_table"))
    assert tables
    for table in tables:
        encryption = first(table.values["server_side_encryption"])
        assert encryption["enabled"] is True, table.address
        assert encryption["kms_key_arn"], table.address
        assert first(table.values["point_in_time_recovery"])["enabled"], table.address
        assert table.values["deletion_protection_enabled"], table.address


def test_every_bucket_is_closed_encrypted_and_versioned(graph: PlannedGraph) -> None:
    """Each of the resources that make it so stands beside each bucket, and says so."""
    places = sorted(bucket.place for bucket in graph.of("aws_s3_bucket"))
    assert places
    beside = {
        kind: sorted(resource.place for resource in graph.of(kind))
        for kind in (
            "aws_s3_bucket_public_access_block",
            "aws_s3_bucket_server_side_encryption_configuration",
            "aws_s3_bucket_versioning",
            "aws_s3_bucket_policy",
            "aws_s3_bucket_lifecycle_configuration",
        )
    }
    assert beside == dict.fromkeys(beside, places)
    for block in graph.of("aws_s3_bucket_public_access_block"):
        closed = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
        assert all(block.values[each] is True for each in closed), block.address
    for encryption in graph.of("aws_s3_bucket_server_side_encryption_configuration"):
        default = first(first(encryption.values["rule"])["apply_server_side_encryption_by_default"])
        assert default["sse_algorithm"] == "aws:kms", encryption.address
        assert default["kms_master_key_id"], encryption.address
    for versioning in graph.of("aws_s3_bucket_versioning"):
        assert first(versioning.values["versioning_configuration"])["status"] == "Enabled", versioning.address


def test_every_bucket_is_spoken_to_by_tls_alone(graph: PlannedGraph) -> None:
    for policy in graph.of("aws_s3_bucket_policy"):
        denied = [each for each in json.loads(policy.values["policy"])["Statement"] if each["Effect"] == "Deny"]
        insecure = [each for each in denied if "aws:SecureTransport" in json.dumps(each.get("Condition", {}))]
        assert [each["Principal"] for each in insecure] in (["*"], [{"AWS": "*"}]), policy.address


def test_every_topic_secret_log_group_and_repository_is_encrypted_by_our_key(graph: PlannedGraph) -> None:
    keys = {
        "aws_sns_topic": "kms_master_key_id",
        "aws_secretsmanager_secret": "kms_key_id",
        "aws_cloudwatch_log_group": "kms_key_id",
        "aws_cloudwatch_event_bus": "kms_key_identifier",
    }
    for kind, attribute in keys.items():
        found = list(graph.of(kind))
        assert found, kind
        assert [resource.address for resource in found if not resource.values[attribute]] == []
    for repository in graph.of("aws_ecr_repository"):
        assert first(repository.values["encryption_configuration"])["encryption_type"] == "KMS", repository.address
        assert repository.values["image_tag_mutability"] == "IMMUTABLE", repository.address


def test_every_key_is_rotated_and_slow_to_vanish(graph: PlannedGraph) -> None:
    keys = list(graph.of("aws_kms_key"))
    assert keys
    for key in keys:
        assert key.values["enable_key_rotation"] is True, key.address
        assert key.values["deletion_window_in_days"] >= 7, key.address


def test_logs_do_not_stay_for_ever(graph: PlannedGraph) -> None:
    for group in graph.of("aws_cloudwatch_log_group"):
        assert group.values["retention_in_days"], group.address


def test_retries_are_finite_and_what_is_given_up_is_kept(graph: PlannedGraph) -> None:
    """Schedules, asynchronous invocations and streams; rules and queues have tests of their own.

    A schedule that failed is made good by its next tick: it holds nothing that could be lost.
    """
    schedules = {schedule.place for schedule in graph.of("aws_scheduler_schedule")}
    for schedule in graph.of("aws_scheduler_schedule"):
        (target,) = schedule.values["target"]
        assert first(target["retry_policy"])["maximum_retry_attempts"] <= 185, schedule.address
        assert first(target["retry_policy"])["maximum_event_age_in_seconds"] <= 3600, schedule.address
    for config in graph.of("aws_lambda_function_event_invoke_config"):
        assert config.values["maximum_retry_attempts"] in (0, 1, 2), config.address
        if config.place not in schedules:
            kept = first(first(config.values["destination_config"]).get("on_failure"))
            assert kept["destination"].startswith("arn:aws:sqs:"), config.address
    for pipe in graph.of("aws_pipes_pipe"):
        for stream in first(pipe.values["source_parameters"])["dynamodb_stream_parameters"]:
            assert 0 <= stream["maximum_retry_attempts"] <= 100, pipe.address
            assert 0 < stream["maximum_record_age_in_seconds"] <= 86_400, pipe.address
            assert first(stream["dead_letter_config"])["arn"], pipe.address


def test_batches_fail_by_the_message(graph: PlannedGraph) -> None:
    """One bad message must not bring nine good ones back."""
    for mapping in graph.of("aws_lambda_event_source_mapping"):
        assert mapping.values["function_response_types"] == ["ReportBatchItemFailures"], mapping.address


def test_functions_say_what_they_do_and_hold_no_secret(graph: PlannedGraph) -> None:
    """Traced, on a runtime that is supported, their settings under our key and free of anything secret."""
    suspicious = re.compile(r"password|secret_key|private|api_?key", re.IGNORECASE)
    for function in graph.of("aws_lambda_function"):
        assert function.values["runtime"] == "python3.13", function.address
        assert function.values["kms_key_arn"], function.address
        assert first(function.values["tracing_config"])["mode"] == "Active", function.address
        settings = first(function.values["environment"])["variables"]
        assert [name for name in settings if suspicious.search(name)] == [], function.address
        assert "not-a-real-one" not in json.dumps(settings), function.address


def test_no_task_definition_holds_a_secret(graph: PlannedGraph) -> None:
    """Tasks get the names of their secrets and read them by themselves."""
    for definition in graph.of("aws_ecs_task_definition"):
        assert "not-a-real-one" not in definition.values["container_definitions"], definition.address


def values_of(node: Any) -> Iterator[str]:
    """Every text within a value."""
    if isinstance(node, Mapping):
        for each in node.values():
            yield from values_of(each)
    elif isinstance(node, list):
        for each in node:
            yield from values_of(each)
    elif isinstance(node, str):
        yield node


def test_the_state_holds_no_password(graph: PlannedGraph) -> None:
    """The password of a bank's own database is handed over without being written into Terraform's state."""
    found = {
        resource.address
        for resource in graph.resources
        if any("not-a-real-one" in text for text in values_of(dict(resource.values)))
    }
    assert found == set()


def test_nothing_is_open_to_every_address(graph: PlannedGraph) -> None:
    """No security group lets anybody in from everywhere, or out to everywhere."""
    everywhere = {"0.0.0.0/0", "::/0"}
    for rule in graph.of("aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule"):
        assert {rule.values["cidr_ipv4"], rule.values["cidr_ipv6"]} & everywhere == set(), rule.address
    for rule in graph.of("aws_security_group_rule"):
        assert set(rule.values["cidr_blocks"] or []) & everywhere == set(), rule.address
    for subnet in graph.of("aws_subnet"):
        assert not subnet.values["map_public_ip_on_launch"], subnet.address


def test_the_database_is_encrypted_private_kept_and_guarded() -> None:
    graph = planned_graph("near_realtime")
    clusters = list(graph.of("aws_rds_cluster"))
    assert clusters
    for cluster in clusters:
        assert cluster.values["storage_encrypted"] is True
        assert cluster.values["kms_key_id"]
        assert cluster.values["deletion_protection"] is True
        assert not cluster.values["skip_final_snapshot"]
        assert cluster.values["iam_database_authentication_enabled"] is True
        assert cluster.values["manage_master_user_password"] is True
        assert not cluster.values["master_password"]
        assert cluster.values["backup_retention_period"] >= 7
    for instance in graph.of("aws_rds_cluster_instance"):
        assert not instance.values["publicly_accessible"], instance.address
    for proxy in graph.of("aws_db_proxy"):
        assert proxy.values["require_tls"] is True, proxy.address
        assert {each["iam_auth"] for each in proxy.values["auth"]} == {"REQUIRED"}, proxy.address


def test_every_module_has_a_test_of_its_own() -> None:
    """Somewhere in terraform/tests a run takes the module by itself, or a fixture that does nothing else."""
    texts = [path.read_text(encoding="utf-8") for path in (TERRAFORM / "tests").rglob("*.hcl")]
    fixtures = [path.read_text(encoding="utf-8") for path in (TERRAFORM / "tests" / "fixtures").rglob("*.tf")]
    tested = {name for text in texts for name in re.findall(r'source = "\./modules/(\w+)"', text)}
    tested |= {name for text in fixtures for name in re.findall(r'source = "[./]+/modules/(\w+)"', text)}
    modules = {path.name for path in (TERRAFORM / "modules").iterdir() if (path / "main.tf").exists()}
    assert modules - tested == set()
