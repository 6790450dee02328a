"""Uses of cards by clock hour on the batch road: counted within one partition, in the order of the file, bounded."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from postrail.ports import CardUse

USES_MAX: Final = 400_000
"""Uses remembered by all partitions of a run together."""
_SECONDS_PER_HOUR: Final = 3600


@dataclass(slots=True)
class _Hour:
    counts: dict[str, int] = field(default_factory=dict)
    seen: set[tuple[str, str]] = field(default_factory=set)


class VelocityWindow:
    """Fills `ports.VelocityBook` for one partition of one run.

    A card's uses meet in one partition and are counted one after the other, so the counts follow from the file alone
    and not from how it is cut. When more uses than `uses_max` are remembered, whole hours leave, the one that was not
    touched for the longest time first; the hour in hand stays.
    """

    def __init__(self, *, uses_max: int) -> None:
        self._uses_max = uses_max
        self._hours: dict[int, _Hour] = {}
        self._uses = 0

    def observe(self, uses: Sequence[CardUse]) -> list[int]:
        """Record each use and count up to it; results align. A payment that is observed again does not count again."""
        return [self._record(use) for use in uses]

    def _record(self, use: CardUse) -> int:
        number = int(use.at.timestamp()) // _SECONDS_PER_HOUR
        hour = self._hours.pop(number, None) or _Hour()
        self._hours[number] = hour  # touched last, leaves last
        mark = (use.card_token, use.payment_id)
        if mark not in hour.seen:
            hour.seen.add(mark)
            self._uses += 1
            hour.counts[use.card_token] = hour.counts.get(use.card_token, 0) + 1
            while self._uses > self._uses_max and len(self._hours) > 1:
                self._uses -= len(self._hours.pop(next(iter(self._hours))).seen)
        return hour.counts[use.card_token]

    def __len__(self) -> int:
        return self._uses
