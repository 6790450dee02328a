"""Hands approvals to the pipeline: from the bank's database to the table `authorizations`, each at least once.

A row is deleted only after the table has its item. Writing an item again changes nothing in it, so starts nothing in
the pipeline. While the table is away the rows pile up in the database, which the bank does not notice otherwise.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import orjson

from postrail.adapters.aws.batches import in_tens, pause_s
from postrail.adapters.aws.clients import retryable
from postrail.adapters.aws.observability import logger
from postrail.adapters.postgres.queries import statements
from postrail.domain.errors import PostrailError, Retryable
from switch.bank.store import BankDatabase
from switch.ecosystem import Bank

TOGETHER_MAX: Final = 200
"""Rows claimed at once."""
WRITE_MAX: Final = 25
"""BatchWriteItem takes 25 items."""
WRITERS: Final = 4
"""Writes at once: one takes some ten milliseconds."""
LEASE_SECONDS: Final = 60.0
RETENTION: Final = timedelta(days=30)
"""How long an item stays in the table."""
PAUSE_SECONDS_MAX: Final = 30.0
LOOK_SECONDS: Final = 1.0
"""How often the rows are looked at without a reason: another process may have died over some."""
_UNPROCESSED_ATTEMPTS_MAX: Final = 5

_SQL: Final = statements("relay.sql", "switch.bank")


class ApprovalsTable(Protocol):
    """Where approvals go."""

    def write(self, items: Sequence[Mapping[str, str]]) -> list[str]:
        """Write items; the payment ids of those that were not taken. Blocks. Raises Retryable."""
        ...


class DynamoDbApprovals:
    """`ApprovalsTable` on DynamoDB."""

    def __init__(self, client: Any, table: str) -> None:
        """`client` is boto3's for DynamoDB."""
        self._client = client
        self._table = table

    def write(self, items: Sequence[Mapping[str, str]]) -> list[str]:
        """Batches of 25; what the table has no capacity for is sent again a few times, with growing pauses."""
        left: list[str] = []
        for some in in_tens(items, WRITE_MAX):
            left += self._write(some)
        return left

    def _write(self, items: Sequence[Mapping[str, str]]) -> list[str]:
        pending: Any = {self._table: [{"PutRequest": {"Item": _attributes(item)}} for item in items]}
        for attempt in range(_UNPROCESSED_ATTEMPTS_MAX):
            if attempt:
                # In the relay's own thread.
                time.sleep(pause_s(attempt))
            with retryable("writing approvals"):
                pending = self._client.batch_write_item(RequestItems=pending).get("UnprocessedItems") or {}
            if not pending:
                return []
        return [request["PutRequest"]["Item"]["payment_id"]["S"] for request in pending.get(self._table, [])]


def _attributes(item: Mapping[str, str]) -> dict[str, dict[str, str]]:
    expires_at = datetime.fromisoformat(item["authorized_at"]) + RETENTION
    attributes = {name: {"S": value} for name, value in item.items()}
    # The same at every attempt, so that an item that is written again is not changed by it.
    attributes["expires_at"] = {"N": str(int(expires_at.timestamp()))}
    return attributes


class Relay:
    """One task that claims, writes and forgets."""

    def __init__(self, bank: Bank, database: BankDatabase, table: ApprovalsTable | None) -> None:
        """Without a `table` nothing is relayed: the rows stay where they are."""
        self._bank = bank
        self._database = database
        self._table = table
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.relayed = 0
        self.well = True
        """Whether the last attempt to write succeeded."""
        self.waiting = 0
        """How many approvals waited when they were last counted: at each failure, and when all were written."""

    def start(self) -> None:
        """Begin."""
        if self._table is not None:
            self._task = asyncio.get_running_loop().create_task(self._run(self._table))

    async def stop(self) -> None:
        """End after the write that is under way, which boto3's timeouts bound."""
        self._stopping.set()
        self._wake.set()
        if self._task is not None:
            await self._task

    def wake(self) -> None:
        """There is something to relay."""
        self._wake.set()

    async def count_waiting(self) -> int:
        """How many approvals the table does not have yet. Raises Retryable."""
        return int((await self._database.fetch(_SQL["count"], self._bank.id))[0]["waiting"])

    async def relay_some(self, table: ApprovalsTable) -> int:
        """Claim what is there, up to a bound, and write it; how many were claimed. Raises Retryable."""
        rows = await self._database.fetch(_SQL["claim"], self._bank.id, TOGETHER_MAX, LEASE_SECONDS)
        if not rows:
            return 0
        claimed = sorted((int(row["relay_id"]), orjson.loads(row["item"])) for row in rows)
        written, failure = await self._write(table, claimed)
        await self._database.fetch(_SQL["forget"], written)
        self.relayed += len(written)
        left = {relay_id for relay_id, _ in claimed} - set(written)
        if left:
            await self._database.fetch(_SQL["release"], sorted(left))
            raise failure or Retryable(f"the table has no capacity for {len(left)} items")
        return len(rows)

    async def _write(
        self, table: ApprovalsTable, claimed: Sequence[tuple[int, dict[str, str]]]
    ) -> tuple[list[int], Retryable | None]:
        """Write in several threads; which rows the table has now, and what failed if anything did."""
        runs = list(in_tens(claimed, WRITE_MAX))
        room = asyncio.Semaphore(WRITERS)

        async def write(run: Sequence[tuple[int, dict[str, str]]]) -> list[int] | Retryable:
            async with room:
                try:
                    refused = set(await asyncio.to_thread(table.write, [item for _, item in run]))
                except Retryable as error:
                    return error
            return [relay_id for relay_id, item in run if item["payment_id"] not in refused]

        outcomes = await asyncio.gather(*map(write, runs))
        written = [relay_id for outcome in outcomes if not isinstance(outcome, Retryable) for relay_id in outcome]
        return written, next((outcome for outcome in outcomes if isinstance(outcome, Retryable)), None)

    async def _run(self, table: ApprovalsTable) -> None:
        pause = LOOK_SECONDS
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                claimed = await self.relay_some(table)
                self.well, pause = True, LOOK_SECONDS
            except Exception as error:  # noqa: BLE001 - whatever it is, the approvals must leave some day
                if self.well:
                    text = str(error) if isinstance(error, PostrailError) else type(error).__name__
                    logger.error("approvals cannot be relayed", bank=self._bank.id, error_text=text)
                self.well, pause = False, min(pause * 2, PAUSE_SECONDS_MAX)
                with suppress(Retryable):
                    self.waiting = await self.count_waiting()
                await _wait(self._stopping, pause)
                continue
            if claimed < TOGETHER_MAX and not self._stopping.is_set():
                self.waiting = 0
                await _wait(self._wake, LOOK_SECONDS)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
