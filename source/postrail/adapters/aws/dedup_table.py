"""The dedup store on DynamoDB: table with partition key `payment_key` and a TTL on `expires_at`.

All claims of a batch go in one TransactWriteItems of conditional puts. When some keys are held, DynamoDB cancels the
whole and says, for each, whether its condition failed and what item stands there: the losers are judged by that, and
the rest is claimed again without them. So a clean batch costs one call and a batch with any number of duplicates
two, and an expired marker that TTL has not swept yet counts as free in the same condition.

PartiQL inserts in one BatchExecuteStatement would need half the write units, but they can neither see an expired
marker as free nor show the item that stands, so that each loser costs a call of its own.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from postrail.adapters.aws.batches import in_tens, pause_s
from postrail.adapters.aws.clients import retryable
from postrail.adapters.claims import judge_claim
from postrail.domain.errors import Retryable
from postrail.ports import Claim, ClaimResult, ClaimStatus, Clock, Marker

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_TRANSACTION_ITEMS_MAX: Final = 100
_ROUNDS_MAX: Final = 6
_FREE: Final = "attribute_not_exists(payment_key) OR expires_at < :now"


class DedupTable:
    """`ports.DedupStore` over the dedup table."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        *,
        clock: Clock,
        window_hours: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._window = timedelta(hours=window_hours)
        self._sleep = sleep

    def claim(self, claims: Sequence[Claim]) -> list[ClaimResult]:
        """Claim every key, in order; results align. Raises Retryable when the table cannot answer."""
        firsts: dict[str, int] = {}
        for index, claim in enumerate(claims):
            firsts.setdefault(claim.payment_key, index)
        distinct = [claims[index] for index in firsts.values()]
        verdicts: dict[str, ClaimResult] = {}
        with retryable("claiming payment keys"):
            for some in in_tens(distinct, _TRANSACTION_ITEMS_MAX):
                verdicts.update(self._claim_distinct(list(some)))
        # A key that comes again in the batch meets the marker that its first claim left standing.
        return [
            verdicts[claim.payment_key]
            if firsts[claim.payment_key] == index
            else judge_claim(claim, verdicts[claim.payment_key].marker)
            for index, claim in enumerate(claims)
        ]

    def _claim_distinct(self, claims: list[Claim]) -> dict[str, ClaimResult]:
        verdicts: dict[str, ClaimResult] = {}
        for attempt in range(_ROUNDS_MAX):
            now = self._clock.now()
            try:
                self._client.transact_write_items(TransactItems=[self._put(claim, now) for claim in claims])
            except self._client.exceptions.TransactionCanceledException as error:
                losers = _judge_losers(claims, error)
            else:
                return verdicts | {claim.payment_key: _won(claim, now) for claim in claims}
            verdicts.update(losers)
            claims = [claim for claim in claims if claim.payment_key not in losers]
            if not claims:
                return verdicts
            if not losers:
                # Another transaction held one of the items: nobody lost, all must ask again.
                self._sleep(pause_s(attempt + 1))
        msg = f"claiming payment keys: {len(claims)} undecided after {_ROUNDS_MAX} rounds"
        raise Retryable(msg)

    def _put(self, claim: Claim, now: datetime) -> "TransactWriteItemTypeDef":
        return {
            "Put": {
                "TableName": self._table,
                "Item": {
                    "payment_key": {"S": claim.payment_key},
                    "owner": {"S": claim.owner},
                    "fingerprint": {"S": claim.fingerprint},
                    "payment_id": {"S": claim.payment_id},
                    "seen_at": {"S": now.isoformat()},
                    "expires_at": {"N": str(int((now + self._window).timestamp()))},
                },
                "ConditionExpression": _FREE,
                "ExpressionAttributeValues": {":now": {"N": str(int(now.timestamp()))}},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }


def _won(claim: Claim, now: datetime) -> ClaimResult:
    return ClaimResult(
        ClaimStatus.NEW, Marker(claim.payment_key, claim.owner, claim.fingerprint, claim.payment_id, now)
    )


def _judge_losers(claims: Sequence[Claim], error: ClientError) -> dict[str, ClaimResult]:
    reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    return {
        claim.payment_key: judge_claim(claim, _marker(reason["Item"]))
        for claim, reason in zip(claims, reasons, strict=True)
        if reason.get("Code") == "ConditionalCheckFailed" and reason.get("Item")
    }


def _marker(item: dict[str, Any]) -> Marker:
    return Marker(
        payment_key=item["payment_key"]["S"],
        owner=item["owner"]["S"],
        fingerprint=item["fingerprint"]["S"],
        payment_id=item["payment_id"]["S"],
        seen_at=datetime.fromisoformat(item["seen_at"]["S"]),
    )
