"""Anchors: what the ends of the ledger's hash chains were at a moment, kept where the ledger's owner cannot reach.

Whoever may change every row of a database may also compute its hashes anew, and the chain will be whole again. What
he cannot change is a copy of its ends that lies elsewhere: an anchor stands in the chain, or history was rewritten.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from postrail.domain.errors import PostrailError
from postrail.domain.instants import format_instant

_FORMAT: Final = "postrail-ledger-anchor-1"
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_LANES_MAX: Final = 1_000
ANCHOR_BYTES_MAX: Final = 1_000_000
"""Largest document that is read as an anchor. One of sixteen lanes has about three thousand bytes."""


class AnchorUnusable(PostrailError):
    """What was given as an anchor is none, or cannot be read or kept. The message says where and why."""


@dataclass(frozen=True, slots=True)
class LaneHead:
    """The last batch of one lane. A lane without batches is at number 0, and its hash is its first one."""

    lane: int
    lane_no: int
    batch_id: int | None
    hash: bytes
    recorded_at: datetime | None


@dataclass(frozen=True, slots=True)
class Anchor:
    """All heads at one moment, by lane."""

    taken_at: datetime
    heads: tuple[LaneHead, ...]

    @property
    def root(self) -> str:
        """One hash for all heads, in hex: SHA-256 over lane (2 bytes), number (8 bytes, both big-endian) and hash."""
        digest = hashlib.sha256()
        for head in self.heads:
            digest.update(head.lane.to_bytes(2, "big") + head.lane_no.to_bytes(8, "big") + head.hash)
        return digest.hexdigest()

    def to_json(self) -> str:
        """The anchor as one line of JSON."""
        return json.dumps(
            {
                "format": _FORMAT,
                "taken_at": format_instant(self.taken_at, microseconds=True),
                "root": self.root,
                "heads": [_head_document(head) for head in self.heads],
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str | bytes, *, place: str) -> "Anchor":
        """Read an anchor back; `place` is where it came from.

        Raises AnchorUnusable, also when the root is not that of the heads.
        """
        try:
            document = json.loads(text)
            if document["format"] != _FORMAT:
                raise AnchorUnusable(f"{place} is no anchor of a Postrail ledger.")
            anchor = cls(_instant(document["taken_at"]), tuple(map(_head, document["heads"])))
            known_root = str(document["root"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            msg = f"{place} is no anchor of a Postrail ledger ({type(error).__name__})."
            raise AnchorUnusable(msg) from error
        if not 0 < len(anchor.heads) <= _LANES_MAX or anchor.root != known_root:
            raise AnchorUnusable(f"{place} is damaged: its root hash is not the hash of its heads.")
        return anchor


def _head_document(head: LaneHead) -> dict[str, object]:
    return {
        "lane": head.lane,
        "lane_no": head.lane_no,
        "batch_id": head.batch_id,
        "hash": head.hash.hex(),
        "recorded_at": None if head.recorded_at is None else format_instant(head.recorded_at, microseconds=True),
    }


def _head(document: Mapping[str, Any]) -> LaneHead:
    lane, lane_no, batch_id = document["lane"], document["lane_no"], document["batch_id"]
    for number, bits in ((lane, 15), (lane_no, 63), (0 if batch_id is None else batch_id, 63)):
        if type(number) is not int or not 0 <= number < 1 << bits:
            msg = "a number is out of range"
            raise ValueError(msg)
    if not _HEX.fullmatch(document["hash"]):
        msg = "a hash is 64 hex digits"
        raise ValueError(msg)
    recorded_at = document["recorded_at"]
    return LaneHead(
        lane=lane,
        lane_no=lane_no,
        batch_id=batch_id,
        hash=bytes.fromhex(document["hash"]),
        recorded_at=None if recorded_at is None else _instant(recorded_at),
    )


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        msg = "an instant has an offset"
        raise ValueError(msg)
    return instant
