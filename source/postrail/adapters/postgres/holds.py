"""`ports.HoldBook` on PostgreSQL: one call for a batch of requests of any size.

On a `Database` with an open transaction (a ledger's session, for one) the requests are part of it; otherwise each call
commits by itself. The law of holds stands in migrations 0011, 0016 and 0024.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

import asyncpg

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.queries import statements
from postrail.adapters.postgres.waves import split_into_waves
from postrail.domain.errors import ReasonCode
from postrail.domain.hold import (
    ExtendHold,
    Hold,
    HoldChange,
    HoldKind,
    HoldStatus,
    PlaceHold,
    ReleaseHold,
    is_hold_id,
)
from postrail.domain.iso4217 import currency_by_code
from postrail.ports import HoldOutcome, HoldResult

_SQL = statements("holds.sql")
_UUID_AT: Final = 4
"""Ids are a prefix of three letters, an underscore, and a uuid in hex; the ledger keeps the uuid."""

_Request = TypeVar("_Request", PlaceHold, ExtendHold | ReleaseHold)


class PostgresHolds:
    """Fills `ports.HoldBook`."""

    def __init__(self, database: Database | str | Callable[[], str]) -> None:
        self._database = Database.of(database)

    def place(self, requests: Sequence[PlaceHold]) -> list[HoldResult]:
        """Place each hold or refuse it alone; see the port. The reasons and their order stand in migration 0016.

        Requests that are wrong in themselves are refused with INVALID_VALUE, INVALID_AMOUNT, AMOUNT_OVERFLOW or
        UNKNOWN_CURRENCY before the database is asked. Raises Retryable.
        """
        return self._in_waves(requests, lambda some: self._database.fetch(_SQL["place"], *_place_columns(some)))

    def change(self, requests: Sequence[ExtendHold | ReleaseHold]) -> list[HoldResult]:
        """Extend or release each hold, or refuse it alone; see the port. Raises Retryable."""
        return self._in_waves(requests, lambda some: self._database.fetch(_SQL["change"], *_change_columns(some)))

    def expire(self, now: datetime, *, limit: int) -> list[str]:
        """End at most `limit` holds that are due by `now`; see the port. Raises Retryable."""
        return [_id("hld", row["hold_id"]) for row in self._database.fetch(_SQL["expire"], limit, now)]

    def find(self, hold_ids: Sequence[str]) -> list[Hold]:
        """The holds of these ids, in their order; unknown ones are absent."""
        wanted = [each[_UUID_AT:] for each in hold_ids if is_hold_id(each)]
        return [_hold(row) for row in self._database.fetch(_SQL["find"], wanted)]

    def list_holds(
        self, *, account_id: str | None = None, status: HoldStatus | None = None, after: str | None = None, limit: int
    ) -> list[Hold]:
        """At most `limit` holds by id, which is by the time they were made, beyond the hold `after`."""
        rows = self._database.fetch(_SQL["list"], account_id, status, after[_UUID_AT:] if after else None, limit)
        return [_hold(row) for row in rows]

    def history(self, hold_id: str) -> list[HoldChange]:
        """What happened to a hold, oldest first."""
        return [
            HoldChange(
                row["change"],
                row["change_key"],
                row["amount_minor"],
                row["held_minor"],
                _id("txn", row["transaction_id"]) if row["transaction_id"] else None,
                row["occurred_at"],
                row["recorded_at"],
            )
            for row in self._database.fetch(_SQL["history"], hold_id[_UUID_AT:])
        ]

    def _in_waves(
        self, requests: Sequence[_Request], ask: Callable[[Sequence[_Request]], list[asyncpg.Record]]
    ) -> list[HoldResult]:
        faults = [request.fault() for request in requests]
        results = [
            HoldResult(HoldOutcome.REFUSED, request.hold_id, None, None, None, fault.reason, fault.detail)
            if fault
            else None
            for request, fault in zip(requests, faults, strict=True)
        ]
        sound = [place for place, fault in enumerate(faults) if fault is None]
        names = [(f"key {requests[place].change_key}", f"hold {requests[place].hold_id}") for place in sound]
        for wave in split_into_waves(names):
            places = [sound[number] for number in wave]
            rows = ask([requests[place] for place in places])
            for place, row in zip(places, rows, strict=True):
                results[place] = _result(row)
        return [result for result in results if result is not None]


def _place_columns(requests: Sequence[PlaceHold]) -> list[list[object]]:
    accounts: dict[tuple[str, str], int] = {}
    rows = [
        (
            request.hold_id[_UUID_AT:],
            request.change_key,
            request.fingerprint,
            request.kind.value,
            request.amount_minor,
            request.tolerance_minor,
            request.payment_id[_UUID_AT:] if request.payment_id else None,
            request.occurred_at,
            request.expires_at,
            accounts.setdefault((request.account_id, request.currency), len(accounts) + 1),
        )
        for request in requests
    ]
    return [
        *map(list, zip(*rows, strict=True)),
        [account_id for account_id, _ in accounts],
        [int(currency_by_code(currency).numeric) for _, currency in accounts],
    ]


def _change_columns(requests: Sequence[ExtendHold | ReleaseHold]) -> list[list[object]]:
    rows = [
        (
            request.hold_id[_UUID_AT:],
            "extend" if isinstance(request, ExtendHold) else "release",
            request.change_key,
            request.fingerprint,
            request.add_minor if isinstance(request, ExtendHold) else request.amount_minor,
            request.expires_at if isinstance(request, ExtendHold) else None,
            request.occurred_at,
        )
        for request in requests
    ]
    return [list(column) for column in zip(*rows, strict=True)]


def _result(row: asyncpg.Record) -> HoldResult:
    refused = row["reason"] is not None
    outcome = HoldOutcome.REPEATED if row["repeated"] else HoldOutcome.DONE
    available = row["available_minor"]
    return HoldResult(
        HoldOutcome.REFUSED if refused else outcome,
        _id("hld", row["hold_id"]),
        HoldStatus(row["status"]) if row["status"] else None,
        row["remaining_minor"],
        None if available is None else int(available),
        ReasonCode(row["reason"]) if refused else None,
        row["detail"] or "",
    )


def _hold(row: asyncpg.Record) -> Hold:
    return Hold(
        hold_id=_id("hld", row["hold_id"]),
        account_id=row["account_id"],
        currency=row["currency"],
        kind=HoldKind(row["kind"]),
        status=HoldStatus(row["status"]),
        amount_minor=row["amount_minor"],
        remaining_minor=row["remaining_minor"],
        captured_minor=row["captured_minor"],
        tolerance_minor=row["tolerance_minor"],
        payment_id=_id("pay", row["payment_id"]) if row["payment_id"] else None,
        occurred_at=row["occurred_at"],
        placed_at=row["placed_at"],
        expires_at=row["expires_at"],
        closed_at=row["closed_at"],
    )


def _id(prefix: str, value: UUID) -> str:
    return f"{prefix}_{value.hex}"
