"""The duplicate check's memory on the batch road: the last payment keys of one partition, bounded.

It is an early filter with exact answers for near repeats. What lies further back is the ledger's to know, and the
ledger knows all keys for ever.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from postrail.ports import Claim, ClaimResult, ClaimStatus, Clock, Marker

KEYS_MAX: Final = 500_000
"""Keys remembered by all partitions of a run together."""
_DIGEST_BYTES: Final = 16
_FINGERPRINT_BYTES: Final = 16


class DuplicateWindow:
    """Fills `ports.DedupStore` for one partition of one run.

    Verdicts follow from the claims and their order alone. At least the last `keys_max` / 2 keys are remembered, at most
    `keys_max`: keys are kept in two generations, and the older one leaves as a whole. There are no retries here: a row
    is brought once.
    """

    def __init__(self, *, keys_max: int, clock: Clock) -> None:
        self._generation_keys_max = max(1, keys_max // 2)
        self._seen_at = clock.now()
        # Key digest to fingerprint and payment id, packed, since there are hundreds of thousands of them.
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

    def claim(self, claims: Sequence[Claim]) -> list[ClaimResult]:
        """Claim every key, in order; results align. A marker's `seen_at` is when this process began."""
        return [self._claim_one(claim) for claim in claims]

    def _claim_one(self, claim: Claim) -> ClaimResult:
        digest = blake2b(claim.payment_key.encode(), digest_size=_DIGEST_BYTES).digest()
        packed = self._young.get(digest) or self._old.get(digest)
        if packed is None:
            if len(self._young) >= self._generation_keys_max:
                self._old, self._young = self._young, {}
            self._young[digest] = bytes.fromhex(claim.fingerprint) + claim.payment_id.encode()
            marker = Marker(claim.payment_key, claim.owner, claim.fingerprint, claim.payment_id, self._seen_at)
            return ClaimResult(ClaimStatus.NEW, marker)
        fingerprint, first = packed[:_FINGERPRINT_BYTES].hex(), packed[_FINGERPRINT_BYTES:].decode()
        status = ClaimStatus.DUPLICATE if fingerprint == claim.fingerprint else ClaimStatus.CONFLICT
        return ClaimResult(status, Marker(claim.payment_key, "", fingerprint, first, self._seen_at))

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
