"""Figures of a graph on one machine, where no metrics are kept: from its database, its queues and its bucket."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from postrail.adapters.postgres.connection import Database
from postrail.capacity.costs import MILLION, bill_events
from postrail.capacity.data import load_capacity
from postrail.capacity.design import configured
from postrail.domain.errors import Permanent, PostrailError, Retryable
from postrail.figures.catalogue import Catalogue
from postrail.figures.ledger_figures import LedgerFigures, ledger_now
from postrail.figures.queue_figures import QueueFigures, count_parked
from postrail.figures.series import Point, Readings, SeriesReading, Window, unknown

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


def price_payments(config_dir: Path, region: str, posted_per_second: float) -> list[SeriesReading]:
    """What a thousand payments would cost in an account, by kind of service, at the rate at which they are posted.

    By the model and the list prices of `postrail capacity`: nothing is billed on one machine.
    """
    if posted_per_second <= 0:
        return unknown("nothing was posted")
    try:
        data = load_capacity(config_dir)
        bill = bill_events(data, configured(data), rate=posted_per_second, region=region)
    except PostrailError as error:
        return unknown(str(error))
    now = datetime.now(UTC)
    return [SeriesReading(group, (Point(now, usd * 1_000 / MILLION),)) for group, usd in bill.by_group().items()]


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
