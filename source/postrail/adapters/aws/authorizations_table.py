"""The authorizations table as one side of a reconciliation: a parallel scan, in time or in all."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from queue import Queue
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from postrail.adapters.aws.clients import retryable
from postrail.contracts.payment import Authorization
from postrail.domain.reconciliation import AuthorizedPayment
from postrail.reconcile.authorizations import authorized_payment

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SEGMENTS: Final = 4
_PAGES_AHEAD: Final = 8
_ATTRIBUTES: Final = "payment_id, correlation_id, action_code, #authorization, #capture"
_NAMES: Final = {"#authorization": "authorization", "#capture": "capture"}


class AuthorizationsTable:
    """Reads the table. Rows that hold no authorization were refused by the intake, and are counted."""

    def __init__(self, client: "DynamoDBClient", table: str, *, segments: int = SEGMENTS) -> None:
        self._client = client
        self._table = table
        self._segments = segments
        self.unreadable = 0

    def payments(self, start: datetime, end: datetime) -> Iterator[AuthorizedPayment]:
        """The authorizations of that time. Raises Retryable when the table cannot be read to its end."""
        pages: Queue[list[dict[str, Any]] | Exception | None] = Queue(maxsize=_PAGES_AHEAD)
        with ThreadPoolExecutor(self._segments, thread_name_prefix="scan") as pool:
            for segment in range(self._segments):
                pool.submit(self._scan, segment, pages, start, end)
            running, failure = self._segments, None
            while running:
                page = pages.get()
                if page is None:
                    running -= 1
                elif isinstance(page, Exception):
                    failure = page
                elif failure is None:
                    for item in page:
                        payment = self._read(item)
                        if payment is not None:
                            yield payment
            if failure is not None:
                raise failure

    def _scan(
        self, segment: int, pages: "Queue[list[dict[str, Any]] | Exception | None]", start: datetime, end: datetime
    ) -> None:
        request: dict[str, Any] = {
            "TableName": self._table,
            "Segment": segment,
            "TotalSegments": self._segments,
            "ProjectionExpression": _ATTRIBUTES,
            "ExpressionAttributeNames": _NAMES,
            "FilterExpression": "authorized_at >= :start AND authorized_at < :end",
            "ExpressionAttributeValues": {":start": {"S": _instant(start)}, ":end": {"S": _instant(end)}},
        }
        try:
            with retryable("reading the authorizations table"):
                while True:
                    answer = self._client.scan(**request)
                    pages.put(answer["Items"])
                    if "LastEvaluatedKey" not in answer:
                        break
                    request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        except Exception as error:  # noqa: BLE001 - raised again by the reader, in its own thread
            pages.put(error)
        finally:
            pages.put(None)

    def _read(self, item: dict[str, Any]) -> AuthorizedPayment | None:
        try:
            authorization = Authorization.model_validate_json(item["authorization"]["S"])
        except (KeyError, ValidationError):
            self.unreadable += 1
            return None
        approved = str(item.get("action_code", {}).get("S", "")).startswith("00")
        return authorized_payment(
            authorization,
            correlation_id=str(item.get("correlation_id", {}).get("S", "")),
            posts=approved and "capture" not in item,
        )


def _instant(moment: datetime) -> str:
    """As the rows carry it: UTC, microseconds, Z."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
