"""The audit trail of a batch: one JSON document a row, and where refused payments ended, as on the event road.

Documents of a chunk are JSON Lines in one Zstandard frame. A document of a posted payment holds the authorization as it
came in, the completed ISO 20022 message, the decision with all that the rules saw, and the posting input.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from postrail.batch.chunks import ChunkKey, RefusedRow, RowOutcome
from postrail.batch.files import load_zstandard
from postrail.contracts.events import DuplicateParked, PaymentPostingFailed, PaymentReferred, PaymentRejected
from postrail.contracts.payment import Decision, RuleHit
from postrail.ports import RecordedOutcome
from postrail.stages.follow_up import EffectIds

_LEVEL: Final = 1
_BODY_CHARS_MAX: Final = 4_000
_CHUNK_BYTES_MAX: Final = 512 * 1024 * 1024
_OPTIONS: Final = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
_EVENT_BY_OUTCOME: Final = {
    RowOutcome.PARKED: DuplicateParked.detail_type(),
    RowOutcome.REJECTED: PaymentRejected.detail_type(),
    RowOutcome.REFERRED: PaymentReferred.detail_type(),
    RowOutcome.FAILED: PaymentPostingFailed.detail_type(),
}


class DecisionWriter:
    """Decisions as JSON. Rule hits repeat from payment to payment: each combination is written once."""

    def __init__(self) -> None:
        self._hits: dict[tuple[str, ...], orjson.Fragment] = {}

    def write(self, decision: Decision) -> dict[str, Any]:
        """A decision as `orjson` takes it; the JSON is that of the contract."""
        return {
            "rule_set": decision.rule_set,
            "version": decision.version,
            "outcome": decision.outcome,
            "matched": self._matched(decision.matched),
            "inputs": decision.inputs,
            "decided_at": decision.decided_at,
        }

    def _matched(self, hits: Sequence[RuleHit]) -> orjson.Fragment:
        # A hit that could not be evaluated has its rule's id and another reason.
        key = tuple([f"{hit.rule_id}/{hit.reason}" for hit in hits])
        written = self._hits.get(key)
        if written is None:
            rows = [{"rule_id": hit.rule_id, "outcome": hit.outcome, "reason": hit.reason} for hit in hits]
            written = self._hits[key] = orjson.Fragment(orjson.dumps(rows))
        return written


def write_document(fields: dict[str, Any]) -> bytes:
    """One line of the audit trail."""
    return orjson.dumps(fields, option=_OPTIONS)


def refused_document(row: RefusedRow, **more: Any) -> bytes:
    """The document of a row that was not posted; `more` is what is known besides."""
    return write_document(
        {
            "line": row.line,
            "payment_id": row.payment_id or None,
            "outcome": row.outcome,
            "stage": row.stage,
            "reason_code": row.reason_code,
            "reason": row.reason,
        }
        | more
    )


def kept_body(scrubbed: str) -> str:
    """The beginning of a malformed row, for whoever looks into it; scrubbed of card numbers by the caller."""
    return scrubbed[:_BODY_CHARS_MAX]


def recorded_outcome(
    key: ChunkKey, row: RefusedRow, *, occurred_at: datetime, authorized_at: datetime, **data: Any
) -> RecordedOutcome:
    """The row of `audit.outcomes` for a refused payment. Its id depends on the run and the line alone.

    The event says where the whole document lies (`batch`) instead of holding it a second time.
    """
    detail_type = _EVENT_BY_OUTCOME[row.outcome]
    ids = EffectIds(f"{key.run_id}/{row.line}", int(authorized_at.timestamp() * 1000), detail_type)
    event_id = ids.new_id("evt")
    event = {
        "metadata": {
            "event_id": event_id,
            "payment_id": row.payment_id,
            "correlation_id": key.run_id,
            "occurred_at": occurred_at,
            "producer": "batch",
        },
        "data": {
            "payment_id": row.payment_id,
            "stage": row.stage,
            "reason_code": row.reason_code,
            "reason": row.reason,
            "batch": {
                "run_id": key.run_id,
                "partition": key.partition,
                "chunk_no": key.number,
                "line": row.line,
            },
        }
        | data,
    }
    return RecordedOutcome(
        payment_id=row.payment_id,
        correlation_id=key.run_id,
        detail_type=detail_type,
        event_id=event_id,
        occurred_at=occurred_at,
        reason_code=row.reason_code,
        event=orjson.dumps(event, option=orjson.OPT_UTC_Z).decode(),
    )


def pack_documents(documents: Sequence[bytes]) -> tuple[bytes, int]:
    """The documents of a chunk as one Zstandard frame, and their size before."""
    text = b"".join(documents)
    return load_zstandard().ZstdCompressor(level=_LEVEL).compress(text), len(text)


def unpack_documents(packed: bytes) -> bytes:
    """The documents of a chunk as JSON Lines, in file order."""
    text: bytes = load_zstandard().ZstdDecompressor().decompress(packed, max_output_size=_CHUNK_BYTES_MAX)
    return text


def find_document(packed: bytes, payment_id: str, line: int | None = None) -> dict[str, Any] | None:
    """The document of one payment in a chunk; of its line, when a payment id stands in several."""
    needle = payment_id.encode()
    for one in unpack_documents(packed).splitlines():
        if needle in one:
            document: dict[str, Any] = orjson.loads(one)
            if document.get("payment_id") == payment_id and line in (None, document["line"]):
                return document
    return None
