"""Anchors in S3: one object each, kept from everybody's hands where the bucket has Object Lock."""

from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from postrail.adapters.aws.batch_files import SCHEME
from postrail.adapters.aws.clients import error_code
from postrail.domain.anchor import ANCHOR_BYTES_MAX, Anchor, AnchorUnusable
from postrail.domain.instants import compact_second_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ANCHORS_MAX: Final = 1_000
_ROOT_DIGITS: Final = 16


class AnchorBucket:
    """Fills `ports.AnchorStore` under `s3://bucket/prefix`, or reads one anchor, `s3://bucket/….json`.

    A bucket with a default retention applies it by itself. One that has Object Lock and no default gets the objects
    with COMPLIANCE retention of `retain_days`: nobody, the account's root included, deletes them before.
    """

    def __init__(self, client: "S3Client", uri: str, *, retain_days: int = 365) -> None:
        """Raises AnchorUnusable for a URI without a bucket."""
        self._client = client
        self._bucket, _, self._prefix = uri.removeprefix(SCHEME).partition("/")
        self._prefix = self._prefix.rstrip("/")
        self._retain_days = retain_days
        if not uri.startswith(SCHEME) or not self._bucket:
            raise AnchorUnusable(f"{uri} names no place in S3: write s3://bucket/prefix.")

    def keep(self, anchor: Anchor) -> str:
        """Put the anchor; its URI. Keys sort by time. Raises AnchorUnusable."""
        moment = compact_second_of(anchor.taken_at)
        folder = f"{moment[:4]}/{moment[4:6]}/{moment[6:8]}"
        name = f"{folder}/{moment}-{anchor.taken_at.microsecond:06}-{anchor.root[:_ROOT_DIGITS]}.json"
        key = f"{self._prefix}/{name}" if self._prefix else name
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=anchor.to_json().encode() + b"\n",
                ContentType="application/json",
                # Object Lock asks for a checksum with every object.
                ChecksumAlgorithm="SHA256",
                **self._retention(anchor),
            )
        except (BotoCoreError, ClientError) as error:
            raise AnchorUnusable(f"{SCHEME}{self._bucket}/{key} cannot be written ({error_code(error)}).") from error
        return f"{SCHEME}{self._bucket}/{key}"

    def read(self) -> Iterator[Anchor]:
        """The newest thousand anchors under the prefix, oldest first. Raises AnchorUnusable."""
        found = False
        try:
            for key in self._keys():
                found = True
                place = f"{SCHEME}{self._bucket}/{key}"
                body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read(ANCHOR_BYTES_MAX)
                yield Anchor.from_json(body, place=place)
        except (BotoCoreError, ClientError) as error:
            place = f"{SCHEME}{self._bucket}/{self._prefix}"
            raise AnchorUnusable(f"{place} cannot be read ({error_code(error)}).") from error
        if not found:
            raise AnchorUnusable(f"There is no anchor under {SCHEME}{self._bucket}/{self._prefix}.")

    def _keys(self) -> list[str]:
        if self._prefix.endswith(".json"):
            return [self._prefix]
        newest: deque[str] = deque(maxlen=_ANCHORS_MAX)
        prefix = f"{self._prefix}/" if self._prefix else ""
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
            newest += [found["Key"] for found in page.get("Contents", ()) if found["Key"].endswith(".json")]
        return list(newest)

    def _retention(self, anchor: Anchor) -> dict[str, Any]:
        try:
            lock = self._client.get_object_lock_configuration(Bucket=self._bucket)["ObjectLockConfiguration"]
        except ClientError:
            # No Object Lock on this bucket, or no right to ask: a default retention applies without being asked for.
            return {}
        if lock.get("ObjectLockEnabled") != "Enabled" or "Rule" in lock:
            return {}
        until = anchor.taken_at + timedelta(days=self._retain_days)
        return {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
