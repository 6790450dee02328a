"""The forms in which Lambda hands events to a stage, made one: a list of messages.

* an SQS batch, {"Records": [...]}: near real time and batch delivery; failures are answered one by one
* one EventBridge event: real-time delivery; a failure is raised, and Lambda delivers again
* a JSON list from a Pipe or the state machine, of SQS records, stream records or events; a failure is raised
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any


class Form(Enum):
    """How the messages came, which decides how failures are answered."""

    QUEUE = auto()
    EVENT = auto()
    LIST = auto()


@dataclass(frozen=True, slots=True)
class Message:
    """One input. `body` is its JSON text; `record` the stream record when that is what came."""

    message_id: str
    body: str
    record: Mapping[str, Any] | None = None


def messages_of(event: Any) -> tuple[Form, list[Message]]:
    """The messages in a Lambda input. Never fails: what makes no sense is left for the stage to refuse."""
    if isinstance(event, list):
        return Form.LIST, [_message(item) for item in event]
    if isinstance(event, dict) and isinstance(event.get("Records"), list):
        return Form.QUEUE, [_message(record) for record in event["Records"]]
    return Form.EVENT, [_message(event)]


def _message(item: Any) -> Message:
    if not isinstance(item, dict):
        return Message("", _text(item))
    body = item.get("body")
    if isinstance(body, str) and "messageId" in item:
        return Message(str(item["messageId"]), body)
    return Message(str(item.get("eventID", "")), _text(item), item if "dynamodb" in item else None)


def _text(item: Any) -> str:
    # The standard library's writer, because it takes everything that the runtime's reader gave, large integers too.
    return json.dumps(item, ensure_ascii=False, separators=(",", ":"))
