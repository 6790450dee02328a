"""What a standing marker means for a claim: the one rule that every dedup store applies."""

from postrail.ports import Claim, ClaimResult, ClaimStatus, Marker


def judge_claim(claim: Claim, standing: Marker) -> ClaimResult:
    """The verdict on a claim whose key is held by `standing`; never NEW. See `ports.DedupStore.claim`."""
    if claim.fingerprint != standing.fingerprint:
        return ClaimResult(ClaimStatus.CONFLICT, standing)
    if claim.owner == standing.owner:
        return ClaimResult(ClaimStatus.RETRY, standing)
    return ClaimResult(ClaimStatus.DUPLICATE, standing)
