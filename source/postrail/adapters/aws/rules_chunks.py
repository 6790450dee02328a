"""What apply_rules returns to the state machine: PutEvents requests, ready to be sent."""

from collections.abc import Sequence
from typing import Any

from postrail.adapters.aws.batches import by_size
from postrail.adapters.aws.bus import ENTRIES_MAX, REQUEST_BYTES_MAX, entry_bytes, put_entry
from postrail.contracts.events import Event
from postrail.stages.follow_up import encode_event


class ChunkedEntries:
    """Cuts events into chunks that fit one PutEvents request each; the state machine sends them."""

    def __init__(self, bus_name: str) -> None:
        self._bus_name = bus_name

    def __call__(self, events: Sequence[Event[Any]]) -> tuple[list[Event[Any]], dict[str, Any]]:
        """Nothing to publish, and {"chunks": [[entry, ...], ...]} to return."""
        encoded = [(event.data.detail_type(), encode_event(event)) for event in events]
        sizes = [entry_bytes(detail_type, detail) for detail_type, detail in encoded]
        runs = by_size(sizes, count_max=ENTRIES_MAX, bytes_max=REQUEST_BYTES_MAX)
        return [], {"chunks": [[put_entry(*encoded[index], self._bus_name) for index in run] for run in runs]}
