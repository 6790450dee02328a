"""What links count, under the names that operators know from other switches."""

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Counters:
    """Counts since the start; `pending` is how many wait now.

    tx, rx        messages sent and received, network management included
    tx_expired    requests that got no answer in time
    rx_expired    answers that came after that
    pending       requests on the way
    unhandled     messages that nobody waits for: answers to no request, and types that cannot be handled
    duplicates    requests refused because one with their key was on the way
    rejected      messages that could not be read
    refused       connections and requests turned away at a bound
    """

    tx: int = 0
    rx: int = 0
    tx_expired: int = 0
    rx_expired: int = 0
    pending: int = 0
    unhandled: int = 0
    duplicates: int = 0
    rejected: int = 0
    refused: int = 0

    def as_dict(self) -> dict[str, int]:
        """All of them by name."""
        return asdict(self)
