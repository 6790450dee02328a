"""Figures of a graph on one machine, where no metrics are kept: from its database, its queues and its bucket."""

from collections.abc import Callable, Mapping
from typing import Any

from postrail.adapters.postgres.connection import Database
from postrail.domain.errors import Permanent, Retryable
from postrail.figures.catalogue import Catalogue
from postrail.figures.ledger_figures import LedgerFigures, ledger_now
from postrail.figures.queue_figures import QueueFigures, count_parked
from postrail.figures.series import Readings, SeriesReading, Window, unknown

Reader = Callable[[], list[SeriesReading]]
"""Reads one figure."""


def read_ledger(database: Database, buckets: int, *, overdue_seconds: int) -> tuple[Window, dict[str, Reader]]:
    """The window that ends at the database's own now, and what it can tell of it. Raises Retryable."""
    window = Window(ledger_now(database), buckets)
    return window, LedgerFigures(database, window, overdue_seconds=overdue_seconds).readings()


def queue_readers(
    sqs: Any, s3: Any, window: Window, *, queues: Mapping[str, str], dead_letters: Mapping[str, str], parked: str
) -> dict[str, Reader]:
    """What queues and the bucket `parked` can tell, by the names that the catalogue uses."""
    figures = QueueFigures(sqs, queues, dead_letters, window)
    return {
        "queue_depth": figures.depths,
        "queue_age": figures.ages,
        "dead_letters": figures.dead_letters,
        "parked": lambda: count_parked(s3, parked, window),
    }


def read_all(catalogue: Catalogue, readers: Mapping[str, Reader], *, otherwise: str) -> Readings:
    """Every figure that names a reading. One that fails is told so, and the others are read.

    `otherwise` is said of what nobody here can read.
    """
    return {
        figure.id: _read(readers.get(figure.local), otherwise)
        for figure in catalogue.figures
        if figure.local is not None
    }


def _read(reader: Reader | None, otherwise: str) -> list[SeriesReading]:
    if reader is None:
        return unknown(otherwise)
    try:
        return reader()
    except (Retryable, Permanent) as error:
        return unknown(str(error))
