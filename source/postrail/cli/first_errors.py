"""What went wrong first, for dead letters that do not say it themselves: the first "failed" line of a stage's log."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from postrail.cli.dead_letters import RETRIES_EXHAUSTED, Letter
from postrail.cli.graph import Graph
from postrail.stages.decode import scrub_body

_LOOK_BACK_S: Final = 24 * 3600
"""A message is tried for hours at most before its queue gives it up."""
_PAGES_MAX: Final = 20
_ERROR_CHARS_MAX: Final = 300
_FUNCTIONS: Final = {"posting-dlq": "post", "intake-pipe-dlq": "deduplicate"}
"""Queues with another name than the function in front of them."""


def find_first_errors(graph: Graph, letters: Sequence[Letter]) -> dict[str, str]:
    """By message id the error that the stage's function logged first of the letter's payment.

    Only letters without a reason of their own are looked up. A log that cannot be read gives no answers.
    """
    found: dict[str, str] = {}
    silent = [letter for letter in letters if letter.reason == RETRIES_EXHAUSTED and letter.payment_id]
    for queue in sorted({letter.queue for letter in silent}):
        of_queue = [letter for letter in silent if letter.queue == queue]
        name = _FUNCTIONS.get(queue, queue.removesuffix("-dlq").replace("-", "_"))
        if name not in graph.outputs.functions:
            continue
        errors = _first_errors(graph, f"/aws/lambda/{graph.function(name)}", of_queue)
        found |= {letter.message_id: errors[letter.payment_id] for letter in of_queue if letter.payment_id in errors}
    return found


def _first_errors(graph: Graph, group: str, letters: Sequence[Letter]) -> dict[str | None, str]:
    wanted = {letter.payment_id for letter in letters}
    since_ms = int((min(letter.at for letter in letters) - _LOOK_BACK_S) * 1000)
    errors: dict[str | None, tuple[int, str]] = {}
    for event in _failed_lines(graph.client("logs"), group, since_ms):
        line = _parse(event["message"])
        payment_id = line.get("payment_id")
        if payment_id in wanted:
            first = errors.get(payment_id)
            if first is None or event["timestamp"] < first[0]:
                errors[payment_id] = event["timestamp"], _sentence(line)
    return {payment_id: sentence for payment_id, (_, sentence) in errors.items()}


def _failed_lines(logs: Any, group: str, since_ms: int) -> Iterable[dict[str, Any]]:
    request: dict[str, Any] = {"logGroupName": group, "startTime": since_ms, "filterPattern": '"payment_id"'}
    for _ in range(_PAGES_MAX):
        try:
            answer = logs.filter_log_events(**request)
        except (BotoCoreError, ClientError):
            return
        yield from answer["events"]
        if not answer.get("nextToken"):
            return
        request["nextToken"] = answer["nextToken"]


def _parse(message: str) -> dict[str, Any]:
    try:
        line = json.loads(message)
    except ValueError:
        return {}
    return line if isinstance(line, dict) and line.get("message") in {"failed", "unexpected error"} else {}


def _sentence(line: dict[str, Any]) -> str:
    kind = line.get("error") or line.get("exception_name") or "error"
    text = line.get("error_text") or line.get("exception") or ""
    return scrub_body(f"{kind}: {str(text).strip().splitlines()[-1] if text else ''}".rstrip(": "))[:_ERROR_CHARS_MAX]
