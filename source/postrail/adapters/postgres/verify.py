"""Proves the ledger from its entries: recomputes every balance, every hash, and checks what must always hold.

The database refuses all of this at the time of writing. This looks again, and finds what a restored backup, a
disabled trigger, a broken disk or a hand with too many rights left behind.

The work is done in the database, set by set. The journal is read in ranges of batches, so that neither side needs
more memory when it grows; several connections share the work, and all look at one snapshot.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import asyncpg

from postrail.adapters.postgres.chain import check_anchors
from postrail.adapters.postgres.connection import Database, Isolation
from postrail.adapters.postgres.queries import statements
from postrail.domain.anchor import Anchor
from postrail.domain.errors import Retryable

_SQL: Final = statements("verify.sql")
_JOURNAL: Final = statements("verify_journal.sql")
_BOOKS: Final = statements("verify_books.sql")
_CHAIN: Final = statements("chain.sql")
_LINKS: Final = ("batches_are_linked", "lanes_end_at_their_heads")
_ANCHORS: Final = "anchors_stand_in_the_chain"
_SECONDS_MAX: Final = 3_600
_WORK_MEMORY_MIB: Final = 32
_TRANSACTIONS_PER_RANGE: Final = 25_000
_BATCH_IDS: Final = (-(2**63), 2**63 - 1)

CHECKS: Final = (*_JOURNAL, *_LINKS, _ANCHORS, *_BOOKS)
"""The names of the checks. From the money outwards: what is wrong first explains most of what follows."""


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
    batches: int
    transactions: int
    entries: int
    anchors: int
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


@dataclass(slots=True)
class _Findings:
    """What the workers found so far. Each appends; the reading is done when all have ended."""

    entry_sums: list[tuple[str, int, int]] = field(default_factory=list)
    by_check: dict[str, list[tuple[int, Difference]]] = field(default_factory=dict)
    anchors: int = 0

    def add(self, order: int, difference: Difference) -> None:
        """`order` says which of several findings of one check comes first."""
        self.by_check.setdefault(difference.check, []).append((order, difference))

    def differences(self) -> tuple[Difference, ...]:
        """One for each check that failed: the first finding, and how many there are in all."""
        return tuple(_merge(self.by_check[check]) for check in CHECKS if check in self.by_check)


_Task = Callable[[Database, _Findings], None]
Progress = Callable[[int, int], None]
"""Is told how many steps are done, of how many. Steps are of similar size only within the journal."""


def verify(
    database: Database | str | Callable[[], str],
    *,
    anchors: Iterable[Anchor] = (),
    connections: int = 2,
    progress: Progress | None = None,
) -> VerifyReport:
    """Check the whole ledger as it stands at one instant, while others go on posting. Raises Retryable.

    Every one of `anchors` must stand in the chain. `connections` share the work; `progress` is called from any of
    their threads, one at a time.
    """
    source = Database.of(database)
    try:
        # The newest entries may wait for a block range of their own; without it they are found all the same, slower.
        with suppress(Retryable):
            source.fetch(_SQL["summarize"])
        # Outside the snapshot: an anchor that is taken in the meantime would be newer than it.
        findings = _look_at_anchors(source, anchors)
        with source.transaction(Isolation.SNAPSHOT):
            _be_patient(source)
            _look_at_everything(source, findings, connections, progress or (lambda _done, _total: None))
            return _report(source, findings)
    finally:
        if source is not database:
            source.close()


def _look_at_everything(database: Database, findings: _Findings, connections: int, progress: Progress) -> None:
    tasks = _tasks(database)
    steps = _Steps(len(tasks), progress)
    if connections == 1:
        _work(database, tasks, findings, steps)
        return
    snapshot = str(_fetch(database, _SQL["export_snapshot"])[0]["snapshot"])
    with ThreadPoolExecutor(connections - 1, thread_name_prefix="verify") as threads:
        helpers = [
            threads.submit(_help, database.another(), snapshot, tasks, findings, steps) for _ in range(connections - 1)
        ]
        _work(database, tasks, findings, steps)
        for helper in helpers:
            helper.result()


def _report(database: Database, findings: _Findings) -> VerifyReport:
    counts = _fetch(database, _SQL["counts"])[0]
    sums: dict[str, int] = {}
    for currency, total_minor, _ in findings.entry_sums:
        sums[currency] = sums.get(currency, 0) + total_minor
    return VerifyReport(
        accounts=counts["accounts"],
        batches=counts["batches"],
        transactions=counts["transactions"],
        entries=sum(entries for _, _, entries in findings.entry_sums),
        anchors=findings.anchors,
        entry_sums_minor=dict(sorted(sums.items())),
        balance_sums_minor={row["currency"]: int(row["total_minor"]) for row in _fetch(database, _SQL["balance_sums"])},
        differences=findings.differences(),
    )


# --- the work, and who does it --------------------------------------------------------------------------------------


def _tasks(database: Database) -> deque[_Task]:
    """All that is to be done. The long statements come first, so that the connections end together."""
    tasks: deque[_Task] = deque(partial(_look_at_all, check, sql) for check, sql in _BOOKS.items())
    tasks += [partial(_look_at_all, check, _CHAIN[check]) for check in _LINKS]
    tasks += [partial(_look_at_range, first, last) for first, last in _ranges(database)]
    return tasks


def _ranges(database: Database) -> list[tuple[int, int]]:
    """Ranges of batch ids that leave nothing out: rows of a batch that is gone are looked at too."""
    lasts = [row["last"] for row in _fetch(database, _SQL["ranges"], _TRANSACTIONS_PER_RANGE)][:-1]
    least, most = _BATCH_IDS
    return list(zip([least, *(last + 1 for last in lasts)], [*lasts, most], strict=True))


class _Steps:
    """Counts steps for whoever watches."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._lock = threading.Lock()
        self._total = total
        self._progress = progress
        self._done = 0

    def one_done(self) -> None:
        with self._lock:
            self._done += 1
            self._progress(self._done, self._total)


