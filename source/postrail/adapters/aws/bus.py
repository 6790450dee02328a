"""The event bus on EventBridge."""

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from postrail.adapters.aws.batches import by_size, pause_s
from postrail.adapters.aws.clients import error_code
from postrail.adapters.aws.observability import IDS_PER_LINE_MAX, logger
from postrail.contracts.events import SOURCE, Event
from postrail.stages.decode import ids_in
from postrail.stages.follow_up import encode_event

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

ENTRIES_MAX: Final = 10
REQUEST_BYTES_MAX: Final = 240 * 1024
"""EventBridge takes 256 KB in a request of ten; the rest is for what it counts besides the detail."""
_ATTEMPTS_MAX: Final = 5


class EventBridgeBus:
    """`ports.EventBus` over PutEvents. A request may fail in part: the answer is always read to its end."""

    def __init__(
        self, client: "EventBridgeClient", bus_name: str, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._bus_name = bus_name
        self._sleep = sleep

    def publish(self, events: "Sequence[Event[Any]]") -> list[int]:
        """Publish the events; returns the indexes of those that the bus did not take in the end."""
        return self.publish_raw([(event.data.detail_type(), encode_event(event)) for event in events])

    def publish_raw(self, entries: Sequence[tuple[str, str]]) -> list[int]:
        """Publish (detail type, detail JSON) pairs; returns the indexes of those not taken in the end."""
        sizes = [entry_bytes(detail_type, detail) for detail_type, detail in entries]
        # One entry over the limit makes EventBridge refuse its whole request: it must not take neighbours along.
        too_large = [index for index, size in enumerate(sizes) if size > REQUEST_BYTES_MAX]
        waiting = [index for index, size in enumerate(sizes) if size <= REQUEST_BYTES_MAX]
        for attempt in range(_ATTEMPTS_MAX):
            if not waiting:
                break
            if attempt:
                self._sleep(pause_s(attempt))
            runs = by_size([sizes[index] for index in waiting], count_max=ENTRIES_MAX, bytes_max=REQUEST_BYTES_MAX)
            waiting = [index for run in runs for index in self._put(entries, [waiting[position] for position in run])]
        return sorted(too_large + waiting)

    def _put(self, entries: Sequence[tuple[str, str]], indexes: list[int]) -> list[int]:
        request = [put_entry(*entries[index], self._bus_name) for index in indexes]
        try:
            answer = self._client.put_events(Entries=request)
        except (BotoCoreError, ClientError) as error:
            logger.warning(
                "the bus did not answer",
                code=error_code(error),
                entries=len(indexes),
                **logged_ids(entries[index][1] for index in indexes),
            )
            return indexes
        if not answer["FailedEntryCount"]:
            return []
        results = zip(indexes, answer["Entries"], strict=True)
        failed = {index: result.get("ErrorCode") for index, result in results if result.get("ErrorCode")}
        logger.warning(
            "the bus refused entries",
            codes=sorted(set(map(str, failed.values()))),
            entries=len(failed),
            **logged_ids(entries[index][1] for index in failed),
        )
        return list(failed)


def logged_ids(details: Iterable[str]) -> dict[str, Any]:
    """The ids of the payments that events (as JSON) tell of, for a log line; as many as a line takes."""
    found = [ids_in(detail) for detail in islice(details, IDS_PER_LINE_MAX)]
    return {
        "payment_ids": [payment_id for payment_id, _ in found if payment_id],
        "correlation_ids": list(dict.fromkeys(correlation_id for _, correlation_id in found if correlation_id)),
    }


def entry_bytes(detail_type: str, detail: str) -> int:
    """What EventBridge counts of an entry: source, detail type and detail in UTF-8."""
    return len(SOURCE) + len(detail_type) + len(detail.encode(errors="surrogatepass"))


def put_entry(detail_type: str, detail: str, bus_name: str) -> "PutEventsRequestEntryTypeDef":
    """One entry of a PutEvents request."""
    return {"Source": SOURCE, "DetailType": detail_type, "Detail": detail, "EventBusName": bus_name}
