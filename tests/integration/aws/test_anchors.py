"""Anchors in S3, with and without Object Lock."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.integration.aws.conftest import REGION, Cloud

from postrail.adapters.aws.anchors import AnchorBucket
from postrail.domain.anchor import Anchor, AnchorUnusable, LaneHead

TODAY = datetime.now(UTC).replace(microsecond=5)


def _anchor(number: int) -> Anchor:
    return Anchor(TODAY + timedelta(days=number), (LaneHead(1, number, number + 1, bytes(32), TODAY),))


def _locked_bucket(cloud: Cloud) -> str:
    name = f"{cloud.prefix}-anchors"
    cloud.client("s3").create_bucket(
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": REGION},
        ObjectLockEnabledForBucket=True,
    )
    return name


def _retention(cloud: Cloud, uri: str) -> dict[str, object]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    head = cloud.client("s3").head_object(Bucket=bucket, Key=key)
    return {name: head[name] for name in ("ObjectLockMode", "ObjectLockRetainUntilDate") if name in head}


@pytest.mark.parametrize("prefix", ["", "/", "/ledger", "/ledger/"])
def test_anchors_read_back_in_the_order_of_their_time(cloud: Cloud, prefix: str) -> None:
    bucket = cloud.bucket("anchors")
    store = AnchorBucket(cloud.client("s3"), f"s3://{bucket}{prefix}")
    places = [store.keep(_anchor(number)) for number in (2, 0, 1)]
    assert all(place.startswith(f"s3://{bucket}{prefix.rstrip('/')}/20") for place in places)
    assert list(store.read()) == [_anchor(0), _anchor(1), _anchor(2)]


def test_one_anchor_can_be_named(cloud: Cloud) -> None:
    store = AnchorBucket(cloud.client("s3"), f"s3://{cloud.bucket('anchors')}/ledger")
    _, place = store.keep(_anchor(0)), store.keep(_anchor(1))
    assert list(AnchorBucket(cloud.client("s3"), place).read()) == [_anchor(1)]


def test_a_neighbouring_prefix_is_another_place(cloud: Cloud) -> None:
    bucket = cloud.bucket("anchors")
    AnchorBucket(cloud.client("s3"), f"s3://{bucket}/ledger-2").keep(_anchor(0))
    with pytest.raises(AnchorUnusable, match="no anchor under"):
        list(AnchorBucket(cloud.client("s3"), f"s3://{bucket}/ledger").read())


def test_a_bucket_without_object_lock_keeps_plain_objects(cloud: Cloud) -> None:
    place = AnchorBucket(cloud.client("s3"), f"s3://{cloud.bucket('anchors')}").keep(_anchor(0))
    assert _retention(cloud, place) == {}


def test_object_lock_without_a_default_gets_the_retention_asked_for(cloud: Cloud) -> None:
    place = AnchorBucket(cloud.client("s3"), f"s3://{_locked_bucket(cloud)}/a", retain_days=30).keep(_anchor(0))
    retention = _retention(cloud, place)
    assert retention["ObjectLockMode"] == "COMPLIANCE"
    assert abs(retention["ObjectLockRetainUntilDate"] - (TODAY + timedelta(days=30))) < timedelta(minutes=1)


def test_a_default_retention_of_the_bucket_is_left_to_it(cloud: Cloud) -> None:
    bucket = _locked_bucket(cloud)
    cloud.client("s3").put_object_lock_configuration(
        Bucket=bucket,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 7}},
        },
    )
    store = AnchorBucket(cloud.client("s3"), f"s3://{bucket}", retain_days=3_000)
    assert _retention(cloud, store.keep(_anchor(0))).get("ObjectLockMode", "GOVERNANCE") == "GOVERNANCE"
    assert list(store.read()) == [_anchor(0)]


def test_what_is_no_anchor_is_named_by_its_key(cloud: Cloud) -> None:
    bucket = cloud.bucket("anchors")
    cloud.client("s3").put_object(Bucket=bucket, Key="ledger/2026/x.json", Body=b"{}")
    with pytest.raises(AnchorUnusable, match=f"s3://{bucket}/ledger/2026/x.json"):
        list(AnchorBucket(cloud.client("s3"), f"s3://{bucket}/ledger").read())


def test_a_bucket_that_is_not_there_is_named(cloud: Cloud) -> None:
    store = AnchorBucket(cloud.client("s3"), f"s3://{cloud.prefix}-none/ledger")
    with pytest.raises(AnchorUnusable, match="NoSuchBucket"):
        store.keep(_anchor(0))
    with pytest.raises(AnchorUnusable, match="NoSuchBucket"):
        list(store.read())
    for uri in ("s3://", "s3:///key", "file"):
        with pytest.raises(AnchorUnusable, match="names no place"):
            AnchorBucket(cloud.client("s3"), uri)
