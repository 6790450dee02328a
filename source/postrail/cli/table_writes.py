"""Writing many items to a DynamoDB table."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from postrail.adapters.aws.batches import in_tens, pause_s
from postrail.cli.failures import CommandError

BATCH_MAX = 25
"""BatchWriteItem takes 25 items."""
ATTEMPTS_MAX = 8

Item = dict[str, Any]
Sleep = Callable[[float], None]


def write_batch(dynamodb: Any, table: str, items: Sequence[Item], *, sleep: Sleep = time.sleep) -> list[Item]:
    """One BatchWriteItem of at most 25 items; returns the items that the table had no capacity for in the end.

    What comes back unprocessed is sent again, and nothing else, a bounded number of times.
    """
    pending = {table: [{"PutRequest": {"Item": item}} for item in items]}
    for attempt in range(1, ATTEMPTS_MAX + 1):
        pending = dynamodb.batch_write_item(RequestItems=pending).get("UnprocessedItems") or {}
        if not pending:
            return []
        sleep(pause_s(attempt))
    return [request["PutRequest"]["Item"] for request in pending.get(table, [])]


def write_all(
    dynamodb: Any,
    table: str,
    items: Sequence[Item],
    *,
    on_progress: Callable[[int], None] = lambda _: None,
    sleep: Sleep = time.sleep,
) -> None:
    """Write all items, in batches. Raises CommandError when the table stays throttled."""
    done = 0
    for batch in in_tens(items, BATCH_MAX):
        left = write_batch(dynamodb, table, batch, sleep=sleep)
        if left:
            msg = f"The table {table} stayed throttled: {len(left)} items were not written; try again in a minute."
            raise CommandError(msg)
        done += len(batch)
        on_progress(done)
