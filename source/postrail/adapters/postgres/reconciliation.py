"""Reconciliation in PostgreSQL: the sides come in by COPY, are compared set-wise, and what differs is kept.

One connection and one transaction for a run: what was compared is one state of the ledger, and a run that breaks off
leaves nothing behind.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from postrail.adapters.postgres.queries import statements
from postrail.domain.errors import Retryable
from postrail.domain.reconciliation import AuthorizedPayment, Break, BreakKind, SettlementLine

_SQL: Final = statements("reconcile.sql")
_ROWS_PER_WRITE: Final = 2_000
_CONNECT_SECONDS: Final = 10
_STATEMENT_SECONDS: Final = 600
_MEMORY: Final = "256MB"
"""For the hashes over whole sides; a run is alone in its connection."""

_PIPELINE: Final = (
    "find_missing",
    "find_extra",
    "find_changed",
    "find_two_ends",
    "find_declined_but_posted",
    "find_duplicates",
    "forget_missing_duplicates",
    "find_waiting_sequences",
    "find_stale_holds",
)
_SETTLEMENT: Final = (
    "match_lines",
    "sum_matched_lines",
    "match_totals",
    "unfold_totals",
    "find_settled_differently",
    "find_totals_that_differ",
    "find_settled_unposted",
    "find_unsettled",
)
_OF_SETTLEMENT: Final = tuple(
    kind for kind in BreakKind if kind.value.startswith("settled") or kind is BreakKind.UNSETTLED
)


@dataclass(frozen=True, slots=True)
class Span:
    """What is reconciled: authorizations from `start` until before `end`.

    Younger ones than `grace` may still be on their way; a posting may wait `settlement_days` for its settlement.
    Differences of `tolerance_minor` and less between posting and settlement are none.
    """

    start: datetime
    end: datetime
    grace: timedelta = timedelta(minutes=15)
    settlement_days: int = 3
    tolerance_minor: int = 0

    def parameters(self, now: datetime) -> dict[str, Any]:
        """For the statements."""
        return {
            "period_from": self.start,
            "period_to": self.end,
            "due_before": min(self.end, now - self.grace),
            "settled_before": now - timedelta(days=self.settlement_days),
            "tolerance_minor": self.tolerance_minor,
            "now": now,
        }


@dataclass(frozen=True, slots=True)
class Sides:
    """What is compared with the ledger. Each is read once.

    `authorizations_complete` says that they hold every payment of the time, however it came: then what the ledger has
    besides is extra. `letters` are payment ids in dead-letter queues with the queue's name.
    """

    authorizations: Iterable[AuthorizedPayment] = ()
    authorizations_complete: bool = False
    settlement: Iterable[SettlementLine] | None = None
    letters: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run compared and found: rows by side, breaks and what is at stake by kind, seconds by step."""

    run_id: str
    sides: dict[str, int]
    breaks: dict[str, tuple[int, int]]
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All breaks of the run that nobody accepted."""
        return sum(count for count, _ in self.breaks.values())


class PostgresReconciliation:
    """Runs comparisons and knows the breaks."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def compare(self, run_id: str, period: Span, sides: Sides, *, now: datetime | None = None) -> Outcome:
        """Compare the sides with the ledger and keep what differs. Raises Retryable when the database is away."""
        now = now or datetime.now(UTC)
        parameters = period.parameters(now) | {"run_id": run_id, "complete": sides.authorizations_complete}
        with self._connected() as connection:
            connection.execute(f"SET LOCAL work_mem = '{_MEMORY}'")
            connection.execute("SET LOCAL temp_buffers = '64MB'")
            run = _Run(connection, parameters)
            run.do("make_sides")
            of_the_time = (each for each in sides.authorizations if period.start <= each.authorized_at < period.end)
            run.copy("copy_authorizations", map(_authorization_row, of_the_time))
            run.copy("copy_letters", (f"{payment_id[4:]}\t{_text(queue)}\n" for payment_id, queue in sides.letters))
            kinds = [kind for kind in BreakKind if kind not in _OF_SETTLEMENT]
            if sides.settlement is not None:
                run.copy("copy_settlement", map(_settlement_row, sides.settlement))
                kinds += _OF_SETTLEMENT
            for name in ("read_ledger", "read_scheme_amounts", "read_ends", "analyze_sides", *_PIPELINE):
                run.do(name)
            if sides.settlement is not None:
                for name in _SETTLEMENT:
                    run.do(name)
            counted = run.fetch("count_sides")[0]
            run.do("open_run")
            run.do("keep_breaks")
            run.do("resolve_breaks", kinds=[kind.value for kind in kinds])
            run.do("close_run", sides=Jsonb(counted))
            found = run.fetch("count_breaks")
        breaks = {row["kind"]: (row["breaks"], row["amount_minor"]) for row in found}
        return Outcome(run_id, counted, breaks, run.seconds)

    def accept(self, beginning: str) -> list[str]:
        """Accept the open breaks whose key begins so: later runs count them no more. Returns their keys."""
        parameters = {"beginning": f"{beginning}%", "now": datetime.now(UTC)}
        with self._connected() as connection:
            return [row["break_key"] for row in _Run(connection, parameters).fetch("accept_break")]

    def breaks(
        self, *, run_id: str | None = None, kind: BreakKind | None = None, status: str | None = None, limit: int = 1_000
    ) -> list[Break]:
        """The breaks that were found, by kind and time. Raises Retryable."""
        parameters = {"run_id": run_id, "kind": kind.value if kind else None, "status": status, "limit": limit}
        with self._connected() as connection:
            rows = _Run(connection, parameters).fetch("list_breaks")
        return [Break(**{**row, "kind": BreakKind(row["kind"])}) for row in rows]

    @contextmanager
    def _connected(self) -> Iterator["psycopg.Connection[dict[str, Any]]"]:
        options = f"-c statement_timeout={_STATEMENT_SECONDS * 1000} -c timezone=UTC -c jit=off"
        try:
            with psycopg.connect(
                self._dsn,
                connect_timeout=_CONNECT_SECONDS,
                application_name="postrail-reconcile",
                options=options,
                row_factory=dict_row,
            ) as connection:
                yield connection
        except psycopg.OperationalError as error:
            msg = f"the ledger's database is away: {str(error).strip().splitlines()[0]}"
            raise Retryable(msg) from error


