"""What a batch task tells for the logs and metrics of its account: one JSON line and one set of metrics for a run.

People who run a batch at a terminal have its report; a task is one when its environment names a namespace of metrics.
"""

import os
from dataclasses import asdict
from typing import Final

from postrail.batch.run import RunReport
from postrail.settings import Settings

_METRICS: Final = {
    "posted": "Posted",
    "duplicates": "Duplicates",
    "conflicts": "Conflicts",
    "rejected": "Rejected",
    "referred": "Referred",
    "malformed": "Refused",
    "failed": "PostingFailed",
}
"""The names that the stages use; the dimension `service` is batch."""


def tell_run(name: str, report: RunReport) -> None:
    """Tell how a run ended. Its id is the correlation id of its payments.

    A run that was resumed is counted by its rows alone: what an earlier start had done was told by nobody, or by that.
    """
    settings = Settings()
    if not settings.metrics_namespace:
        return
    # Metrics are for tasks alone, and their library is not quick to import.
    from postrail.adapters.aws.observability import Telemetry, logger  # noqa: PLC0415

    telemetry = Telemetry("batch", level=settings.log_level, namespace=settings.metrics_namespace)
    logger.info(
        "run ended",
        file=os.path.basename(name),  # noqa: PTH119 - the name may be an s3:// URI
        correlation_id=report.run.run_id,
        known=report.known,
        resumed=report.resumed,
        seconds=round(report.seconds, 1),
        **asdict(report.counts),
    )
    telemetry.count("Received", report.lines_now)
    if not (report.known or report.resumed):
        for field, metric in _METRICS.items():
            telemetry.count(metric, getattr(report.counts, field))
    telemetry.flush()
