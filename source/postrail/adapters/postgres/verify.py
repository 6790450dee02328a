"""Proves the ledger from its entries: recomputes every balance and checks what must always hold.

The database refuses all of this at the time of writing. This looks again, and finds what a restored backup, a
disabled trigger or a broken disk left behind.
"""

from collections.abc import Callable
from dataclasses import dataclass

from postrail.adapters.postgres.connection import Database, Isolation
from postrail.adapters.postgres.queries import statements

_SQL = statements("verify.sql")
_CHECKS = statements("verify_checks.sql")
_SECONDS_MAX = 3_600

CHECKS = tuple(_CHECKS)
"""The names of the checks, in the order in which they are made."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first finding of one check: which row, and what is wrong with it. `count` rows are wrong alike."""

    check: str
    key: str
    detail: str
    count: int


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What stands in the ledger, and what differs. Sums are minor units by currency and must be zero."""

    accounts: int
    transactions: int
    entries: int
    entry_sums_minor: dict[str, int]
    balance_sums_minor: dict[str, int]
    differences: tuple[Difference, ...]

    @property
    def first_difference(self) -> Difference | None:
        """The first finding of the first check that failed."""
        return self.differences[0] if self.differences else None

    @property
    def clean(self) -> bool:
        """Whether nothing differs and all sums are zero."""
        return (
            not self.differences
            and not any(self.entry_sums_minor.values())
            and not any(self.balance_sums_minor.values())
        )


def verify(database: Database | str | Callable[[], str]) -> VerifyReport:
    """Check the whole ledger as it stands at one instant, while others go on posting. Raises Retryable.

    The work is done in the database, set by set; an account or a transaction is never fetched one by one.
    """
    source = Database.of(database)
    try:
        with source.transaction(Isolation.SNAPSHOT):
            source.execute(f"SET LOCAL statement_timeout = '{_SECONDS_MAX}s'")
            return _verify(source)
    finally:
        if source is not database:
            source.close()


def _verify(database: Database) -> VerifyReport:
    counts = database.fetch(_SQL["counts"], seconds_max=_SECONDS_MAX)[0]
    differences = []
    for check, sql in _CHECKS.items():
        differences += [
            Difference(check, row["key"], row["detail"], row["count"])
            for row in database.fetch(sql, seconds_max=_SECONDS_MAX)
        ]
    return VerifyReport(
        accounts=counts["accounts"],
        transactions=counts["transactions"],
        entries=counts["entries"],
        entry_sums_minor=_sums(database, "entry_sums"),
        balance_sums_minor=_sums(database, "balance_sums"),
        differences=tuple(differences),
    )


def _sums(database: Database, name: str) -> dict[str, int]:
    return {row["currency"]: int(row["total_minor"]) for row in database.fetch(_SQL[name], seconds_max=_SECONDS_MAX)}
