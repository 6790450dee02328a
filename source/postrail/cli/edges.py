"""The edges of the graph, and which of them delivered.

A selftest sends a few marked payments, its probes. What is seen of a probe on its way is a signal with a time. An
edge leads from one signal to the next; it delivered when every probe that gave the first signal gave the second. An
edge whose first signal never came is not blamed: something before it is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Probe(StrEnum):
    """The marked payments of a selftest."""

    TABLE = "table"
    EVENTS = "events"
    TWIN = "twin"
    UNKNOWN = "unknown"
    FROZEN = "frozen"
    MALFORMED = "malformed"


SENT: Final = "sent"
LEDGER: Final = "ledger"
AUDIT: Final = "audit"
ALERT: Final = "alert"
DEAD_LETTER: Final = "dead_letter"

Signals = Mapping[tuple[Probe, str], float]
"""When (seconds of the epoch) which probe gave which signal: a detail type, or one of the constants above."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One way that an event takes, and the probes that take it."""

    name: str
    first: str
    then: str
    probes: tuple[Probe, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of an edge; `delivered` is None when nothing arrived at its beginning."""

    edge: Edge
    delivered: bool | None
    milliseconds: float | None
    remark: str


_POSTED: Final = (Probe.TABLE, Probe.EVENTS)
_PUT: Final = (Probe.EVENTS, Probe.UNKNOWN, Probe.FROZEN)
_ACCEPTED: Final = (Probe.TABLE, *_PUT)

EDGES: Final = (
    Edge("authorizations table > stream > intake pipe > deduplicate > bus", SENT, "PaymentAccepted", (Probe.TABLE,)),
    Edge("PaymentAuthorized > deduplicate > bus", SENT, "PaymentAccepted", _PUT),
    Edge("duplicate > deduplicate > parked-events, bus", SENT, "DuplicateParked", (Probe.TWIN,)),
    Edge("malformed event > deduplicate > deduplicate-dlq", SENT, DEAD_LETTER, (Probe.MALFORMED,)),
    Edge("PaymentAccepted > standardise", "PaymentAccepted", "PaymentStandardised", _ACCEPTED),
    Edge("PaymentStandardised > enrich", "PaymentStandardised", "PaymentEnriched", (*_POSTED, Probe.FROZEN)),
    Edge("PaymentStandardised > enrich, refused", "PaymentStandardised", "PaymentRejected", (Probe.UNKNOWN,)),
    Edge("PaymentEnriched > apply-rules > rules pipe > rules-engine", "PaymentEnriched", "PaymentApproved", _POSTED),
    Edge("PaymentEnriched > rules-engine, referred", "PaymentEnriched", "PaymentReferred", (Probe.FROZEN,)),
    Edge("PaymentApproved > sequence_postings", "PaymentApproved", "PostingRequested", _POSTED),
    Edge("PostingRequested > posting > ledger", "PostingRequested", LEDGER, _POSTED),
    Edge("ledger > outbox > PaymentPosted", LEDGER, "PaymentPosted", _POSTED),
    Edge("PaymentRejected > record-outcome > audit", "PaymentRejected", AUDIT, (Probe.UNKNOWN,)),
    Edge("PaymentReferred > record-outcome > audit", "PaymentReferred", AUDIT, (Probe.FROZEN,)),
    Edge("DuplicateParked > record-outcome > audit", "DuplicateParked", AUDIT, (Probe.TWIN,)),
    Edge("PaymentReferred > alerts", "PaymentReferred", ALERT, (Probe.FROZEN,)),
)

_ENDS: Final = ("PaymentRejected", "PaymentReferred", "DuplicateParked", "PaymentPostingFailed", DEAD_LETTER)


def judge(signals: Signals, remarks: Mapping[Probe, str]) -> list[Verdict]:
    """The verdict on every edge, in the order of the road."""
    return [_judge(edge, signals, remarks) for edge in EDGES]


def complete(signals: Signals) -> bool:
    """Whether every edge has delivered."""
    return all(verdict.delivered for verdict in judge(signals, {}))


def undelivered(verdicts: Iterable[Verdict]) -> list[str]:
    """The names of the edges that are to blame."""
    return [verdict.edge.name for verdict in verdicts if verdict.delivered is False]


def _judge(edge: Edge, signals: Signals, remarks: Mapping[Probe, str]) -> Verdict:
    arrived = [probe for probe in edge.probes if (probe, edge.first) in signals]
    if not arrived:
        return Verdict(edge, None, None, "nothing arrived here")
    lost = [probe for probe in arrived if (probe, edge.then) not in signals]
    if not lost:
        times = [signals[probe, edge.then] - signals[probe, edge.first] for probe in arrived]
        return Verdict(edge, delivered=True, milliseconds=round(max(times) * 1000, 1), remark="")
    return Verdict(edge, delivered=False, milliseconds=None, remark=_what_came_instead(lost, edge, signals, remarks))


def _what_came_instead(lost: list[Probe], edge: Edge, signals: Signals, remarks: Mapping[Probe, str]) -> str:
    for probe in lost:
        others = [end for end in _ENDS if (probe, end) in signals and end != edge.first]
        if others:
            return f"{others[0]} came instead{remarks.get(probe, '')}"
    return "nothing came out"
