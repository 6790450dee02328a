"""Payment keys remembered for a window of time, in memory."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from postrail.adapters.claims import judge_claim
from postrail.ports import Claim, ClaimResult, ClaimStatus, Clock, Marker

_SWEEP_EVERY_CLAIMS: Final = 10_000


class MemoryDedupStore:
    """`ports.DedupStore` over a dictionary. Expired markers are free, and are swept out now and then."""

    def __init__(self, *, clock: Clock, window_hours: int = 72) -> None:
        self._clock = clock
        self._window = timedelta(hours=window_hours)
        self._markers: dict[str, Marker] = {}
        self._claims_until_sweep = _SWEEP_EVERY_CLAIMS

    def claim(self, claims: Sequence[Claim]) -> list[ClaimResult]:
        """Claim every key, in order; results align."""
        now = self._clock.now()
        self._claims_until_sweep -= len(claims)
        if self._claims_until_sweep <= 0:
            self._sweep(now)
        return [self._claim_one(claim, now) for claim in claims]

    def _claim_one(self, claim: Claim, now: datetime) -> ClaimResult:
        standing = self._markers.get(claim.payment_key)
        if standing is not None and standing.seen_at + self._window >= now:
            return judge_claim(claim, standing)
        marker = Marker(claim.payment_key, claim.owner, claim.fingerprint, claim.payment_id, now)
        self._markers[claim.payment_key] = marker
        return ClaimResult(ClaimStatus.NEW, marker)

    def _sweep(self, now: datetime) -> None:
        oldest = now - self._window
        self._markers = {key: marker for key, marker in self._markers.items() if marker.seen_at >= oldest}
        self._claims_until_sweep = _SWEEP_EVERY_CLAIMS
