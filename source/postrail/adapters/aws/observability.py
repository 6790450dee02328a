"""The one owner of logs and metrics: powertools' Logger and Metrics, and what a batch says of itself.

Every line carries the stage; lines about one payment carry `payment_id` and `correlation_id`. Bodies are never
logged. Metrics leave as one EMF line a batch.
"""

from collections.abc import Sequence
from typing import Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from postrail.ports import DeadLetter

NAMESPACE: Final = "Postrail"
_IDS_LOGGED_MAX: Final = 10

logger: Final = Logger(service="postrail", level="INFO", location=None)
"""The process's logger; `Telemetry` tells it stage and level."""


class Telemetry:
    """What one function tells of its batches."""

    def __init__(self, stage: str, *, level: str = "INFO") -> None:
        """`level` is a name of the logging module, e.g. INFO."""
        logger.setLevel(level)
        logger.append_keys(stage=stage)
        self._metrics = Metrics(namespace=NAMESPACE, service=stage)

    def batch(self, *, received: int, published: int, refused: int, failed: int, payment_ids: Sequence[str]) -> None:
        """One line and one set of metrics for a batch, also for an empty one."""
        logger.info(
            "batch",
            received=received,
            published=published,
            refused=refused,
            failed=failed,
            payments=list(payment_ids[:_IDS_LOGGED_MAX]),
        )
        for name, count in (("Received", received), ("Published", published), ("Refused", refused), ("Failed", failed)):
            self._metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
        self._metrics.flush_metrics()

    def counts(self, message: str, **counts: int) -> None:
        """One line, and a metric for each count: `holds_expired` is the metric HoldsExpired."""
        logger.info(message, extra=dict(counts))
        for name, count in counts.items():
            metric = "".join(word.capitalize() for word in name.split("_"))
            self._metrics.add_metric(name=metric, unit=MetricUnit.Count, value=count)
        self._metrics.flush_metrics()

    def refused(self, letter: DeadLetter) -> None:
        """A message went to the dead letters for good."""
        logger.warning(
            "refused",
            reason=letter.reason.value,
            detail=letter.detail,
            payment_id=letter.payment_id,
            correlation_id=letter.correlation_id,
        )

    def failed(self, error: Exception, *, payment_id: str | None, correlation_id: str | None) -> None:
        """A message could not be processed now and will be delivered again."""
        logger.warning(
            "failed",
            error=type(error).__name__,
            error_text=str(error),
            payment_id=payment_id,
            correlation_id=correlation_id,
        )

    def broken(self, error: Exception, *, payment_id: str | None, correlation_id: str | None) -> None:
        """A message met an error that nobody foresaw; with its traceback, since that is a defect."""
        logger.error(
            "unexpected error",
            exc_info=(type(error), error, error.__traceback__),
            payment_id=payment_id,
            correlation_id=correlation_id,
        )
