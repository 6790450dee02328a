"""`postrail validate` on the running graph: it passes, leaves nothing behind, and names what somebody broke."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from tests.e2e.conftest import Cloud

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

FLAG = re.compile(r"\((the output )?[\w.]+ is (false|null)\b")
ENRICH = "PaymentStandardised > enrich"


def validate(cloud: Cloud, *args: str) -> tuple[int, dict[str, Any]]:
    """Exit code and report of one validation."""
    done = cloud.postrail("validate", "--env", "local", "--json", *args)
    assert done.stdout, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, document


def by_status(document: dict[str, Any], status: str) -> dict[str, dict[str, str]]:
    """The checks that ended so, by area and name."""
    return {f"{each['area']} {each['check']}": each for each in document["checks"] if each["status"] == status}


def traces(cloud: Cloud) -> dict[str, Any]:
    """Whatever a validation might leave lying about; parked events are under lock, and stay on purpose."""
    dynamodb, prefix = cloud.client("dynamodb"), cloud.outputs["name_prefix"]
    bus, topic = cloud.outputs["bus_name"], cloud.outputs["topics"]["alerts"]
    tables = {
        name: dynamodb.scan(TableName=table["name"], Select="COUNT")["Count"]
        for name, table in cloud.outputs["tables"].items()
    }
    return tables | {
        "queues": sorted(cloud.client("sqs").list_queues(QueueNamePrefix=prefix)["QueueUrls"]),
        "rules": sorted(each["Name"] for each in cloud.client("events").list_rules(EventBusName=bus)["Rules"]),
        "subscriptions": len(cloud.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]),
        "balance": cloud.postrail_json("ledger", "balances", "customer:selftest:gbp")["balances"][0]["total_minor"],
    }


def parked(cloud: Cloud) -> int:
    """How many versions of parked events there are."""
    versions = cloud.client("s3").list_object_versions(Bucket=cloud.outputs["parked_bucket"])
    return len(versions.get("Versions", []))


@pytest.fixture
def mend() -> Iterator[Callable[..., object]]:
    """Takes what undoes a damage; undone in reverse order, however the test ends."""
    with ExitStack() as stack:
        yield stack.callback


def test_the_deployed_graph_is_valid_and_is_left_as_it_was(cloud: Cloud) -> None:
    """Every check passes or names the output that forbids it; of the marked payments only evidence stays."""
    before, parked_before = traces(cloud), parked(cloud)
    code, document = validate(cloud)
    assert code == 0, by_status(document, "failed")
    assert document["valid"]
    for name, check in by_status(document, "skipped").items():
        assert FLAG.search(check["note"]) or "alert_emails" in check["note"], (name, check)
    paid = [each for each in document["checks"] if each["area"] == "payment"]
    assert len(paid) == 16
    assert {each["status"] for each in paid} == {"ok"}
    assert by_status(document, "ok")["cleanup postings"]["note"].startswith("2 taken back")
    assert traces(cloud) == before
    assert by_status(document, "ok")["cleanup parked events"]["note"].startswith("1 under lock")
    assert parked(cloud) == parked_before + 1


def test_what_somebody_broke_is_named(cloud: Cloud, mend: Callable[..., object]) -> None:
    """Five damages at once, each found under its own name with what to do; mended, the graph is valid again."""
    events, sqs, functions = cloud.client("events"), cloud.client("sqs"), cloud.client("lambda")
    s3, outputs, prefix = cloud.client("s3"), cloud.outputs, cloud.outputs["name_prefix"]
    bus = outputs["bus_name"]

    rule = f"{prefix}-alerts-conflicts"
    targets = events.list_targets_by_rule(Rule=rule, EventBusName=bus)["Targets"]
    mend(events.put_targets, Rule=rule, EventBusName=bus, Targets=targets)
    events.remove_targets(Rule=rule, EventBusName=bus, Ids=[each["Id"] for each in targets])

    mend(events.enable_rule, Name=f"{prefix}-record-outcome", EventBusName=bus)
    events.disable_rule(Name=f"{prefix}-record-outcome", EventBusName=bus)

    url = outputs["queues"]["posting"]["url"]
    redrive = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    mend(sqs.set_queue_attributes, QueueUrl=url, Attributes=redrive)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": ""})

    name = outputs["functions"]["standardise"]["name"]
    (mapping,) = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    mend(functions.update_event_source_mapping, UUID=mapping["UUID"], Enabled=True)
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)

    bucket = outputs["parked_bucket"]
    access = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    mend(s3.put_public_access_block, Bucket=bucket, PublicAccessBlockConfiguration=access)
    opened = access | {"BlockPublicPolicy": False}
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=opened)

    code, document = validate(cloud, "--no-payment")
    failed = by_status(document, "failed")
    assert code == 1
    assert not document["valid"]
    assert set(failed) == {
        f"rule {rule}",
        f"rule {prefix}-record-outcome",
        "queue posting",
        f"mapping standardise > {name}",
        "bucket parked",
    }
    assert "leads not to" in failed[f"rule {rule}"]["note"]
    assert "DISABLED" in failed[f"rule {prefix}-record-outcome"]["note"]
    assert "dead-letter queue" in failed["queue posting"]["note"]
    assert mapping["UUID"] in failed[f"mapping standardise > {name}"]["remedy"]
    assert all(check["remedy"] for check in failed.values())


def test_the_edge_that_lost_a_payment_is_named_and_the_rest_is_swept_up(
    cloud: Cloud, mend: Callable[..., object]
) -> None:
    """A rule without target loses events in silence: the payment that does not arrive says where."""
    events, bus = cloud.client("events"), cloud.outputs["bus_name"]
    rule = f"{cloud.outputs['name_prefix']}-enrich"
    before = traces(cloud)
    targets = events.list_targets_by_rule(Rule=rule, EventBusName=bus)["Targets"]
    mend(events.put_targets, Rule=rule, EventBusName=bus, Targets=targets)
    events.remove_targets(Rule=rule, EventBusName=bus, Ids=[each["Id"] for each in targets])
    code, document = validate(cloud, "--timeout", "20")
    failed = by_status(document, "failed")
    assert code == 1
    assert set(failed) == {f"rule {rule}", f"payment {ENRICH}", f"payment {ENRICH}, refused"}
    assert "postrail trace pay_" in failed[f"payment {ENRICH}"]["remedy"]
    assert "payment PaymentApproved > sequence_postings" in by_status(document, "skipped")
    assert traces(cloud) == before
