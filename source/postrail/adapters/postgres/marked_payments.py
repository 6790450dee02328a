"""The ledger's side of a validation: is the schema up to date, did the marked payments arrive, take them back.

Marked payments touch one reserved account and are taken back by reversals: the journal is append-only. What is done
here is bound to that account and to run ids of the form that marked payments have: no other payment can be taken back.
"""

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Final

from postrail.adapters.postgres.accounts import OpenedAccounts, PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.follow import FollowedPayment, PostgresFollower
from postrail.adapters.postgres.queries import statements
from postrail.adapters.postgres.reversals import PostgresReversals
from postrail.domain.errors import Permanent, ReasonCode
from postrail.ports import Clock, IdSource, PostStatus, ReversalResult
from postrail.sampling.accounts import system_accounts
from postrail.sampling.selftest import ACCOUNT_ID, OVERDRAFT_LIMIT_MINOR, RUN_ID_PATTERN, selftest_specs

_SQL: Final = statements("marked_payments.sql")
_RUN_ID: Final = re.compile(RUN_ID_PATTERN)
_CURRENCY: Final = "GBP"


@dataclass(frozen=True, slots=True)
class SchemaState:
    """How the database stands to this code.

    `pending` are migrations that this code has and the database lacks; `unknown` those that a newer code applied.
    `account_opened` says whether the reserved account exists.
    """

    server_version: str
    read_only: bool
    pending: tuple[str, ...]
    unknown: tuple[str, ...]
    account_opened: bool


class MarkedPayments:
    """Looks after the payments of one kind of run: marked, a penny each, on a reserved account."""

    def __init__(self, database: Database, *, clock: Clock, ids: IdSource) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    def schema_state(self) -> SchemaState:
        """Compare this code's migrations with the database's. Raises Retryable when it cannot be reached."""
        server = self._database.fetch_one(_SQL["server"])
        applied = {str(row["migration_id"]) for row in self._database.fetch(_SQL["applied_migrations"])}
        own = migration_names()
        accounts = PostgresAccounts(self._database).read_balances([ACCOUNT_ID], limit=1)
        return SchemaState(
            server_version="" if server is None else str(server["version"]),
            read_only=server is not None and bool(server["read_only"]),
            pending=tuple(name for name in own if name not in applied),
            unknown=tuple(sorted(applied - set(own))),
            account_opened=bool(accounts),
        )

    def open_accounts(self) -> OpenedAccounts:
        """Open the reserved accounts, and the bank's own in their currency, where they are missing.

        An account that exists is left as it is. Nothing is posted: the open account may be overdrawn by a pound.
        """
        specs = [*system_accounts([_CURRENCY]), *selftest_specs(overdraft_limit_minor=OVERDRAFT_LIMIT_MINOR)]
        return PostgresAccounts(self._database).open_accounts(specs, clock=self._clock, ids=self._ids)

    def ends(self, run_id: str) -> list[FollowedPayment]:
        """What the ledger and the audit trail know of a run's payments. Raises Permanent when it is no marked run."""
        return PostgresFollower(self._database).by_correlation(_checked(run_id))

    def take_back(self, run_id: str) -> list[ReversalResult]:
        """Reverse what the run has posted and still stands; the answers, [] when nothing stands.

        Raises Permanent when it is no marked run.
        """
        rows = self._database.fetch(_SQL["standing"], _checked(run_id), ACCOUNT_ID)
        return PostgresReversals(self._database).reverse(
            [str(row["transaction_id"]) for row in rows],
            reason="Marked payment of a validation",
            occurred_at=self._clock.now(),
            ids=self._ids,
            correlation_id=run_id,
        )


def taken_back(results: list[ReversalResult]) -> int:
    """How many reversals stand, those that were there before included."""
    standing = {ReasonCode.ALREADY_POSTED}
    return sum(1 for each in results if each.status is PostStatus.POSTED or each.reason in standing)


def migration_names() -> list[str]:
    """The names of this code's migrations, oldest first, as the database keeps them."""
    folder = files("postrail.adapters.postgres") / "migrations"
    return sorted(PurePosixPath(each.name).stem for each in folder.iterdir() if each.name.endswith(".sql"))


def _checked(run_id: str) -> str:
    if not _RUN_ID.fullmatch(run_id):
        raise Permanent(ReasonCode.INVALID_VALUE, f"{run_id[:80]!r} is not the id of a run of marked payments")
    return run_id
