"""Figures of queues and of the parked bucket, asked of SQS and S3 themselves."""

from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from postrail.adapters.aws.clients import error_code
from postrail.figures.series import Point, SeriesReading, Window, unknown

PARKED_PAGES_MAX: Final = 10
"""A page lists a thousand objects."""
_VISIBLE: Final = "ApproximateNumberOfMessages"


class QueueFigures:
    """How many messages wait. What cannot be asked is told with the service's error code."""

    def __init__(self, sqs: Any, queues: Mapping[str, str], dead_letter_queues: Mapping[str, str], at: Window) -> None:
        """Queues by name, with their URLs."""
        self._sqs = sqs
        self._queues = queues
        self._dead_letter_queues = dead_letter_queues
        self._at = at.end
        self._depths: dict[str, SeriesReading] = {}

    def depths(self) -> list[SeriesReading]:
        """Messages that wait for a stage."""
        return [self._depth(name, url) for name, url in self._queues.items()]

    def ages(self) -> list[SeriesReading]:
        """Seconds that the oldest message waits: 0 in an empty queue, otherwise CloudWatch's alone to know."""
        return [
            SeriesReading(depth.label, depth.points if depth.latest() == 0 else (), depth.why or "SQS does not say")
            for depth in self.depths()
        ]

    def dead_letters(self) -> list[SeriesReading]:
        """Messages in dead-letter queues. They are counted and not received."""
        return [self._depth(name, url) for name, url in self._dead_letter_queues.items()]

    def _depth(self, name: str, url: str) -> SeriesReading:
        if name not in self._depths:
            self._depths[name] = self._ask(name, url)
        return self._depths[name]

    def _ask(self, name: str, url: str) -> SeriesReading:
        try:
            answer = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[_VISIBLE])
            return SeriesReading(name, (Point(self._at, float(answer["Attributes"][_VISIBLE])),))
        except (BotoCoreError, ClientError) as error:
            return SeriesReading(name, (), error_code(error))


def count_parked(s3: Any, bucket: str, at: Window) -> list[SeriesReading]:
    """How many events lie in the parked bucket, counted up to ten thousand: there are at least so many then."""
    number = 0
    more: dict[str, str] = {}
    try:
        for _ in range(PARKED_PAGES_MAX):
            answer = s3.list_objects_v2(Bucket=bucket, MaxKeys=1_000, **more)
            number += int(answer.get("KeyCount", len(answer.get("Contents", []))))
            if not answer.get("IsTruncated"):
                break
            more = {"ContinuationToken": answer["NextContinuationToken"]}
    except (BotoCoreError, ClientError) as error:
        return unknown(error_code(error), "parked")
    return [SeriesReading("parked", (Point(at.end, float(number)),))]
