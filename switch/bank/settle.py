"""Turns posted money back: reversals that had to wait until their payment was in the ledger.

Each is one transaction: the payment's authorization is locked, its journal transaction looked up, and taken back. All
of it is a reversal of the journal transaction, leg by leg. A part is an adjustment of the same legs in proportion, fees
included; what is rounded is the sum turned back so far: parts that add up to all take back all, to the unit.
The account gives back what it got even when too little is available: the issuer answers for it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from postrail.adapters.aws.observability import logger
from postrail.adapters.postgres.queries import statements
from postrail.contracts.events import AuthorizationReversed
from postrail.domain.authorization import content_fingerprint
from postrail.domain.errors import Permanent, PostrailError
from postrail.ports import Clock, IdSource
from switch.bank.reversals import reversed_event
from switch.bank.store import BankDatabase
from switch.correlation import correlation_of_key
from switch.ecosystem import Bank

if TYPE_CHECKING:
    from switch.bank.store import Connection

TOGETHER_MAX: Final = 200
LOOK_AGAIN_SECONDS_MIN: Final = 0.2
LOOK_AGAIN_SECONDS_MAX: Final = 60.0

_SQL: Final = statements("settle.sql", "switch.bank")
_DESCRIPTION: Final = "Reversal"
_LEDGER_ANSWER_KNOWN: Final = "ALREADY_POSTED"


class Settler:
    """Looks at what waits, in rounds."""

    def __init__(
        self, bank: Bank, database: BankDatabase, *, ids: IdSource, clock: Clock, round_seconds: float
    ) -> None:
        self._bank = bank
        self._database = database
        self._ids = ids
        self._clock = clock
        self._round_seconds = round_seconds
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.settled = 0
        self.refused = 0

    def start(self) -> None:
        """Begin the rounds."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End after the reversal that is under way."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task

    def wake(self) -> None:
        """Something waits now: do not wait for the next round."""
        self._wake.set()

    async def settle_due(self) -> int:
        """One round: how many were settled. Raises Retryable."""
        rows = await self._database.fetch(_SQL["find_waiting"], self._bank.id, self._clock.now(), TOGETHER_MAX)
        settled = 0
        for row in rows:
            if self._stopping:
                break
            try:
                settled += await self._settle(row["reversal_key"])
            except Permanent as error:
                # It must not keep those behind it from being looked at.
                self.refused += 1
                logger.error(
                    "a reversal cannot be settled",
                    bank=self._bank.id,
                    reason=error.reason,
                    correlation_id=correlation_of_key(row["original_key"]),
                )
                later = self._clock.now() + timedelta(seconds=LOOK_AGAIN_SECONDS_MAX)
                await self._database.fetch(_SQL["put_off"], self._bank.id, row["reversal_key"], later)
        self.settled += settled
        return settled

    async def _run(self) -> None:
        while not self._stopping:
            try:
                await self.settle_due()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next round may succeed
                text = str(error) if isinstance(error, PostrailError) else type(error).__name__
                logger.error("waiting reversals could not be settled", bank=self._bank.id, error_text=text)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._round_seconds):
                    await self._wake.wait()
            if not self._stopping:
                self._wake.clear()

    async def _settle(self, key: str) -> bool:
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_SQL["open_waiting"], self._bank.id, key)
            # A statement of its own: it sees what was committed while the first waited for its lock.
            again = (
                await connection.fetch(_SQL["open_waiting_again"], self._bank.id, key, rows[0]["payment_id"])
                if rows
                else []
            )
            if not rows or not again:
                return False
            row, posted = rows[0], again[0]
            now = self._clock.now()
            if posted["transaction_id"] is None:
                await self._put_off(connection, key, row["received_at"], now)
                return False
            taken, reason = await self._turn_back(connection, key, row, posted, now)
            if reason is not None:
                self.refused += 1
                logger.error(
                    "the ledger refuses a reversal",
                    bank=self._bank.id,
                    reason=reason,
                    payment_id=f"pay_{row['payment_id'].hex}",
                    correlation_id=correlation_of_key(row["authorization_key"]),
                )
                await self._put_off(connection, key, row["received_at"], now)
                return False
            event = self._event_of(key, row, taken, now)
            payment = f"pay_{row['payment_id'].hex}"
            await connection.execute(_SQL["settle"], self._bank.id, key, taken, now, payment, event)
        return True

    async def _put_off(self, connection: "Connection", key: str, since: datetime, now: datetime) -> None:
        """Look again when the reversal has waited as long again as it has until now."""
        age = (now - since).total_seconds()
        pause = min(max(age, LOOK_AGAIN_SECONDS_MIN), LOOK_AGAIN_SECONDS_MAX)
        await connection.execute(_SQL["put_off"], self._bank.id, key, now + timedelta(seconds=pause))

    async def _turn_back(
        self, connection: "Connection", key: str, row: asyncpg.Record, posted: asyncpg.Record, now: datetime
    ) -> tuple[str | None, str | None]:
        """The id (hex) of the ledger's transaction, None when nothing is to move, or the ledger's reason to refuse."""
        before, after = posted["turned_back_minor"], posted["turned_back_minor"] + row["undone_minor"]
        original = posted["transaction_id"]
        correlation_id = correlation_of_key(row["authorization_key"])
        new_id = self._ids.new_id("txn")[4:]
        if before == 0 and after == row["amount_minor"]:
            answers = await connection.fetch(_SQL["reverse"], original, new_id, _DESCRIPTION, now, correlation_id)
        else:
            legs = await connection.fetch(_SQL["read_legs"], original)
            moves = [
                (leg["account_id"], leg["currency_no"], amount)
                for leg in legs
                if (amount := _adjustment(leg["amount_minor"], before, after, row["amount_minor"]))
            ]
            if not moves:
                return None, None
            answers = await connection.fetch(
                _SQL["adjust"],
                correlation_id,
                new_id,
                row["payment_id"],
                f"reversal:{self._bank.id}:{key}",
                content_fingerprint(original.hex, before, after),
                _DESCRIPTION,
                now,
                len(moves),
                *_leg_columns(moves),
            )
        for answer in answers:
            if answer["order_no"] is not None:
                if answer["reason"] == _LEDGER_ANSWER_KNOWN:
                    return answer["standing"].hex, None
                return None, answer["reason"]
        return new_id, None

    def _event_of(self, key: str, row: asyncpg.Record, transaction_id: str | None, now: datetime) -> str:
        return reversed_event(
            self._bank.id,
            key,
            AuthorizationReversed(
                payment_id=f"pay_{row['payment_id'].hex}",
                reversed_minor=row["undone_minor"],
                remaining_minor=row["amount_minor"] - row["reversed_minor"],
                currency=row["currency"],
                message_reason=row["reason"],
                transaction_id=f"txn_{transaction_id}" if transaction_id else None,
                reversed_at=now,
            ),
            authorization_key=row["authorization_key"],
            clock=self._clock,
        )


def _adjustment(leg_minor: int, before: int, after: int, amount_minor: int) -> int:
    """What a leg moves back when the part of its payment that is turned back grows from `before` to `after`."""
    return -(_part(leg_minor, after, amount_minor) - _part(leg_minor, before, amount_minor))


def _part(leg_minor: int, turned_back_minor: int, amount_minor: int) -> int:
    # Towards zero on both sides, so that the two legs of a movement stay equal.
    part = abs(leg_minor) * turned_back_minor // amount_minor
    return part if leg_minor > 0 else -part


def _leg_columns(moves: Sequence[tuple[str, int, int]]) -> list[list[Any]]:
    """Accounts once each with their currencies, and the legs: number, place of the account, amount."""
    accounts: dict[tuple[str, int], int] = {}
    places = [accounts.setdefault(move[:2], len(accounts) + 1) for move in moves]
    return [
        [account_id for account_id, _ in accounts],
        [currency_no for _, currency_no in accounts],
        list(range(1, len(moves) + 1)),
        places,
        [amount for _, _, amount in moves],
    ]
