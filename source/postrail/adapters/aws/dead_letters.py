"""A stage's dead-letter queue, for inputs that can never be processed. The reason stands in message attributes."""

import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from postrail.adapters.aws.batches import by_size, pause_s
from postrail.adapters.aws.clients import retryable
from postrail.domain.card import scrub_pans
from postrail.domain.errors import Retryable
from postrail.ports import DeadLetter
from postrail.stages.decode import scrub_body

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_MESSAGES_MAX: Final = 10
_REQUEST_BYTES_MAX: Final = 240 * 1024
_BODY_BYTES_MAX: Final = 200 * 1024
_ATTEMPTS_MAX: Final = 4
# What SQS does not take in bodies and attributes (characters outside XML 1.0, section 2.2, production Char).
_NOT_SQS: Final = re.compile("[^\\x09\\x0a\\x0d\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


class DeadLetterQueue:
    """`ports.DeadLetters` over SQS."""

    def __init__(self, client: "SQSClient", queue_url: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._queue_url = queue_url
        self._sleep = sleep

    def send(self, letters: Sequence[DeadLetter]) -> None:
        """Send the letters. Raises Retryable when some could not be sent; all may be sent again then."""
        messages = [_message(index, letter) for index, letter in enumerate(letters)]
        sizes = [_message_bytes(message) for message in messages]
        waiting = list(range(len(messages)))
        for attempt in range(_ATTEMPTS_MAX):
            if not waiting:
                return
            if attempt:
                self._sleep(pause_s(attempt))
            runs = by_size([sizes[index] for index in waiting], count_max=_MESSAGES_MAX, bytes_max=_REQUEST_BYTES_MAX)
            waiting = [index for run in runs for index in self._send([messages[waiting[position]] for position in run])]
        if waiting:
            msg = f"sending dead letters: {len(waiting)} refused after {_ATTEMPTS_MAX} attempts"
            raise Retryable(msg)

    def _send(self, messages: list[dict[str, Any]]) -> list[int]:
        with retryable("sending dead letters"):
            answer = self._client.send_message_batch(QueueUrl=self._queue_url, Entries=messages)  # type: ignore[arg-type]
        return [int(failed["Id"]) for failed in answer.get("Failed", [])]


def _message(index: int, letter: DeadLetter) -> dict[str, Any]:
    body = _clean(scrub_body(letter.body))
    raw = body.encode()
    truncated = len(raw) > _BODY_BYTES_MAX
    attributes = {
        "reason": letter.reason.value,
        "detail": _clean(scrub_pans(letter.detail)),
        "stage": letter.stage,
        "payment_id": letter.payment_id,
        "correlation_id": letter.correlation_id,
        "truncated": "true" if truncated else None,
    }
    return {
        "Id": str(index),
        # SQS refuses an empty body; cutting bytes may cut a character in two.
        "MessageBody": (raw[:_BODY_BYTES_MAX].decode(errors="ignore") if truncated else body) or "(empty)",
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value
        },
    }


def _message_bytes(message: dict[str, Any]) -> int:
    attributes = message["MessageAttributes"].items()
    return len(message["MessageBody"].encode()) + sum(
        len(name) + len("String") + len(attribute["StringValue"].encode()) for name, attribute in attributes
    )


def _clean(text: str) -> str:
    return _NOT_SQS.sub("\ufffd", text)
