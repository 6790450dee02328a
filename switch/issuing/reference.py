"""Tells the pipeline which account a new card draws on."""

from typing import TYPE_CHECKING

from postrail.adapters.aws.clients import retryable
from postrail.adapters.aws.reference_table import card_item
from postrail.contracts.payment import AccountDetails

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class ReferenceEntries:
    """`ports.CardReference` on the table that the stage `enrich` reads."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def put(self, card_token: str, account: AccountDetails) -> None:
        """Write the card's entry; the same entry again is fine. Raises Retryable."""
        with retryable("writing reference data"):
            self._client.put_item(TableName=self._table, Item=card_item(card_token, account))