class _Run:
    """The statements of one run, timed."""

    def __init__(self, connection: "psycopg.Connection[dict[str, Any]]", parameters: dict[str, Any]) -> None:
        self._connection = connection
        self._parameters = parameters
        self.seconds: dict[str, float] = {}

    def do(self, name: str, **more: Any) -> None:
        with self._timed(name):
            # Several statements in one, as in make_sides, take no parameters.
            statement = _statement(name)
            self._connection.execute(statement, self._parameters | more if b"%(" in statement else None)

    def fetch(self, name: str) -> list[dict[str, Any]]:
        statement = _statement(name)
        return self._connection.execute(statement, self._parameters if b"%(" in statement else None).fetchall()

    def copy(self, name: str, rows: Iterable[str]) -> None:
        with self._timed(name), self._connection.cursor() as cursor, cursor.copy(_statement(name)) as copy:
            waiting: list[str] = []
            for row in rows:
                waiting.append(row)
                if len(waiting) == _ROWS_PER_WRITE:
                    copy.write("".join(waiting))
                    waiting.clear()
            copy.write("".join(waiting))

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began = datetime.now(UTC)
        yield
        self.seconds[name] = (datetime.now(UTC) - began).total_seconds()


def _statement(name: str) -> bytes:
    # Ours, from the package's own file: no text of others is in it.
    return _SQL[name].encode()


def _authorization_row(each: AuthorizedPayment) -> str:
    return (
        f"{each.payment_id[4:]}\t{_text(each.payment_key)}\t{each.fingerprint}\t{each.amount_minor}\t{each.currency}\t"
        f"{_text(each.acceptor_id)}\t{_text(each.correlation_id)}\t{each.authorized_at.isoformat()}\t"
        f"{'t' if each.posts else 'f'}\n"
    )


def _settlement_row(line: SettlementLine) -> str:
    return (
        f"{line.line_no}\t{_text(line.reference)}\t{_text(line.acceptor_id)}\t{line.amount_minor}\t{line.currency}\t"
        f"{line.value_date}\n"
    )


def _text(value: str) -> str:
    """As COPY's text format wants it (PostgreSQL documentation, COPY, Text Format)."""
    if "\\" in value or "\t" in value or "\n" in value or "\r" in value:
        for plain, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
            value = value.replace(plain, escaped)
    return value
