"""Every question passes on what a sound graph answers, and names what is wrong with any other."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest
from tests.unit.validation.conftest import ACCOUNT, PREFIX, Aws, arn, ask, outputs

from postrail.validation.checks import all_questions
from postrail.validation.deployment import Deployment, read_deployment
from postrail.validation.events import questions_on_events
from postrail.validation.findings import Finding, Status, answer
from postrail.validation.stores import questions_on_stores
from postrail.validation.watching import questions_on_watching
from postrail.validation.work import questions_on_work

TABLE = {
    "TableStatus": "ACTIVE",
    "SSEDescription": {"SSEType": "KMS"},
    "DeletionProtectionEnabled": True,
}
RECOVERY = {
    "ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"}}
}
BUCKET = {
    "get_bucket_versioning": {"Status": "Enabled"},
    "get_public_access_block": {"PublicAccessBlockConfiguration": {"BlockPublicAcls": True, "BlockPublicPolicy": True}},
    "get_bucket_encryption": {
        "ServerSideEncryptionConfiguration": {
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]
        }
    },
    "get_object_lock_configuration": {
        "ObjectLockConfiguration": {"Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 365}}}
    },
}
KEY = {
    "describe_key": {"KeyMetadata": {"KeyState": "Enabled"}},
    "get_key_rotation_status": {"KeyRotationEnabled": True},
}
ALARM = {"AlarmName": f"{PREFIX}-posting-dlq", "StateValue": "OK", "ActionsEnabled": True, "AlarmDescription": "See x."}
SERVICE = {
    "serviceName": "northgate",
    "runningCount": 2,
    "desiredCount": 2,
    "deployments": [{"rolloutState": "COMPLETED"}],
}
LEDGER = {"id": "ledger", "instances": ["ledger-1", "ledger-2"], "proxy": "ledger"}
CLUSTER = {
    "Status": "available",
    "StorageEncrypted": True,
    "IAMDatabaseAuthenticationEnabled": True,
    "DeletionProtection": True,
    "DBClusterMembers": [{"DBInstanceIdentifier": "ledger-1"}, {"DBInstanceIdentifier": "ledger-2"}],
    "BackupRetentionPeriod": 35,
    "Engine": "aurora-postgresql",
    "EngineVersion": "16.8",
}
FUNCTION = {"State": "Active", "LastUpdateStatus": "Successful", "TracingConfig": {"Mode": "Active"}, "CodeSha256": "x"}


def on_stores(deployment: Deployment, answers: dict[str, Any], area: str, subject: str) -> Finding:
    return ask(questions_on_stores(deployment, Aws(answers)), area, subject)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({}, "", id="sound"),
        pytest.param({"TableStatus": "UPDATING"}, "UPDATING", id="not_active"),
        pytest.param({"SSEDescription": {}}, "not encrypted", id="not_encrypted"),
        pytest.param({"DeletionProtectionEnabled": False}, "can be deleted", id="unprotected"),
        pytest.param(
            {"StreamSpecification": {"StreamEnabled": True}, "LatestStreamArn": "other"}, "stream", id="strange_stream"
        ),
    ],
)
def test_a_table_is_active_encrypted_and_protected(deployment: Deployment, change: dict[str, Any], words: str) -> None:
    answers = {"describe_table": {"Table": TABLE | change}, "describe_continuous_backups": RECOVERY}
    found = on_stores(deployment, answers, "table", "dedup")
    assert found.status is (Status.FAILED if words else Status.OK)
    assert words in found.note
    assert bool(found.remedy) == bool(words)


def test_a_table_without_recovery_is_named(deployment: Deployment) -> None:
    backups = {"ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": {}}}
    answers = {"describe_table": {"Table": TABLE}, "describe_continuous_backups": backups}
    assert "recovery" in on_stores(deployment, answers, "table", "dedup").note


@pytest.mark.parametrize(
    ("operation", "said", "words"),
    [
        pytest.param("get_bucket_versioning", {}, "no versions", id="unversioned"),
        pytest.param(
            "get_public_access_block",
            {"PublicAccessBlockConfiguration": {"BlockPublicAcls": True, "BlockPublicPolicy": False}},
            "BlockPublicPolicy",
            id="public",
        ),
        pytest.param("get_object_lock_configuration", {"ObjectLockConfiguration": {}}, "no lock", id="unlocked"),
        pytest.param("get_bucket_versioning", "NoSuchBucket", "not there", id="gone"),
    ],
)
def test_a_bucket_that_is_less_than_deployed_is_named(
    deployment: Deployment, operation: str, said: Any, words: str
) -> None:
    found = on_stores(deployment, BUCKET | {operation: said}, "bucket", "anchors")
    assert found.status is Status.FAILED
    assert words in found.note


def test_a_locked_bucket_says_by_what(deployment: Deployment) -> None:
    found = on_stores(deployment, BUCKET, "bucket", "anchors")
    assert (found.status, found.note) == (Status.OK, "versioned, private, encrypted, locked: COMPLIANCE for 365 days")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"describe_key": {"KeyMetadata": {"KeyState": "PendingDeletion"}}}, "PendingDeletion", id="dying"),
        pytest.param({"get_key_rotation_status": {"KeyRotationEnabled": False}}, "not rotated", id="not_rotated"),
    ],
)
def test_a_key_is_enabled_and_rotated(deployment: Deployment, change: dict[str, Any], words: str) -> None:
    assert on_stores(deployment, KEY, "key", "events").status is Status.OK
    assert words in on_stores(deployment, KEY | change, "key", "events").note


def test_a_secret_without_value_or_rotation_is_named() -> None:
    deployment = read_deployment(outputs() | {"ledger": LEDGER})
    held = {"VersionIdsToStages": {"v1": ["AWSCURRENT"]}}
    assert "no value" in on_stores(deployment, {"describe_secret": {}}, "secret", "northgate").note
    assert on_stores(deployment, {"describe_secret": held}, "secret", "northgate").status is Status.OK
    assert "not rotated" in on_stores(deployment, {"describe_secret": held}, "secret", "ledger").note


def test_keys_of_a_switch_that_does_not_run_are_skipped_by_the_outputs_own_word() -> None:
    said = outputs()
    said["switch"]["managed"] = False
    found = on_stores(read_deployment(said), {}, "secret", "northgate")
    assert found.status is Status.SKIPPED
    assert "switch.managed is false" in found.note


@pytest.mark.parametrize(
    ("said", "words"),
    [
        pytest.param({"CurrentState": "RUNNING", "Source": "stream", "Target": "bus"}, "", id="running"),
        pytest.param({"CurrentState": "STOPPED", "StateReason": "by hand"}, "STOPPED by hand", id="stopped"),
        pytest.param({"CurrentState": "RUNNING", "Source": "other", "Target": "bus"}, "from other", id="strange"),
        pytest.param("NotFoundException", "not there", id="gone"),
    ],
)
def test_a_pipe_runs_from_its_source_to_its_target(deployment: Deployment, said: Any, words: str) -> None:
    found = ask(questions_on_events(deployment, Aws({"describe_pipe": said})), "pipe")
    assert found.status is (Status.FAILED if words else Status.OK)
    assert words in found.note


def test_an_alert_address_that_never_confirmed_is_named(deployment: Deployment) -> None:
    """Nobody would hear an alarm, and everybody would think that they do."""
    waiting = [{"SubscriptionArn": "PendingConfirmation", "Endpoint": "ops@example.com"}]
    answers = {
        "get_topic_attributes": {"Attributes": {"KmsMasterKeyId": "key"}},
        "list_subscriptions_by_topic": {"Subscriptions": waiting},
    }
    found = ask(questions_on_events(deployment, Aws(answers)), "topic")
    assert found.status is Status.FAILED
    assert "ops@example.com" in found.note


def test_a_schedule_that_was_switched_off_is_named(deployment: Deployment) -> None:
    said = {"State": "DISABLED", "Target": {"Arn": ""}, "ScheduleExpression": "rate(1 minute)"}
    assert "DISABLED" in ask(questions_on_events(deployment, Aws({"get_schedule": said})), "schedule").note


@pytest.mark.parametrize(
    ("change", "concurrency", "words"),
    [
        pytest.param({}, {}, "", id="sound"),
        pytest.param({"State": "Failed"}, {}, "is Failed", id="failed"),
        pytest.param({"LastUpdateStatus": "InProgress"}, {}, "InProgress", id="updating"),
        pytest.param({"TracingConfig": {"Mode": "PassThrough"}}, {}, "not traced", id="untraced"),
        pytest.param({}, {"ReservedConcurrentExecutions": 0}, "switched off", id="switched_off"),
    ],
)
def test_a_function_is_active_and_may_run(
    deployment: Deployment, tmp_path: Path, change: dict[str, Any], concurrency: dict[str, int], words: str
) -> None:
    answers = {"get_function_configuration": FUNCTION | change, "get_function_concurrency": concurrency}
    found = ask(questions_on_work(deployment, Aws(answers), tmp_path), "function")
    assert found.status is (Status.FAILED if words else Status.OK)
    assert words in found.note


def test_a_function_runs_the_code_that_lies_here(deployment: Deployment, tmp_path: Path) -> None:
    """Compared by the digest that Lambda tells; without an archive there is nothing to compare, and it says so."""
    archive = tmp_path / "enrich.zip"
    own = base64.b64encode(hashlib.sha256(b"code").digest()).decode()
    answers = {"get_function_configuration": FUNCTION | {"CodeSha256": own}, "get_function_concurrency": {}}
    assert "not compared" in ask(questions_on_work(deployment, Aws(answers), tmp_path), "function").note
    archive.write_bytes(b"code")
    assert "code of this checkout" in ask(questions_on_work(deployment, Aws(answers), tmp_path), "function").note
    archive.write_bytes(b"newer code")
    assert ask(questions_on_work(deployment, Aws(answers), tmp_path), "function").status is Status.FAILED


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({}, "", id="steady"),
        pytest.param({"runningCount": 1}, "1 of 2", id="too_few"),
        pytest.param({"runningCount": 0, "desiredCount": 0}, "0 of 0", id="scaled_to_nothing"),
        pytest.param({"deployments": [{"rolloutState": "FAILED"}]}, "FAILED", id="rolling_back"),
    ],
)
def test_a_service_of_the_switch_is_steady(
    deployment: Deployment, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    answers = {"list_services": {"serviceArns": ["a"]}, "describe_services": {"services": [SERVICE | change]}}
    found = ask(questions_on_work(deployment, Aws(answers), tmp_path), "service")
    assert found.status is (Status.FAILED if words else Status.OK)
    assert words in found.note


def test_a_party_without_service_is_named(deployment: Deployment, tmp_path: Path) -> None:
    answers = {"list_services": {"serviceArns": []}}
    assert "no service" in ask(questions_on_work(deployment, Aws(answers), tmp_path), "service").note


@pytest.mark.parametrize(
    ("alarm", "subject", "words"),
    [
        pytest.param({}, "OK", "", id="quiet"),
        pytest.param({"StateValue": "ALARM"}, "OK", f"in ALARM: {PREFIX}-posting-dlq", id="raised"),
        pytest.param({"ActionsEnabled": False}, "deployed", "tell nobody", id="mute"),
        pytest.param({"AlarmName": f"{PREFIX}-other"}, "deployed", "missing", id="missing"),
    ],
)
def test_alarms_are_there_and_quiet(alarm: dict[str, Any], subject: str, words: str) -> None:
    """Of one that is raised, its own description says what to do."""
    deployment = read_deployment(outputs(alarms=[f"{PREFIX}-posting-dlq"]))
    answers = {"describe_alarms": {"MetricAlarms": [ALARM | alarm], "CompositeAlarms": []}}
    found = ask(questions_on_watching(deployment, Aws(answers)), "alarms", subject)
    assert found.status is (Status.FAILED if words else Status.OK)
    assert words in found.note
    if alarm.get("StateValue") == "ALARM":
        assert found.remedy == "See x."


def test_an_alarm_without_data_is_no_failure(deployment: Deployment) -> None:
    """Minutes after a deployment most have none."""
    answers = {"describe_alarms": {"MetricAlarms": [ALARM | {"StateValue": "INSUFFICIENT_DATA"}]}}
    found = ask(questions_on_watching(deployment, Aws(answers)), "alarms", "OK")
    assert (found.status, found.note) == (Status.OK, "0 in OK, 1 without data yet")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        pytest.param({}, "", id="up_to_date"),
        pytest.param({"pending": ["0026_figures"]}, "0026_figures", id="behind"),
        pytest.param({"unknown": ["0099_future"]}, "0099_future", id="ahead"),
        pytest.param({"read_only": True}, "takes no writes", id="read_only"),
    ],
)
def test_the_schema_is_that_of_this_code(deployment: Deployment, state: dict[str, Any], words: str) -> None:
    told = {"server_version": "16.8", "read_only": False, "pending": [], "unknown": []} | state
    found = ask(all_questions(deployment, Aws({}), lambda _: told, Path()), "ledger")
    assert found.status is (Status.FAILED if words else Status.OK)
    assert words in found.note


def test_the_first_question_is_whose_account_it_is(deployment: Deployment) -> None:
    """With credentials of another account all that follows would be noise, and a payment there a mistake."""
    first = next(all_questions(deployment, Aws({"get_caller_identity": {"Account": "999988887777"}}), dict, Path()))
    found = answer(first)
    assert (found.area, found.status) == ("account", Status.FAILED)
    assert "999988887777" in found.note
    assert first.subject == ACCOUNT


def test_a_right_that_is_missing_is_a_finding_and_hides_nothing(deployment: Deployment) -> None:
    found = on_stores(deployment, {"describe_key": "AccessDeniedException"}, "key", "events")
    assert found.status is Status.FAILED
    assert "credentials" in found.remedy


def on_ledger(answers: dict[str, Any], subject: str) -> Finding:
    deployment = read_deployment(outputs() | {"ledger": LEDGER})
    return ask(all_questions(deployment, Aws(answers), dict, Path()), "database", subject)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({}, "", id="sound"),
        pytest.param({"Status": "failing-over"}, "failing-over", id="failing_over"),
        pytest.param({"DeletionProtection": False}, "can be deleted", id="unprotected"),
        pytest.param({"IAMDatabaseAuthenticationEnabled": False}, "logins by role", id="passwords_only"),
        pytest.param({"DBClusterMembers": [{"DBInstanceIdentifier": "ledger-1"}]}, "lacks ledger-2", id="too_few"),
    ],
)
def test_a_cluster_is_available_protected_and_complete(change: dict[str, Any], words: str) -> None:
    found = on_ledger({"describe_db_clusters": {"DBClusters": [CLUSTER | change]}}, "cluster")
    assert found.status is (Status.FAILED if words else Status.OK)
    assert words in found.note


@pytest.mark.parametrize(
    ("proxy", "state", "words"),
    [
        pytest.param({}, "AVAILABLE", "", id="sound"),
        pytest.param({"Status": "creating"}, "AVAILABLE", "creating", id="creating"),
        pytest.param({"RequireTLS": False}, "AVAILABLE", "without TLS", id="plain"),
        pytest.param({}, "UNAVAILABLE", "AUTH_FAILURE", id="locked_out"),
    ],
)
def test_a_proxy_is_available_and_reaches_an_instance(proxy: dict[str, Any], state: str, words: str) -> None:
    health = {"State": state, "Reason": "AUTH_FAILURE"}
    answers = {
        "describe_db_proxies": {"DBProxies": [{"Status": "available", "RequireTLS": True} | proxy]},
        "describe_db_proxy_targets": {"Targets": [{"Type": "RDS_INSTANCE", "TargetHealth": health}]},
    }
    found = on_ledger(answers, "proxy")
    assert found.status is (Status.FAILED if words else Status.OK)
    assert words in found.note


def test_somebody_elses_database_is_not_judged(deployment: Deployment) -> None:
    """Only its schema is ours."""
    found = ask(all_questions(deployment, Aws({}), dict, Path()), "database", "cluster")
    assert found.status is Status.SKIPPED


NETWORK = {"vpc_id": "vpc-1", "endpoints": ["sqs", "ecr.api"], "flow_logs": True}
ENDPOINTS = [
    {"ServiceName": "com.amazonaws.eu-west-2.sqs", "State": "available"},
    {"ServiceName": "com.amazonaws.eu-west-2.ecr.api", "State": "available"},
]


@pytest.mark.parametrize(
    ("endpoints", "words"),
    [
        pytest.param(ENDPOINTS, "", id="sound"),
        pytest.param(ENDPOINTS[:1], "none to ecr.api", id="missing"),
        pytest.param([*ENDPOINTS[1:], ENDPOINTS[0] | {"State": "pending"}], "not available", id="pending"),
    ],
)
def test_every_endpoint_leads_to_its_service(endpoints: list[dict[str, str]], words: str) -> None:
    deployment = read_deployment(outputs(network=NETWORK))
    answers = {"describe_vpc_endpoints": {"VpcEndpoints": endpoints}}
    found = ask(all_questions(deployment, Aws(answers), dict, Path()), "network", "endpoints")
    assert found.status is (Status.FAILED if words else Status.OK)
    assert words in found.note


@pytest.mark.parametrize(
    ("logs", "words"),
    [
        pytest.param([{"FlowLogStatus": "ACTIVE"}], "", id="sound"),
        pytest.param([], "nobody records", id="none"),
        pytest.param(
            [{"FlowLogStatus": "ACTIVE", "DeliverLogsErrorMessage": "Access error"}], "Access error", id="undelivered"
        ),
    ],
)
def test_flow_logs_are_delivered(logs: list[dict[str, str]], words: str) -> None:
    deployment = read_deployment(outputs(network=NETWORK))
    found = ask(
        all_questions(deployment, Aws({"describe_flow_logs": {"FlowLogs": logs}}), dict, Path()), "network", "flow"
    )
    assert found.status is (Status.FAILED if words else Status.OK)
    assert words in found.note


@pytest.mark.parametrize(
    ("status", "words"),
    [
        pytest.param({"IsLogging": True}, "", id="recording"),
        pytest.param({"IsLogging": False}, "records nothing", id="stopped"),
        pytest.param({"IsLogging": True, "LatestDeliveryError": "NoSuchBucket"}, "cannot deliver", id="undelivered"),
    ],
)
def test_the_trail_records(status: dict[str, Any], words: str) -> None:
    deployment = read_deployment(outputs(trail=arn("cloudtrail", "trail/x")))
    found = ask(questions_on_watching(deployment, Aws({"get_trail_status": status})), "audit")
    assert found.status is (Status.FAILED if words else Status.OK)
    assert words in found.note
