"""What ledger, bank and network have written down, as far as a scenario asks."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import asyncpg

from postrail.adapters.postgres.queries import statements

_SQL: Final = statements("books.sql", "switch.cardholder")


class AccountView(NamedTuple):
    """An account of the ledger. Amounts are minor units of `currency`."""

    currency: str
    balance_minor: int
    held_minor: int
    available_minor: int


class Books:
    """Reads them over one connection."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    async def accounts(self, account_ids: Sequence[str]) -> dict[str, AccountView]:
        """Accounts by id; one that does not exist is left out."""
        rows = await self._connection.fetch(_SQL["accounts"], list(account_ids))
        return {
            row["account_id"]: AccountView(
                row["currency"], int(row["total_minor"]), int(row["held_minor"]), int(row["available_minor"])
            )
            for row in rows
        }

    async def records(self) -> Mapping[str, int]:
        """How many authorizations banks have approved and declined, and how many reversals they have taken."""
        row = await self._connection.fetchrow(_SQL["records"])
        return {name: int(value) for name, value in row.items()} if row is not None else {}

    async def delivered(self) -> Mapping[str, int]:
        """How many messages of each type networks have delivered to banks."""
        return {row["message_type"]: int(row["count"]) for row in await self._connection.fetch(_SQL["delivered"])}
