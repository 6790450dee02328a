"""What the bank takes for known when a commit fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from postrail.domain.errors import PostrailError, Retryable
from switch.bank.store import BankDatabase, OutcomeUnknown


class FailingPool:
    """A pool whose connections fail when they commit."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    @asynccontextmanager
    async def acquire(self, timeout: float) -> AsyncIterator["FailingPool"]:  # noqa: ASYNC109
        yield self

    def transaction(self) -> "FailingPool":
        return self

    async def start(self) -> None:
        """Begin."""

    async def commit(self) -> None:
        raise self._error


async def commit(error: Exception) -> None:
    database = BankDatabase("postgresql://nobody@127.0.0.1:1/none", connections=1)
    pool: Any = FailingPool(error)
    database._pool = pool
    async with database.transaction():
        pass


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("gone"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.ConnectionDoesNotExistError("closed in the middle of an operation"),
        asyncpg.AdminShutdownError("terminating connection due to administrator command"),
        asyncpg.CrashShutdownError("terminating connection because of crash of another server process"),
        asyncpg.DiskFullError("no space left"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_connection_that_ends_in_a_commit_leaves_its_outcome_unknown(error: Exception) -> None:
    """The server may have written the commit before it went, or before it was told to go: 909 would be a guess."""
    with pytest.raises(OutcomeUnknown):
        asyncio.run(commit(error))


@pytest.mark.parametrize(
    "error",
    [asyncpg.SerializationError("could not serialize"), asyncpg.DeadlockDetectedError(), asyncpg.RaiseError("the law")],
    ids=lambda error: type(error).__name__,
)
def test_a_commit_that_the_server_refuses_is_known_not_to_have_happened(error: Exception) -> None:
    """Conflicts and deferred checks roll back."""
    with pytest.raises(Retryable) as raised:
        asyncio.run(commit(error))
    assert not isinstance(raised.value, OutcomeUnknown)


def test_a_check_at_the_commit_is_permanent() -> None:
    """What is wrong with the values stays wrong."""
    with pytest.raises(PostrailError) as raised:
        asyncio.run(commit(asyncpg.CheckViolationError("no")))
    assert not isinstance(raised.value, Retryable)
