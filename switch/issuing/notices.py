"""Tells customers that their cards are finished, over the SNS topic `notifications`."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from postrail.adapters.aws.clients import retryable
from postrail.domain.errors import Retryable
from switch.issuing.ports import CardNotice

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

NOTICES_MAX: Final = 10
"""PublishBatch takes ten."""


class SnsNotices:
    """`ports.CustomerNotices`: one message a card, with the attributes event, customer_id and bank_id to filter by.

    The message holds the last four digits of the number and no more of it.
    """

    def __init__(self, client: "SNSClient", topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn

    def publish(self, notices: Sequence[CardNotice]) -> set[str]:
        """Send up to ten; returns the tokens of those that SNS took. Raises Retryable when it took none."""
        with retryable("telling customers"):
            answer = self._client.publish_batch(
                TopicArn=self._topic_arn,
                PublishBatchRequestEntries=[
                    {
                        "Id": str(place),
                        "Subject": "Your card is ready",
                        "Message": _message(notice),
                        "MessageAttributes": {
                            name: {"DataType": "String", "StringValue": value}
                            for name, value in (
                                ("event", "card_ready"),
                                ("customer_id", notice.customer_id),
                                ("bank_id", notice.bank_id),
                            )
                        },
                    }
                    for place, notice in enumerate(notices)
                ],
            )
        taken = {notices[int(entry["Id"])].card_token for entry in answer.get("Successful", [])}
        if notices and not taken:
            codes = sorted({entry["Code"] for entry in answer.get("Failed", [])})
            msg = f"telling customers: {', '.join(codes) or 'nothing was taken'}"
            raise Retryable(msg)
        return taken


def _message(notice: CardNotice) -> str:
    return json.dumps(
        {
            "event": "card_ready",
            "customer_id": notice.customer_id,
            "bank_id": notice.bank_id,
            "network_id": notice.network_id,
            "card_last_four": notice.last_four,
            "card_expiry": notice.expiry,
            "text": f"Your card ending in {notice.last_four} is ready. Its first payment activates it.",
        }
    )
