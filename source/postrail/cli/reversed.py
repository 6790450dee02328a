"""What `postrail trace` tells of the issuer: its decision, its hold, and what it undid."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from postrail.adapters.postgres.switch_trace import SwitchTrace
from postrail.adapters.postgres.trace import PaymentTrace
from postrail.cli import console
from postrail.contracts.events import AuthorizationReversed


class Reversed(NamedTuple):
    """All reversals of a payment together. Minor units of `currency`; `reason` is DE 25 of the last."""

    reversed_minor: int
    remaining_minor: int
    currency: str
    reason: str

    def __str__(self) -> str:
        """The words of a summary."""
        return f"{console.format_minor(self.reversed_minor, self.currency)} undone by the issuer (reason {self.reason})"


def reversed_of(found: PaymentTrace) -> Reversed | None:
    """What AuthorizationReversed events say of a payment; in the outbox and in the audit trail they are the same."""
    kind = AuthorizationReversed.detail_type()
    told = [(each.detail_type, each.event) for each in found.outbox]
    told += [(each.detail_type, each.event) for each in found.outcomes]
    events = {str(event["metadata"]["event_id"]): event["data"] for type_, event in told if type_ == kind}
    if not events:
        return None
    last = min(events.values(), key=lambda data: int(data["remaining_minor"]))
    return Reversed(
        sum(int(data["reversed_minor"]) for data in events.values()),
        int(last["remaining_minor"]),
        str(last["currency"]),
        str(last["message_reason"]),
    )


def switch_hops(switch: SwitchTrace) -> Iterator[tuple[str, datetime, str, str]]:
    """The issuer's steps: name, time, what identifies it, a note."""
    decided = switch.authorization
    if decided is not None:
        held = (
            f", {console.format_minor(decided.held_minor, decided.held_currency)} held, now {decided.hold_status}"
            if decided.held_minor is not None and decided.held_currency
            else ""
        )
        completes = f", completes {decided.original}" if decided.original else ""
        note = f"{decided.message_type}/{decided.function_code}, action {decided.action_code}{held}{completes}"
        yield "decided by the issuer", decided.decided_at, decided.hold_id or "", note
    for number, each in enumerate(switch.reversals, start=1):
        yield f"reversal {number} received", each.received_at, "", f"reason {each.reason}, {each.status}"
    for back in switch.taken_back:
        yield "taken back in the ledger", back.recorded_at, back.transaction_id, back.description
