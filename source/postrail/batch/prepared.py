"""A chunk between the stages and the ledger: its orders, its refusals, and what the ledger's answer makes of them."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from postrail.batch.chunks import ChunkKey, ChunkRecord, Counts, RefusedRow, RowOutcome
from postrail.batch.documents import pack_documents, recorded_outcome, refused_document, write_document
from postrail.contracts.payment import Authorization
from postrail.domain.errors import ReasonCode
from postrail.ports import PostingOrder, PostResult, PostStatus, RecordedOutcome

POST: Final = "post"
_PARKED_BY_LEDGER: Final = {
    ReasonCode.ALREADY_POSTED: ReasonCode.DUPLICATE,
    ReasonCode.POSTING_CONFLICT: ReasonCode.CONFLICT,
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOW_BITS: Final = (1 << 62) - 1


@dataclass(slots=True)
class PreparedChunk:
    """A chunk that the stages are through with.

    `lines`, `texts` (the JSON of each row, None where there is none) and `documents` have a place for every row;
    `orders` and `places` are aligned, and say which row an order came from.
    """

    key: ChunkKey
    lines: list[int]
    texts: list[bytes | None]
    prepared_at: datetime
    documents: list[bytes]
    orders: list[PostingOrder] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    outcomes: list[RecordedOutcome] = field(default_factory=list)
    packed: tuple[bytes, int] | None = None

    def pack(self) -> None:
        """Compress the documents ahead of the ledger's answer, which seldom changes one of them."""
        self.packed = pack_documents(self.documents)

    def refuse(
        self,
        place: int,
        authorization: Authorization,
        outcome: RowOutcome,
        reason_code: str,
        reason: str,
        *,
        stage: str,
        **more: Any,
    ) -> None:
        """Note that a payment goes no further; `more` goes into its document."""
        row = RefusedRow(self.lines[place], authorization.payment_id, outcome, reason_code, reason, stage)
        self.refused.append(row)
        self.documents[place] = refused_document(row, authorization=self.text(place), **more)
        self.outcomes.append(self._outcome(row, authorization.authorized_at, more))

    def text(self, place: int) -> orjson.Fragment | None:
        """The authorization of a row as it came in."""
        text = self.texts[place]
        return None if text is None else orjson.Fragment(text)

    def settle(self, results: Sequence[PostResult]) -> tuple[ChunkRecord, list[RecordedOutcome]]:
        """The checkpoint and the outcomes to record, now that the ledger has answered; `results` align with `orders`.

        Changes nothing here: a transaction that failed is run again, with the same chunk.
        """
        refused, outcomes = list(self.refused), list(self.outcomes)
        amended: dict[int, bytes] = {}
        for place, order, result in zip(self.places, self.orders, results, strict=True):
            if result.status is not PostStatus.POSTED:
                posting = order.posting
                row = _refused_by_ledger(self.lines[place], posting.payment_id, result)
                refused.append(row)
                authorized_at = _EPOCH + timedelta(microseconds=posting.occurred_at_us)
                outcomes.append(self._outcome(row, authorized_at, {}))
                amended[place] = _amend(self.documents[place], row, result)
        refused.sort()
        packed, size = self._packed_with(amended)
        record = ChunkRecord(
            key=self.key,
            first_line=self.lines[0],
            last_line=self.lines[-1],
            counts=_count(len(self.lines), refused),
            refused=refused,
            documents=packed,
            documents_size_bytes=size,
        )
        return record, outcomes

    def _packed_with(self, amended: dict[int, bytes]) -> tuple[bytes, int]:
        if self.packed is not None and not amended:
            return self.packed
        return pack_documents([amended.get(place, document) for place, document in enumerate(self.documents)])

    def _outcome(self, row: RefusedRow, authorized_at: datetime, more: dict[str, Any]) -> RecordedOutcome:
        data = {name: more[name] for name in ("payment_key", "first_payment_id", "first_seen_at") if name in more}
        occurred_at = more.get("decision", {}).get("decided_at", self.prepared_at)
        return recorded_outcome(self.key, row, occurred_at=occurred_at, authorized_at=authorized_at, **data)


def transaction_ids(unix_ms: int) -> Iterator[str]:
    """UUIDv7 identifiers of one chunk's transactions: one random start, and counting from there."""
    start = secrets.randbits(74)
    head = f"txn_{unix_ms & 0xFFFFFFFFFFFF:012x}7{start >> 62:03x}"
    low = start & _LOW_BITS
    while True:
        yield f"{head}{0x8000000000000000 | low:016x}"
        low = (low + 1) & _LOW_BITS


def _refused_by_ledger(line: int, payment_id: str, result: PostResult) -> RefusedRow:
    reason = result.reason or ReasonCode.POSTING_CONFLICT
    parked = _PARKED_BY_LEDGER.get(reason)
    outcome = RowOutcome.PARKED if parked else RowOutcome.FAILED
    detail = result.detail or "the ledger refused the posting"
    return RefusedRow(line, payment_id, outcome, parked or reason, detail, POST)


def _amend(document: bytes, row: RefusedRow, result: PostResult) -> bytes:
    """The document of a payment that was prepared for posting, and was refused."""
    fields = orjson.loads(document)
    fields |= {"outcome": row.outcome, "stage": row.stage, "reason_code": row.reason_code, "reason": row.reason}
    if row.outcome is RowOutcome.PARKED:
        fields["first_transaction_id"] = result.transaction_id
    fields.pop("transaction_id", None)
    fields.pop("posting_input", None)
    return write_document(fields)


def _count(lines: int, refused: Sequence[RefusedRow]) -> Counts:
    counts = Counts(lines=lines, posted=lines - len(refused))
    for row in refused:
        if row.outcome is RowOutcome.PARKED:
            if row.reason_code == ReasonCode.CONFLICT:
                counts.conflicts += 1
            else:
                counts.duplicates += 1
        elif row.outcome is RowOutcome.MALFORMED:
            counts.malformed += 1
        elif row.outcome is RowOutcome.REJECTED:
            counts.rejected += 1
        elif row.outcome is RowOutcome.REFERRED:
            counts.referred += 1
        else:
            counts.failed += 1
    return counts
