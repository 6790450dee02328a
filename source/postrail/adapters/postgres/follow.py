"""Where payments stand: the question that `postrail inject --wait` asks again and again, in one query."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.queries import statements

_SQL = statements("follow.sql")


class FollowStatus(StrEnum):
    """What the database knows of a payment; of several, the earlier value wins."""

    POSTED = "posted"
    REFUSED = "refused"
    OUTCOME = "outcome"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class FollowedPayment:
    """One payment that left a trace in the database.

    `detail_type` is the event that ended its road (PaymentPosted, PaymentPostingFailed, PaymentRejected, ...), empty
    while it waits for parts. `settled_at` is the instant of the commit for a posted payment when the server keeps
    commit timestamps (`track_commit_timestamp = on`), otherwise when the row was written; None while it waits.
    """

    payment_id: str
    correlation_id: str
    status: FollowStatus
    detail_type: str
    reason: str | None
    settled_at: datetime | None


class PostgresFollower:
    """Looks payments up by id or by run."""

    def __init__(self, database: Database | str | Callable[[], str]) -> None:
        self._database = Database.of(database)

    def by_payment(self, payment_ids: Sequence[str]) -> list[FollowedPayment]:
        """The payments of these ids that the database knows, one row each; others are absent."""
        return self._fetch("by_payment", list(payment_ids)) if payment_ids else []

    def by_correlation(self, correlation_id: str) -> list[FollowedPayment]:
        """All payments of one run that the database knows, one row each."""
        return self._fetch("by_correlation", correlation_id)

    def _fetch(self, name: str, argument: object) -> list[FollowedPayment]:
        return [
            FollowedPayment(
                payment_id=row["payment_id"],
                correlation_id=row["correlation_id"],
                status=FollowStatus(row["status"]),
                detail_type=row["detail_type"],
                reason=row["reason"],
                settled_at=row["settled_at"],
            )
            for row in self._database.fetch(_SQL[name], argument)
        ]