def _work(database: Database, tasks: deque[_Task], findings: _Findings, steps: _Steps) -> None:
    """Do tasks until none is left. When one fails, nobody begins another."""
    try:
        while True:
            try:
                task = tasks.popleft()
            except IndexError:
                return
            task(database, findings)
            steps.one_done()
    except BaseException:
        tasks.clear()
        raise


def _help(database: Database, snapshot: str, tasks: deque[_Task], findings: _Findings, steps: _Steps) -> None:
    """Work on a connection of its own that sees what the first one sees."""
    try:
        with database.transaction(Isolation.SNAPSHOT):
            database.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
            _be_patient(database)
            _work(database, tasks, findings, steps)
    except BaseException:
        # What is missing makes the whole proof void: the others need not go on.
        tasks.clear()
        raise
    finally:
        database.close()


def _be_patient(database: Database) -> None:
    """Let statements take their time, wait for other connections, and take a bounded amount of memory."""
    database.execute(f"SET LOCAL statement_timeout = '{_SECONDS_MAX}s'")
    database.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    database.execute(f"SET LOCAL work_mem = '{_WORK_MEMORY_MIB}MB'")
    # The connections are what runs in parallel.
    database.execute("SET LOCAL max_parallel_workers_per_gather = 0")


def _fetch(database: Database, sql: str, *arguments: object) -> list[asyncpg.Record]:
    return database.fetch(sql, *arguments, seconds_max=_SECONDS_MAX)


# --- the checks -----------------------------------------------------------------------------------------------------


def _look_at_all(check: str, sql: str, database: Database, findings: _Findings) -> None:
    for row in _fetch(database, sql):
        findings.add(0, Difference(check, row["key"], row["detail"], row["count"]))


def _look_at_range(first: int, last: int, database: Database, findings: _Findings) -> None:
    for row in _fetch(database, _SQL["entry_sums"], first, last):
        findings.entry_sums.append((row["currency"], int(row["total_minor"]), row["entries"]))
    for check, sql in _JOURNAL.items():
        for row in _fetch(database, sql, first, last):
            detail = row["detail"]
            if row.get("batch_id") is not None:
                detail += _suspicion(database, row["batch_id"])
            findings.add(first, Difference(check, row["key"], detail, row["count"]))


def _suspicion(database: Database, batch_id: int) -> str:
    """Which transaction of a batch was written by another hand, where PostgreSQL still knows."""
    rows = _fetch(database, _SQL["rewritten_row"], batch_id)
    return f"; {rows[0]['key']} was written apart from the rest of its batch" if rows else ""


def _look_at_anchors(database: Database, anchors: Iterable[Anchor]) -> _Findings:
    check = check_anchors(database, anchors)
    findings = _Findings(anchors=check.anchors)
    if check.wrong:
        findings.add(0, Difference(_ANCHORS, check.first_key, check.first_detail, check.wrong))
    return findings


def _merge(found: Sequence[tuple[int, Difference]]) -> Difference:
    _, first = min(found, key=lambda each: each[0])
    return Difference(first.check, first.key, first.detail, sum(difference.count for _, difference in found))
