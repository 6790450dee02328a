"""What the network keeps in PostgreSQL: cards, advices on their way to banks, decisions in a bank's stead.

The law of it stands in migrations 0019 and 0021. Every call raises Retryable when the database cannot be asked, and
Permanent when it will never take the value.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final, NamedTuple, TypeAlias

import asyncpg

from postrail.adapters.postgres.errors import DRIVER_ERRORS, translate
from postrail.adapters.postgres.queries import statements
from postrail.domain.errors import Retryable
from switch.network.directory import NetworkCard

_SQL = statements("network.sql", "switch.network")
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

STATEMENT_SECONDS_MAX: Final = 10.0
ACQUIRE_SECONDS_MAX: Final = 5.0
CONNECTIONS_MAX: Final = 16
DELIVERIES_AT_ONCE_MAX: Final = CONNECTIONS_MAX - 4
"""Each holds a connection while it lasts; the others are for what cannot wait."""
PURGE_COUNT_MAX: Final = 1_000
CONNECTIONS_TRIED_MAX: Final = 3
AGAIN_SECONDS: Final = 0.05


class NewAdvice(NamedTuple):
    """A message to keep for a bank. `payload` is sealed; `message_type` is its first MTI: 1120, 1220 or 1420."""

    bank_id: str
    advice_key: str
    original_key: str
    fingerprint: bytes
    message_type: str
    reason: str
    payload: bytes


class StoredAdvice(NamedTuple):
    """A message that is due, or waits `wait_seconds` more. `attempts` are those made."""

    advice_id: int
    advice_key: str
    original_key: str
    message_type: str
    attempts: int
    payload: bytes
    expired: bool
    wait_seconds: float


class FinishedAdvice(NamedTuple):
    """What became of one: `status` is delivered, refused or expired; `action_code` what the bank said."""

    advice_id: int
    status: str
    action_code: str | None


class StandInRequest(NamedTuple):
    """A payment to decide on in a bank's stead; amounts are minor units of the bank's currency."""

    bank_id: str
    key: str
    fingerprint: bytes
    card: bytes
    payload: bytes
    approval_code: str
    reason: str
    amount_minor: int
    day_minor_max: int
    day_count_max: int


class StandInVerdict(NamedTuple):
    """`outcome` is one of migration 0021: known, conflict, listed, over_count, over_amount, approved."""

    outcome: str
    approval_code: str | None
    action_code: str | None


async def open_pool(dsn: str | Callable[[], str], *, size: int = CONNECTIONS_MAX) -> Pool:
    """Connections for a network's store. Raises Retryable when the database cannot be reached.

    `dsn` may be asked again at every connect, in a thread: a rotated password is picked up.
    """
    settings = {
        "application_name": "postrail-network",
        "timezone": "UTC",
        "jit": "off",
        "statement_timeout": f"{STATEMENT_SECONDS_MAX * 1000:.0f}",
        "lock_timeout": "5000",
        "idle_in_transaction_session_timeout": "15000",
    }

    async def connect(*_: object, **given: Any) -> Any:
        return await asyncpg.connect(
            dsn if isinstance(dsn, str) else await asyncio.to_thread(dsn),
            timeout=ACQUIRE_SECONDS_MAX,
            command_timeout=STATEMENT_SECONDS_MAX + 2,
            server_settings=settings,
            **given,
        )

    try:
        return await asyncpg.create_pool(min_size=1, max_size=size, connect=connect)
    except DRIVER_ERRORS as error:
        raise translate(error) from error


class NetworkStore:
    """One network's rows."""

    def __init__(self, pool: Pool, network_id: str) -> None:
        self._pool = pool
        self._network_id = network_id
        self._deliveries = asyncio.Semaphore(DELIVERIES_AT_ONCE_MAX)

    async def find_cards(self, lookups: Sequence[bytes]) -> Mapping[bytes, NetworkCard]:
        """The known cards of a batch, by the keyed hash of their number."""
        rows = await self._fetch_surely("find_cards", self._network_id, list(lookups))
        return {row["pan_lookup"]: _card(row) for row in rows}

    async def keep_advices(self, advices: Sequence[NewAdvice], *, delay_seconds: float) -> list[bool]:
        """Keep them for their banks, in order, in one transaction. For each: whether it is there now.

        False is for one whose key another message has. Keeping one again changes nothing.
        """
        columns = [list(column) for column in zip(*advices, strict=True)]
        rows = await self._fetch("keep_advices", self._network_id, *columns, timedelta(seconds=delay_seconds))
        return [row["kept"] for row in rows]

    async def approve_in_stead(self, asked: StandInRequest) -> StandInVerdict:
        """Decide, count what the card has used, and keep the advice, in one transaction.

        A decision whose commit was not answered is found again as `known`, with its approval code.
        """
        (row,) = await self._fetch_surely("approve_in_stead", self._network_id, *asked)
        return StandInVerdict(row["outcome"], row["approval_code"], row["action_code"])

    async def count_pending(self, bank_id: str) -> int:
        """How many messages wait for a bank."""
        (row,) = await self._fetch("count_pending", self._network_id, bank_id)
        return int(row["pending"])

    async def purge(self, older_than_seconds: float) -> None:
        """Remove some of what was delivered, and of what cards have used, long ago: at most PURGE_COUNT_MAX of each."""
        age = timedelta(seconds=older_than_seconds)
        await self._fetch("purge_delivered", self._network_id, age, PURGE_COUNT_MAX)
        await self._fetch("purge_usage", self._network_id, age, PURGE_COUNT_MAX)

    @asynccontextmanager
    async def delivery(self, bank_id: str) -> AsyncIterator["Delivery | None"]:
        """The right to deliver to a bank, None while another process has it. Raises Retryable."""
        async with self._deliveries, self._connection() as connection:
            name = f"{self._network_id}/{bank_id}"
            rows = await _fetch(connection, "begin_delivery", name)
            if not rows[0]["locked"]:
                yield None
                return
            try:
                yield Delivery(connection, self._network_id, bank_id)
            finally:
                # A connection that was cut has taken its lock with it, and even to be asked about it is an error then.
                with suppress(Retryable, *DRIVER_ERRORS):
                    if not connection.is_closed():
                        await _fetch(connection, "end_delivery", name)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        try:
            connection = await self._pool.acquire(timeout=ACQUIRE_SECONDS_MAX)
        except DRIVER_ERRORS as error:
            raise translate(error) from error
        try:
            yield connection
        finally:
            # a cut connection is thrown away, and its locks with it
            with suppress(*DRIVER_ERRORS):
                await self._pool.release(connection)

    async def _fetch_surely(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        """Run what may be run twice; a connection that was cut is replaced unseen."""
        for _ in range(CONNECTIONS_TRIED_MAX - 1):
            try:
                return await self._fetch(name, *arguments)
            except Retryable:
                await asyncio.sleep(AGAIN_SECONDS)
        return await self._fetch(name, *arguments)

    async def _fetch(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        try:
            return await self._pool.fetch(_SQL[name], *arguments)
        except DRIVER_ERRORS as error:
            raise translate(error) from error


class Delivery:
    """The messages of one bank, for the one process that delivers them."""

    def __init__(self, connection: Connection, network_id: str, bank_id: str) -> None:
        self._connection = connection
        self._network_id = network_id
        self._bank_id = bank_id

    async def next_advices(self, *, attempts_alarm: int, expire_seconds: int, count_max: int) -> list[StoredAdvice]:
        """The oldest first; see the statement for who steps aside."""
        rows = await _fetch(
            self._connection,
            "next_advices",
            self._network_id,
            self._bank_id,
            attempts_alarm,
            timedelta(seconds=expire_seconds),
            count_max,
        )
        return [StoredAdvice(**row) for row in rows]

    async def begin_attempts(self, advices: Sequence[StoredAdvice]) -> None:
        """Remember that they are sent, before they are: a process that dies now is followed by repetitions."""
        await _fetch(self._connection, "begin_attempts", [advice.advice_id for advice in advices])

    async def take_back_attempts(self, advices: Sequence[StoredAdvice]) -> None:
        """They were not sent after all."""
        await _fetch(self._connection, "take_back_attempts", [advice.advice_id for advice in advices])

    async def hasten(self) -> None:
        """Nobody who was put off waits any longer."""
        await _fetch(self._connection, "hasten", self._network_id, self._bank_id)

    async def finish(self, finished: Sequence[FinishedAdvice]) -> None:
        """They are done with. What was delivered loses its payload."""
        ids, states, codes = ([each[place] for each in finished] for place in range(3))
        await _fetch(self._connection, "finish_advices", ids, states, codes)

    async def put_off(self, advice_id: int, seconds: float) -> None:
        """Try again after this time."""
        await _fetch(self._connection, "put_off", advice_id, timedelta(seconds=seconds))


async def _fetch(connection: Connection, name: str, *arguments: object) -> list[asyncpg.Record]:
    try:
        return await connection.fetch(_SQL[name], *arguments)
    except DRIVER_ERRORS as error:
        raise translate(error) from error


def _card(row: asyncpg.Record) -> NetworkCard:
    expiry: str = row["expiry"]
    return NetworkCard(
        row["card_token"], row["bank_id"], expiry[2:4] + expiry[5:7], frozenset(row["services"]), row["status"]
    )
