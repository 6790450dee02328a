"""What a stage's events say in numbers: approved, rejected, referred, duplicates, conflicts."""

from collections.abc import Iterable
from typing import Any, Final

from postrail.adapters.aws.observability import Telemetry
from postrail.contracts.events import (
    DuplicateParked,
    Event,
    EventData,
    PaymentApproved,
    PaymentReferred,
    PaymentRejected,
)
from postrail.domain.errors import ReasonCode

_NAMES: Final[dict[type[EventData], str]] = {
    PaymentApproved: "Approved",
    PaymentRejected: "Rejected",
    PaymentReferred: "Referred",
    DuplicateParked: "Duplicates",
}


def count_outcomes(events: Iterable[Event[Any]], telemetry: Telemetry) -> None:
    """Count what ends or decides a payment's road; a rejection also by its reason. Other events count as published.

    A conflict (the same key with other content) is no duplicate: somebody should look at it.
    """
    numbers: dict[str, int] = {}
    for event in events:
        name = _NAMES.get(type(event.data))
        if name is None:
            continue
        if name == "Duplicates" and event.data.reason_code is ReasonCode.CONFLICT:
            name = "Conflicts"
        elif name == "Rejected":
            telemetry.refuse(event.data.reason_code.value)
        numbers[name] = numbers.get(name, 0) + 1
    for name, number in numbers.items():
        telemetry.count(name, number)
