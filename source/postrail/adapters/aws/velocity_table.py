"""Card uses per clock hour on DynamoDB: item `<token>#<YYYYMMDDHH>` with the string set `payments`.

A set and not a counter: adding a payment again changes nothing, so that a redelivered event is not counted twice.
"""

from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from postrail.adapters.aws.batches import in_tens
from postrail.adapters.aws.clients import error_code, retryable
from postrail.adapters.aws.observability import IDS_PER_LINE_MAX, logger
from postrail.domain.errors import Retryable
from postrail.ports import CardUse

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ITEMS_MAX: Final = 100
_KEPT: Final = timedelta(hours=3)
"""From the beginning of the hour that is counted: late events of that hour still find it."""
_READ_ATTEMPTS_MAX: Final = 5


class VelocityTable:
    """`ports.VelocityBook` over the velocity table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def observe(self, uses: Sequence[CardUse]) -> list[int]:
        """Record all uses, then count; results align. Raises Retryable. Two calls for a batch of up to 100 cards."""
        keys = [f"{use.card_token}#{use.at.astimezone(UTC):%Y%m%d%H}" for use in uses]
        updates: dict[str, Any] = {}
        for key, use in zip(keys, uses, strict=True):
            if key in updates:
                updates[key]["ExpressionAttributeValues"][":payments"]["SS"].append(use.payment_id)
            else:
                updates[key] = self._update(key, use)
        counts: dict[str, int] = {}
        with retryable("counting card uses"):
            for some in in_tens(list(updates.items()), _ITEMS_MAX):
                self._record([update for _, update in some])
                counts.update(self._count([key for key, _ in some]))
        return [counts[key] for key in keys]

    def _update(self, key: str, use: CardUse) -> dict[str, Any]:
        hour = use.at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return {
            "TableName": self._table,
            "Key": {"pk": {"S": key}},
            "UpdateExpression": "ADD payments :payments SET expires_at = :expires_at",
            "ExpressionAttributeValues": {
                ":payments": {"SS": [use.payment_id]},
                ":expires_at": {"N": str(int((hour + _KEPT).timestamp()))},
            },
        }

    def _record(self, updates: list[dict[str, Any]]) -> None:
        for update in updates:
            payments = update["ExpressionAttributeValues"][":payments"]
            payments["SS"] = sorted(set(payments["SS"]))
        try:
            self._client.transact_write_items(TransactItems=[{"Update": update} for update in updates])  # type: ignore[typeddict-item]
        except self._client.exceptions.TransactionCanceledException:
            # Somebody else counts one of these cards at this moment. Single updates wait for each other instead.
            for update in updates:
                self._record_one(update)

    def _record_one(self, update: dict[str, Any]) -> None:
        try:
            self._client.update_item(**update)
        except ClientError as error:
            if error_code(error) != "ValidationException":
                raise
            # The item has reached DynamoDB's 400 KB: some ten thousand uses, more than any limit can ask for.
            payments = update["ExpressionAttributeValues"][":payments"]["SS"]
            logger.warning("card uses beyond what one hour's item can hold", payment_ids=payments[:IDS_PER_LINE_MAX])

    def _count(self, keys: list[str]) -> dict[str, int]:
        counts = dict.fromkeys(keys, 0)
        request: Any = {
            self._table: {
                "Keys": [{"pk": {"S": key}} for key in keys],
                "ConsistentRead": True,
                "ProjectionExpression": "pk, payments",
            }
        }
        for _ in range(_READ_ATTEMPTS_MAX):
            answer = self._client.batch_get_item(RequestItems=request)
            for item in answer["Responses"].get(self._table, []):
                counts[item["pk"]["S"]] = len(item["payments"]["SS"])
            request = answer.get("UnprocessedKeys")
            if not request:
                return counts
        msg = f"counting card uses: keys unprocessed after {_READ_ATTEMPTS_MAX} attempts"
        raise Retryable(msg)
