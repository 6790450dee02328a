"""The audit trail of payments that ended outside the ledger."""

from collections.abc import Callable, Sequence

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.queries import statements
from postrail.ports import RecordedOutcome

_SQL = statements("outcomes.sql")


class PostgresOutcomes:
    """Fills `ports.OutcomeLog`: `audit.outcomes`, one row an event."""

    def __init__(self, database: Database | str | Callable[[], str]) -> None:
        self._database = Database.of(database)

    def record(self, outcomes: Sequence[RecordedOutcome]) -> None:
        """Keep each outcome once, by event id; the first that was recorded stands."""
        if not outcomes:
            return
        rows = [
            (
                outcome.event_id,
                outcome.payment_id,
                outcome.correlation_id,
                outcome.detail_type,
                outcome.occurred_at,
                outcome.reason_code,
                outcome.event,
            )
            for outcome in outcomes
        ]
        self._database.execute(_SQL["record"], *(list(column) for column in zip(*rows, strict=True)))
