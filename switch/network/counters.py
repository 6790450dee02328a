"""What a network counts. Links count for themselves (`switch.links.counters`)."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class NetworkCounters:
    """Counts since the start.

    received          requests and advices from cardholders
    answers           answers to them, by action code (DE 39)
    repeats           messages answered with what was answered before
    conflicts         messages refused because another was known under their key (913)
    answered          authorizations that banks have answered in time
    timed_out         authorizations that they have not; each has a stored reversal
    invalid_answers   authorizations answered with what cannot be believed; each has a stored reversal
    late_approvals    approvals that came after their time; the stored reversal neutralises them
    late_declines     other answers that came after their time
    stand_in_approved approvals in a bank's stead
    stand_in_declined payments that could not be approved in a bank's stead
    refused_at_bound  requests refused because too much was on the way
    unanswerable      answers whose cardholder had gone
    not_passed_on     reversals of what was refused here
    delivered         stored messages that their bank acknowledged
    retransmitted     stored messages sent again
    refused_advices   stored messages that their bank refused
    expired_advices   stored messages that their bank never acknowledged
    alarms            stored messages that were sent in vain as often as an alarm is raised for
    """

    received: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    conflicts: int = 0
    answered: int = 0
    timed_out: int = 0
    invalid_answers: int = 0
    late_approvals: int = 0
    late_declines: int = 0
    stand_in_approved: int = 0
    stand_in_declined: int = 0
    refused_at_bound: int = 0
    unanswerable: int = 0
    not_passed_on: int = 0
    delivered: int = 0
    retransmitted: int = 0
    refused_advices: int = 0
    expired_advices: int = 0
    alarms: int = 0

    def as_dict(self) -> dict[str, object]:
        """All of them by name."""
        named: dict[str, object] = {name: getattr(self, name) for name in self.__slots__}
        named["answers"] = dict(self.answers)
        return named
