"""One connection to PostgreSQL behind a synchronous face.

asyncpg runs in one `asyncio.Runner` that lives as long as the process, so that the connection survives from one
Lambda invocation to the next. The face is for one thread; threads take a `Database` each.
"""

import asyncio
import copy
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

import asyncpg

from postrail.adapters.postgres.errors import DRIVER_ERRORS, translate
from postrail.domain.errors import Retryable

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Work = Callable[[Connection], Coroutine[Any, Any, T]]

_CLOSE_SECONDS_MAX = 2.0


class Isolation(StrEnum):
    """What a transaction sees of others. The values are SQL."""

    READ_COMMITTED = "READ COMMITTED"
    SNAPSHOT = "REPEATABLE READ, READ ONLY"


class Database:
    """Connects when first needed, and again when the connection was cut.

    `dsn` is a `postgresql://` URI or a function that returns one; it is asked at every connect, so that a rotated
    password is picked up. The timeouts are the server's, in seconds: a statement, a wait for a lock, and a pause
    inside a transaction; the last frees the locks of a function that was frozen or lost.
    """

    def __init__(
        self,
        dsn: str | Callable[[], str],
        *,
        application_name: str = "postrail",
        connect_seconds_max: float = 5.0,
        statement_seconds_max: float = 30.0,
        lock_seconds_max: float = 10.0,
        idle_in_transaction_seconds_max: float = 15.0,
    ) -> None:
        self._dsn = dsn
        self._connect_seconds_max = connect_seconds_max
        # The server ends a statement in time; this one is for a server that does not answer any more.
        self._answer_seconds_max = statement_seconds_max + 5.0
        self._server_settings = {
            "application_name": application_name,
            "timezone": "UTC",
            "jit": "off",
            "statement_timeout": f"{statement_seconds_max * 1000:.0f}",
            "lock_timeout": f"{lock_seconds_max * 1000:.0f}",
            "idle_in_transaction_session_timeout": f"{idle_in_transaction_seconds_max * 1000:.0f}",
        }
        self._runner: asyncio.Runner | None = None
        self._connection: Connection | None = None
        self._in_transaction = False

    @classmethod
    def of(cls, database: "Database | str | Callable[[], str]") -> "Database":
        """The database itself, or a new one for a DSN: adapters take either, and may share one."""
        return database if isinstance(database, Database) else cls(database)

    def another(self) -> "Database":
        """A connection of its own to the same place, for another thread."""
        other = copy.copy(self)
        vars(other).update(_runner=None, _connection=None, _in_transaction=False)
        return other

    def fetch(self, sql: str, *arguments: object, seconds_max: float | None = None) -> list[asyncpg.Record]:
        """Run one statement and return its rows. Raises Retryable or Permanent.

        `seconds_max` waits longer for the answer than the statement timeout asks for; the caller raises that too.
        """
        return self.run(lambda connection: connection.fetch(sql, *arguments, timeout=seconds_max))

    def fetch_one(self, sql: str, *arguments: object) -> asyncpg.Record | None:
        """The first row of one statement."""
        rows = self.fetch(sql, *arguments)
        return rows[0] if rows else None

    def execute(self, sql: str, *arguments: object) -> str:
        """Run one statement and return its command tag, e.g. `UPDATE 3`."""
        return self.run(lambda connection: connection.execute(sql, *arguments))

    def run(self, work: Work[T]) -> T:
        """Run a coroutine on the connection. Driver errors become Retryable or Permanent.

        Outside a transaction a cut connection is opened anew before the work begins; the work itself is never run
        twice.
        """
        try:
            return self._on_loop(self._with_connection(work))
        except DRIVER_ERRORS as error:
            raise translate(error) from error

    @contextmanager
    def transaction(self, isolation: Isolation = Isolation.READ_COMMITTED) -> Iterator[None]:
        """One transaction around the statements inside; commits unless an exception leaves the block."""
        if self._in_transaction:
            msg = "a transaction is open on this database; sessions do not nest"
            raise RuntimeError(msg)
        self._begin(isolation)
        self._in_transaction = True
        try:
            yield
            self._commit()
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._in_transaction = False

    @contextmanager
    def joined_transaction(self) -> Iterator[None]:
        """The transaction that is open, or one of its own: what is done inside is committed together either way."""
        if self._in_transaction:
            yield
            return
        with self.transaction():
            yield

    def close(self) -> None:
        """Close the connection and the loop. The object can be used again: it connects anew."""
        if self._runner is None:
            return
        with suppress(*DRIVER_ERRORS):
            self._on_loop(self._close())
        self._runner.close()
        self._runner = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(work)

    async def _with_connection(self, work: Work[T]) -> T:
        connection = await self._connected()
        try:
            return await work(connection)
        except asyncpg.PostgresError:
            raise
        except BaseException:
            # Timed out, interrupted or cut: the state of the conversation is unknown, and it ends here.
            self._drop()
            raise

    async def _connected(self) -> Connection:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        if self._in_transaction:
            msg = "the connection was lost inside a transaction"
            raise ConnectionResetError(msg)
        self._connection = await asyncpg.connect(
            self._dsn if isinstance(self._dsn, str) else self._dsn(),
            timeout=self._connect_seconds_max,
            command_timeout=self._answer_seconds_max,
            server_settings=self._server_settings,
        )
        return self._connection

    def _begin(self, isolation: Isolation) -> None:
        begin = f"BEGIN ISOLATION LEVEL {isolation.value}"
        try:
            self.execute(begin)
        except Retryable:
            # A connection that lay idle may have been cut without a word. Nothing was done yet: try once on a new one.
            self._drop()
            self.execute(begin)

    def _commit(self) -> None:
        if self.execute("COMMIT") != "COMMIT":
            # An error inside the block was swallowed: the server answers a COMMIT with ROLLBACK then.
            msg = "the transaction had failed and was rolled back"
            raise Retryable(msg)

    def _roll_back(self) -> None:
        connection = self._connection
        if connection is None or connection.is_closed() or not connection.is_in_transaction():
            return
        try:
            self._on_loop(connection.execute("ROLLBACK", timeout=_CLOSE_SECONDS_MAX))
        except DRIVER_ERRORS:
            # The server rolls back by itself when the connection goes.
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            await connection.close(timeout=_CLOSE_SECONDS_MAX)
