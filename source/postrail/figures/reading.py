"""Reads the figures of a graph, wherever it runs: the one entry of `postrail status` and of pictures of dashboards."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from postrail.adapters.postgres.connection import Database
from postrail.domain.errors import ConfigInvalid, Retryable
from postrail.figures.catalogue import Catalogue
from postrail.figures.cloudwatch import read_cloudwatch
from postrail.figures.local_figures import Reader, price_payments, queue_readers, read_all, read_ledger
from postrail.figures.resolved import resolve_series
from postrail.figures.series import HISTORY_BUCKETS, STATUS_BUCKETS, Readings, SeriesReading, Window

OVERDUE_SECONDS: Final = 900
"""How long a posting sequence may wait, where nobody set it otherwise."""


class ObservedOutputs(Protocol):
    """What must be known of a graph from its outputs."""

    @property
    def queues(self) -> Mapping[str, Any]:
        """Queues by name, each with a `url` that is None where a stage has no queue."""
        ...

    @property
    def parked_bucket(self) -> str:
        """The bucket of parked events."""
        ...

    @property
    def region(self) -> str:
        """AWS region."""
        ...

    @property
    def observability(self) -> Mapping[str, Any]:
        """`namespace` of own metrics, and real `names` by kind; empty where the graph was deployed without."""
        ...


class ObservedGraph(Protocol):
    """A deployed graph and the way to it (`postrail.cli.graph.Graph`)."""

    @property
    def outputs(self) -> ObservedOutputs:
        """What Terraform says of it."""
        ...

    @property
    def cloud(self) -> object | None:
        """None for a real account."""
        ...

    def client(self, service: str) -> Any:
        """A boto3 client."""
        ...

    def dead_letter_queues(self) -> dict[str, str]:
        """URLs by name."""
        ...

    def ledger_dsn(self) -> str:
        """Where the ledger is."""
        ...


class GraphFigures:
    """The figures of one graph, read again and again over the same connections. Use as a context manager."""

    def __init__(
        self,
        catalogue: Catalogue,
        graph: ObservedGraph,
        *,
        config_dir: Path | None = None,
        overdue_seconds: int = OVERDUE_SECONDS,
    ) -> None:
        """`config_dir` is where prices are, without it nothing is priced on one machine.

        `overdue_seconds` is how long a posting sequence may wait.
        """
        self._catalogue = catalogue
        self._config_dir = config_dir
        self._graph = graph
        self._overdue_seconds = overdue_seconds
        self._ledger: Database | None = None

    def read(self, buckets: int = STATUS_BUCKETS) -> tuple[Window, Readings]:
        """Every figure of the last `buckets` minutes, and the window that they are of.

        Raises ConfigInvalid when a real account's outputs do not name its metrics, and Retryable when a graph on one
        machine does not answer at all.
        """
        return self._read_local(buckets) if self._graph.cloud is not None else self._read_account(buckets)

    def close(self) -> None:
        """Close the connection to the ledger."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _read_account(self, buckets: int) -> tuple[Window, Readings]:
        observability = self._graph.outputs.observability
        if not observability.get("names") or not observability.get("namespace"):
            raise ConfigInvalid("The outputs have no `observability`: run `terraform apply` with this version again.")
        series = resolve_series(self._catalogue, observability["names"], str(observability["namespace"]))
        window = Window(datetime.now(UTC), buckets)
        return window, read_cloudwatch(self._graph.client("cloudwatch"), series, window)

    def _read_local(self, buckets: int) -> tuple[Window, Readings]:
        if self._ledger is None:
            self._ledger = Database(self._graph.ledger_dsn(), application_name="postrail-status")
        window, away = Window(datetime.now(UTC), buckets), ""
        readers: dict[str, Reader] = {}
        try:
            window, readers = read_ledger(self._ledger, buckets, overdue_seconds=self._overdue_seconds)
        except Retryable as error:
            away = str(error)
        outputs = self._graph.outputs
        readers |= queue_readers(
            self._graph.client("sqs"),
            self._graph.client("s3"),
            window,
            queues={name: queue.url for name, queue in outputs.queues.items() if queue.url},
            dead_letters=self._graph.dead_letter_queues(),
            parked=outputs.parked_bucket,
        )
        if not away and self._config_dir is not None:
            readers["cost"] = partial(self._price, self._config_dir, readers["postings"], window)
        readings = read_all(self._catalogue, readers, otherwise=away or "not known on one machine")
        if away and not any(reading.points for series in readings.values() for reading in series):
            raise Retryable(away)
        return window, readings

    def _price(self, config_dir: Path, read_postings: Reader, window: Window) -> list[SeriesReading]:
        posted = read_postings()[0].mean() or 0.0
        return price_payments(config_dir, self._graph.outputs.region, posted / window.seconds)


def read_figures(
    graph: ObservedGraph, catalogue: Catalogue, *, config_dir: Path | None = None, minutes: int = HISTORY_BUCKETS
) -> dict[str, list[SeriesReading]]:
    """What each figure of the catalogue showed over the last minutes, one point a minute, by figure id.

    Measures that are not kept (depths of queues on one machine) have one point, of now. Raises as `GraphFigures.read`.
    """
    with GraphFigures(catalogue, graph, config_dir=config_dir) as figures:
        return figures.read(minutes)[1]
