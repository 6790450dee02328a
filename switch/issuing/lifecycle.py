"""The life of a card, as the bank keeps it.

```
ordered ──> in_production ──> ready ──> active      the first payment activates it
   │              │             │          │
   ├──────────────┴──────┬──────┴──────────┤
   v                     v                 v
blocked (for a reason) and expired (its month is over): both are final
```
"""

from enum import StrEnum
from typing import Final


class CardStatus(StrEnum):
    """Where a card stands."""

    ORDERED = "ordered"
    IN_PRODUCTION = "in_production"
    READY = "ready"
    ACTIVE = "active"
    BLOCKED = "blocked"
    EXPIRED = "expired"


class BlockReason(StrEnum):
    """Why a card is blocked. The bank's answer to a payment depends on it (ISO 8583:1993 DE 39)."""

    LOST = "lost"
    STOLEN = "stolen"
    SUSPECTED_FRAUD = "suspected_fraud"
    CLOSED = "closed"


_NEXT: Final = {
    CardStatus.ORDERED: frozenset({CardStatus.IN_PRODUCTION, CardStatus.BLOCKED, CardStatus.EXPIRED}),
    CardStatus.IN_PRODUCTION: frozenset({CardStatus.READY, CardStatus.BLOCKED, CardStatus.EXPIRED}),
    CardStatus.READY: frozenset({CardStatus.ACTIVE, CardStatus.BLOCKED, CardStatus.EXPIRED}),
    CardStatus.ACTIVE: frozenset({CardStatus.BLOCKED, CardStatus.EXPIRED}),
    CardStatus.BLOCKED: frozenset[CardStatus](),
    CardStatus.EXPIRED: frozenset[CardStatus](),
}


def may_become(now: CardStatus, wanted: CardStatus) -> bool:
    """Whether a card may go from one status straight to the other. Staying is no step, and not allowed."""
    return wanted in _NEXT[now]


def before(wanted: CardStatus) -> list[str]:
    """The statuses from which a card may become `wanted`, sorted: what an UPDATE asks for."""
    return sorted(status.value for status in CardStatus if may_become(status, wanted))
