"""The parked-events bucket: one JSON document for each event that the duplicate check stopped."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson

from postrail.adapters.aws.clients import retryable
from postrail.ports import ParkedEvent

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class ParkedEventsBucket:
    """`ports.ParkingLot` over S3."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def park(self, events: Sequence[ParkedEvent]) -> list[str]:
        """Put each event; returns the s3:// URIs. Raises Retryable. Duplicates are few: one call for each."""
        return [self._park_one(event) for event in events]

    def _park_one(self, event: ParkedEvent) -> str:
        key = parked_key(event)
        with retryable("parking a duplicate"):
            self._client.put_object(
                Bucket=self._bucket, Key=key, Body=parked_document(event), ContentType="application/json"
            )
        return f"s3://{self._bucket}/{key}"


def parked_key(event: ParkedEvent) -> str:
    """`<reason>/<YYYY>/<MM>/<DD>/<payment_id>-<owner hash>.json`.

    The day is that of the first marker and not that of parking, so that a retry after midnight overwrites the same
    object.
    """
    owner_hash = hashlib.blake2b(event.owner.encode(), digest_size=8).hexdigest()
    return f"{event.reason}/{event.first.seen_at:%Y/%m/%d}/{event.payment_id}-{owner_hash}.json"


def parked_document(event: ParkedEvent) -> bytes:
    """The stored document: why, when, what came first, and the body as it was received (scrubbed)."""
    return orjson.dumps(
        {
            "reason": event.reason,
            "payment_id": event.payment_id,
            "owner": event.owner,
            "parked_at": event.parked_at,
            "first": {
                "payment_key": event.first.payment_key,
                "payment_id": event.first.payment_id,
                "owner": event.first.owner,
                "fingerprint": event.first.fingerprint,
                "seen_at": event.first.seen_at,
            },
            "body": event.body.decode(errors="replace"),
        },
        option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z,
    )
