"""The one owner of logs and metrics: powertools' Logger and Metrics, and what a batch says of itself.

Every line is JSON and carries the stage; lines about payments carry their `payment_id` and `correlation_id`. Bodies
are never logged, and whatever text a line brings along, no clear card number gets past `write_line`. Metrics leave
as EMF lines on standard output (CloudWatch embedded metric format): one for each batch, and one for each reason that
something was refused for.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson
from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from aws_lambda_powertools.metrics.functions import is_metrics_disabled
from aws_lambda_powertools.metrics.provider import cold_start

from postrail.domain.card import holds_clear_pan, scrub_pans
from postrail.ports import DeadLetter

NAMESPACE: Final = "Postrail"
"""Of metrics whose process was told no namespace of its own."""
IDS_PER_LINE_MAX: Final = 50
"""CloudWatch Logs Insights finds at most 200 fields of a line, and each id of a list is one."""
_LINES_PER_BATCH_MAX: Final = 20
_FREE_TEXTS: Final = ("message", "detail", "error_text", "exception")
_SHORTEST_PAN: Final = 13

PaymentIds = tuple[str, str]
"""Payment id and correlation id."""


def write_line(line: dict[str, Any]) -> str:
    """One log line as JSON, clear card numbers masked but for their last four digits.

    Texts that people or libraries wrote are searched for digits in groups too; the rest, ids above all, for numbers
    that stand apart.
    """
    for name in _FREE_TEXTS:
        text = line.get(name)
        if isinstance(text, str) and len(text) >= _SHORTEST_PAN:
            line[name] = scrub_pans(text)
    try:
        written = orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # Half of a surrogate pair, or an integer beyond 64 bits: what can be written of it as text.
        written = orjson.dumps({str(name): _printable(value) for name, value in line.items()})
    if holds_clear_pan(written):
        written = orjson.dumps(_masked(orjson.loads(written)))
    return written.decode()


def _masked(value: Any) -> Any:
    """Plain JSON data with card numbers masked wherever they stand; a number that is one becomes a text."""
    if isinstance(value, dict):
        return {scrub_pans(name): _masked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    if isinstance(value, str) or (isinstance(value, int | float) and holds_clear_pan(str(value).encode())):
        return scrub_pans(str(value))
    return value


def _printable(value: object) -> str:
    return str(value).encode("ascii", "backslashreplace").decode()


logger: Final = Logger(
    service="postrail",
    level="INFO",
    location=None,
    json_serializer=write_line,
    serialize_stacktrace=False,
    use_rfc3339=True,
    utc=True,
)
"""The process's logger; `Telemetry` tells it stage and level."""


def begin_invocation(context: object) -> None:
    """Put Lambda's request id on every line until the next invocation, and whether it is the process's first.

    A context without a request id (a test, another caller) leaves the line without one.
    """
    logger.append_keys(
        function_request_id=getattr(context, "aws_request_id", None), cold_start=cold_start.is_cold_start
    )
    cold_start.is_cold_start = False


class Telemetry:
    """What one function or process tells of its work. Not for several threads at once."""

    def __init__(self, stage: str, *, level: str = "INFO", namespace: str = NAMESPACE) -> None:
        """`level` is a name of the logging module, e.g. INFO; `stage` is the dimension `service` of all metrics.

        Where powertools is told to keep metrics to itself (POWERTOOLS_METRICS_DISABLED), none are gathered.
        """
        logger.setLevel(level)
        logger.append_keys(stage=stage)
        self._stage = stage
        self._namespace = namespace or NAMESPACE
        self._metrics = None if is_metrics_disabled() else EphemeralMetrics(namespace=self._namespace, service=stage)
        self._refusals: dict[str, int] = {}

    def count(self, name: str, number: int = 1) -> None:
        """Add to a metric of the batch at hand; it leaves with the batch."""
        self.measure(name, number, MetricUnit.Count)

    def measure(self, name: str, value: float, unit: MetricUnit = MetricUnit.Milliseconds) -> None:
        """One more value of a distribution, or the value of a gauge. Percentiles are CloudWatch's business.

        A line takes 100 values of a metric: with the hundredth what was gathered leaves, and the next begins anew.
        """
        if self._metrics is not None:
            self._metrics.add_metric(name=name, unit=unit, value=value)

    def refuse(self, reason: str, number: int = 1) -> None:
        """So many payments end here for this reason: the metric RefusedFor, with a dimension `reason`."""
        if self._metrics is not None:
            self._refusals[reason] = self._refusals.get(reason, 0) + number

    def batch(
        self, *, received: int, published: int, refused: int, failed: int, payments: Sequence[PaymentIds] = ()
    ) -> None:
        """One line and one set of metrics for a batch, also for an empty one.

        The line of a single payment has its ids as any other line; of several it has lists. What does not fit into
        one line goes on in the next.
        """
        lines = _id_lines(payments)
        logger.info(
            "batch",
            received=received,
            published=published,
            refused=refused,
            failed=failed,
            **next(lines, {}),
        )
        for ids in lines:
            logger.info("batch, more of its payments", **ids)
        for name, number in (
            ("Received", received),
            ("Published", published),
            ("Refused", refused),
            ("Failed", failed),
        ):
            self.count(name, number)
        self.flush()

    def counts(self, message: str, **counts: int) -> None:
        """One line, and a metric for each count: `holds_expired` is the metric HoldsExpired."""
        logger.info(message, extra=dict(counts))
        for name, number in counts.items():
            self.count("".join(word.capitalize() for word in name.split("_")), number)
        self.flush()

    def flush(self) -> None:
        """Write what was counted and measured since the last time."""
        if self._metrics is not None and self._metrics.metric_set:
            self._metrics.flush_metrics()
        for reason, number in self._refusals.items():
            of_reason = {"service": self._stage, "reason": reason}
            with single_metric(
                "RefusedFor", MetricUnit.Count, number, namespace=self._namespace, default_dimensions=of_reason
            ):
                pass
        self._refusals.clear()

    def refused(self, letter: DeadLetter) -> None:
        """A message went to the dead letters for good."""
        logger.warning(
            "refused",
            reason=letter.reason.value,
            detail=letter.detail,
            payment_id=letter.payment_id,
            correlation_id=letter.correlation_id,
        )
        self.refuse(letter.reason.value)

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


def _id_lines(payments: Sequence[PaymentIds]) -> Iterator[dict[str, Any]]:
    """The ids of payments as they stand in log lines, so many lines as are needed within the bound."""
    if len(payments) == 1:
        yield {"payment_id": payments[0][0], "correlation_id": payments[0][1]}
        return
    for start in range(0, min(len(payments), IDS_PER_LINE_MAX * _LINES_PER_BATCH_MAX), IDS_PER_LINE_MAX):
        some = payments[start : start + IDS_PER_LINE_MAX]
        # A run's payments share one correlation id.
        yield {
            "payment_ids": [payment_id for payment_id, _ in some],
            "correlation_ids": list(dict.fromkeys(correlation_id for _, correlation_id in some)),
        }
