"""The bank's side of the database: asyncpg connections, and what one transaction of a batch does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from postrail.adapters.postgres.errors import DRIVER_ERRORS, translate
from postrail.domain.errors import Retryable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]

CONNECT_SECONDS_MAX: Final = 5.0
STATEMENT_SECONDS_MAX: Final = 10.0
LOCK_SECONDS_MAX: Final = 5.0
IDLE_SECONDS_MAX: Final = 10.0
CLOSE_SECONDS_MAX: Final = 5.0
_QUERIES_MAX: Final = 10_000_000
_NO_WORD_ON_THE_OUTCOME: Final = frozenset({"", "08", "53", "57", "58", "XX"})
"""Classes of SQLSTATE that a server may answer a COMMIT with that it has already written: it ends, or is in trouble."""


class OutcomeUnknown(Retryable):
    """The connection was lost during COMMIT: the transaction may have happened. Look before doing it again."""


class BankDatabase:
    """A small pool of connections. All timeouts are seconds; those of statements and locks are the server's own."""

    def __init__(self, dsn: str | Callable[[], str], *, connections: int) -> None:
        """`dsn` may be asked again at every connect: a rotated password is picked up."""
        self._dsn = dsn
        self._connections = connections
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self.well = True
        """False from a transaction that failed for the database's sake to the next that succeeds."""

    async def start(self) -> None:
        """Connect. Raises Retryable when the database cannot be reached."""
        try:
            self._pool = await asyncpg.create_pool(
                min_size=self._connections,
                max_size=self._connections,
                max_inactive_connection_lifetime=0,
                max_queries=_QUERIES_MAX,
                reset=_keep_as_it_is,
                connect=self._connect,
            )
        except DRIVER_ERRORS as error:
            raise translate(error) from error

    async def stop(self) -> None:
        """Close the connections; what does not close in time is cut."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS_MAX):
                await pool.close()
        except TimeoutError:
            pool.terminate()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Connection"]:
        """One transaction. Raises Retryable, Permanent, and OutcomeUnknown when COMMIT was not answered."""
        if self._pool is None:
            raise Retryable("the bank's database is closed")
        committing = False
        try:
            async with self._pool.acquire(timeout=CONNECT_SECONDS_MAX) as connection:
                transaction = connection.transaction()
                await transaction.start()
                try:
                    yield connection
                except BaseException:
                    if not connection.is_closed():
                        await transaction.rollback()
                    raise
                committing = True
                await transaction.commit()
            self.well = True
        except DRIVER_ERRORS as error:
            failure = translate(error)
            if isinstance(failure, Retryable):
                self.well = False
                if committing and not _is_refusal(error):
                    raise OutcomeUnknown(str(failure)) from error
            raise failure from error

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """One statement, committed by itself. Raises as `transaction` does."""
        async with self.transaction() as connection:
            return await connection.fetch(sql, *arguments)

    async def _connect(self, *_: Any, **given: Any) -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(
            self._dsn if isinstance(self._dsn, str) else self._dsn(),
            timeout=CONNECT_SECONDS_MAX,
            command_timeout=STATEMENT_SECONDS_MAX + 5,
            server_settings={
                "application_name": "postrail-bank",
                "timezone": "UTC",
                "jit": "off",
                "statement_timeout": f"{STATEMENT_SECONDS_MAX * 1000:.0f}",
                "lock_timeout": f"{LOCK_SECONDS_MAX * 1000:.0f}",
                "idle_in_transaction_session_timeout": f"{IDLE_SECONDS_MAX * 1000:.0f}",
            },
            connection_class=given.get("connection_class", asyncpg.Connection),
            record_class=given.get("record_class", asyncpg.Record),
        )


def _is_refusal(error: Exception) -> bool:
    """Whether an error is the server's word that it has rolled back: neither of its own end, nor of its disks."""
    return isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "")[:2] not in _NO_WORD_ON_THE_OUTCOME


async def _keep_as_it_is(_: object) -> None:
    """Nothing is set or listened to on these connections: the usual reset would cost each batch a round trip."""


def columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows as parallel arrays, `width` of them also when there are no rows."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
