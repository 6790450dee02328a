"""The ends of a run's payments, as the ledger and its audit trail know them."""

from typing import Self

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.follow import FollowedPayment, FollowStatus, PostgresFollower
from postrail.cli.follow import End, Outcome
from postrail.contracts.events import DuplicateParked, PaymentReferred

_OUTCOME_BY_EVENT = {
    DuplicateParked.detail_type(): Outcome.PARKED,
    PaymentReferred.detail_type(): Outcome.REFERRED,
}


class LedgerEnds:
    """Reads one run's ends by its correlation id. Use as a context manager."""

    def __init__(self, dsn: str, correlation_id: str) -> None:
        self._database = Database(dsn, application_name="postrail-cli")
        self._follower = PostgresFollower(self._database)
        self._correlation_id = correlation_id

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def ends(self) -> dict[str, End]:
        """The end of every payment of the run that has one, by payment id. Raises Retryable."""
        found = ((row.payment_id, end_of(row)) for row in self._follower.by_correlation(self._correlation_id))
        return {payment_id: end for payment_id, end in found if end is not None}


def end_of(row: FollowedPayment) -> End | None:
    """How a payment ended; None while it waits for parts. A refusal by the ledger counts as a rejection."""
    if row.status is FollowStatus.WAITING or row.settled_at is None:
        return None
    if row.status is FollowStatus.POSTED:
        return End(Outcome.POSTED, "", row.settled_at.timestamp())
    outcome = _OUTCOME_BY_EVENT.get(row.detail_type, Outcome.REJECTED)
    return End(outcome, row.reason or "", row.settled_at.timestamp())
