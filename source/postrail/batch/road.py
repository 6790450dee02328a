"""One chunk through the stages: from raw rows to orders for the ledger, refusals with their reasons, and documents.

The stages are those of the event road. What is left out is what a file makes needless: events between stages, queues
and lookups one by one. Nothing is written here: a prepared chunk can be thrown away and made again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from postrail.batch.chunks import ChunkKey, RawChunk, RefusedRow, RowOutcome
from postrail.batch.documents import DecisionWriter, kept_body, refused_document, write_document
from postrail.batch.failures import RunFailed
from postrail.batch.prepared import PreparedChunk, transaction_ids
from postrail.batch.store import DoneChunk
from postrail.contracts.events import (
    PaymentAccepted,
    PaymentApproved,
    PaymentEnriched,
    PaymentReferred,
    PaymentRejected,
    PaymentStandardised,
)
from postrail.contracts.payment import Authorization
from postrail.domain.errors import Permanent, ReasonCode
from postrail.merchants import MerchantDirectory
from postrail.ports import CardUse, Clock, DedupStore, PostingInputFormat, ReferenceBook, VelocityBook
from postrail.products import ProductBook
from postrail.rules import RuleSet
from postrail.rules.decisions import deciding_reason
from postrail.stages.apply_rules import STAGE as APPLY_RULES
from postrail.stages.apply_rules import apply_rules
from postrail.stages.decode import decode_authorizations, ids_in, scrub_body
from postrail.stages.deduplicate import Candidate, Duplicate, deduplicate
from postrail.stages.enrich import STAGE as ENRICH
from postrail.stages.enrich import enrich
from postrail.stages.post import build_posting, order_of
from postrail.stages.sequence_postings import sequence_postings
from postrail.stages.standardise import standardise

DECODE: Final = "decode"
DEDUPLICATE: Final = "deduplicate"
_REASON_BY_PARKING: Final = {
    ReasonCode.DUPLICATE: "a row before this one carries the same payment",
    ReasonCode.CONFLICT: "a row before this one carries the payment's key with other content",
}

# What one stage wrote is still in the processor's cache when the next stage reads it: half the time a row of a thousand
# at once takes.
_ROWS_AT_ONCE: Final = 100

RowDecoder = Callable[[bytes], bytes | Permanent]
"""From a row as it stands in the file to the JSON of an authorization."""


@dataclass(frozen=True, slots=True)
class StageTools:
    """What the stages ask for; one set for each worker."""

    store: DedupStore
    velocity: VelocityBook
    reference: ReferenceBook
    merchants: MerchantDirectory
    rules: RuleSet
    products: ProductBook
    input_format: PostingInputFormat
    clock: Clock


class Road:
    """The stages for one partition of one run. Chunks come in file order, since later ones know the earlier ones."""

    def __init__(self, *, run_id: str, partition: int, decode_row: RowDecoder | None, tools: StageTools) -> None:
        """`decode_row` is None when the rows are JSON already."""
        self._run_id = run_id
        self._partition = partition
        self._decode_row = decode_row
        self._tools = tools
        self._decisions = DecisionWriter()

    def key_of(self, raw: RawChunk) -> ChunkKey:
        """The name of a chunk of this partition."""
        return ChunkKey(self._run_id, self._partition, raw.number)

    def remember(self, raw: RawChunk, done: DoneChunk) -> None:
        """Take in what a committed chunk leaves behind in the duplicate window and the card counts; post nothing.

        Raises RunFailed when the committed chunk is not this one.
        """
        if (raw.lines[0], raw.lines[-1]) != (done.first_line, done.last_line):
            raise RunFailed(
                f"Chunk {raw.number} of partition {self._partition} covers lines {done.first_line} to "
                f"{done.last_line} in the ledger and {raw.lines[0]} to {raw.lines[-1]} in the file: it was cut by "
                "another version of this program."
            )
        _, decoded = self._decode(raw.records)
        rows = [(line, each) for line, each in zip(raw.lines, decoded, strict=True) if isinstance(each, Authorization)]
        verdicts = deduplicate([Candidate(self._run_id, each, "") for _, each in rows], store=self._tools.store)
        # What enrich refused never reached the rules, and was not counted.
        uncounted = {row.line for row in done.refused if row.stage == ENRICH}
        self._tools.velocity.observe(
            [
                CardUse(each.card.token, each.payment_id, each.authorized_at)
                for (line, each), verdict in zip(rows, verdicts, strict=True)
                if isinstance(verdict, PaymentAccepted) and line not in uncounted
            ]
        )

    def prepare(self, raw: RawChunk) -> PreparedChunk:
        """The chunk, ready for the ledger. Raises Retryable when reference data cannot be reached."""
        chunk = PreparedChunk(
            key=self.key_of(raw),
            lines=raw.lines,
            texts=[None] * len(raw.lines),
            prepared_at=self._tools.clock.now(),
            documents=[b""] * len(raw.lines),
        )
        ids = transaction_ids(int(chunk.prepared_at.timestamp() * 1000))
        for start in range(0, len(raw.lines), _ROWS_AT_ONCE):
            self._prepare_rows(chunk, start, raw.records[start : start + _ROWS_AT_ONCE], ids)
        return chunk

    def _prepare_rows(self, chunk: PreparedChunk, start: int, records: Sequence[bytes], ids: Iterator[str]) -> None:
        """Some rows of the chunk, from place `start` on, through all stages."""
        texts, decoded = self._decode(records)
        chunk.texts[start : start + len(texts)] = texts
        places: list[int] = []
        candidates: list[Candidate] = []
        for place, (found, record) in enumerate(zip(decoded, records, strict=True), start):
            if isinstance(found, Permanent):
                _refuse_malformed(chunk, place, found, record)
            else:
                places.append(place)
                candidates.append(Candidate(self._run_id, found, ""))
        places, accepted = _deduplicate(chunk, places, candidates, self._tools.store)
        places, enriched = self._enrich(chunk, places, standardise(accepted))
        places, approved = self._apply_rules(chunk, places, enriched)
        self._order(chunk, places, approved, ids)

    def _decode(self, records: Sequence[bytes]) -> tuple[list[bytes | None], list[Authorization | Permanent]]:
        """The JSON of each row and what it says; both aligned with the rows."""
        if self._decode_row is None:
            return list(records), decode_authorizations(records)
        read = [self._decode_row(record) for record in records]
        decoded = iter(decode_authorizations([text for text in read if not isinstance(text, Permanent)]))
        texts = [None if isinstance(text, Permanent) else text for text in read]
        return texts, [text if isinstance(text, Permanent) else next(decoded) for text in read]

    def _enrich(
        self, chunk: PreparedChunk, places: list[int], payments: list[PaymentStandardised]
    ) -> tuple[list[int], list[PaymentEnriched]]:
        verdicts = enrich(payments, reference=self._tools.reference, merchants=self._tools.merchants)
        kept: list[int] = []
        enriched: list[PaymentEnriched] = []
        for place, payment, verdict in zip(places, payments, verdicts, strict=True):
            # What most of them are is asked first: for a class that is not theirs, contracts answer slowly.
            if isinstance(verdict, PaymentEnriched):
                kept.append(place)
                enriched.append(verdict)
            else:
                self._reject(chunk, place, verdict, payment.message)
        return kept, enriched

    def _apply_rules(
        self, chunk: PreparedChunk, places: list[int], payments: list[PaymentEnriched]
    ) -> tuple[list[int], list[PaymentApproved]]:
        tools = self._tools
        verdicts = apply_rules(payments, rules=tools.rules, velocity=tools.velocity, clock=tools.clock)
        kept: list[int] = []
        approved: list[PaymentApproved] = []
        for place, payment, verdict in zip(places, payments, verdicts, strict=True):
            if type(verdict) is PaymentApproved:
                kept.append(place)
                approved.append(verdict)
            elif isinstance(verdict, PaymentReferred):
                chunk.refuse(
                    place,
                    payment.authorization,
                    RowOutcome.REFERRED,
                    ReasonCode.RULE_REFERRED,
                    deciding_reason(verdict.decision),
                    stage=APPLY_RULES,
                    payment_key=payment.payment_key,
                    message=payment.message,
                    decision=self._decisions.write(verdict.decision),
                )
            elif isinstance(verdict, PaymentRejected):
                self._reject(chunk, place, verdict, payment.message)
        return kept, approved

    def _order(
        self, chunk: PreparedChunk, places: list[int], payments: list[PaymentApproved], ids: Iterator[str]
    ) -> None:
        """Orders and documents of the payments that the ledger is to post."""
        input_format = self._tools.input_format
        is_json = input_format.name == "json"
        sequences = sequence_postings(payments, products=self._tools.products)
        for place, payment, sequence in zip(places, payments, sequences, strict=True):
            if not isinstance(sequence, list):
                self._reject(chunk, place, sequence, payment.message)
                continue
            posting = build_posting(sequence, transaction_id=next(ids))
            posting_input = input_format.build(posting, payment)
            chunk.orders.append(order_of(posting, payment.authorization))
            chunk.places.append(place)
            chunk.documents[place] = write_document(
                {
                    "line": chunk.lines[place],
                    "payment_id": posting.payment_id,
                    "outcome": "posted",
                    "transaction_id": posting.transaction_id,
                    "payment_key": posting.payment_key,
                    "fingerprint": posting.fingerprint,
                    "authorization": chunk.text(place),
                    "message": payment.message,
                    "decision": self._decisions.write(payment.decision),
                    "posting_input_format": input_format.name,
                    "posting_input": orjson.Fragment(posting_input) if is_json else posting_input.decode(),
                }
            )

    def _reject(self, chunk: PreparedChunk, place: int, refusal: PaymentRejected, message: dict[str, Any]) -> None:
        more: dict[str, Any] = {"payment_key": refusal.payment_key, "message": message}
        if refusal.decision is not None:
            more["decision"] = self._decisions.write(refusal.decision)
        chunk.refuse(
            place,
            refusal.authorization,
            RowOutcome.REJECTED,
            refusal.reason_code,
            refusal.reason,
            stage=refusal.stage,
            **more,
        )


def _deduplicate(
    chunk: PreparedChunk, places: list[int], candidates: list[Candidate], store: DedupStore
) -> tuple[list[int], list[PaymentAccepted]]:
    kept: list[int] = []
    accepted: list[PaymentAccepted] = []
    for place, verdict in zip(places, deduplicate(candidates, store=store), strict=True):
        if isinstance(verdict, Duplicate):
            chunk.refuse(
                place,
                verdict.candidate.authorization,
                RowOutcome.PARKED,
                verdict.reason,
                _REASON_BY_PARKING[verdict.reason],
                stage=DEDUPLICATE,
                payment_key=verdict.payment_key,
                first_payment_id=verdict.first.payment_id,
                first_seen_at=verdict.first.seen_at,
            )
        else:
            kept.append(place)
            accepted.append(verdict)
    return kept, accepted


def _refuse_malformed(chunk: PreparedChunk, place: int, refusal: Permanent, record: bytes) -> None:
    body = (chunk.texts[place] or record).decode(errors="replace")
    payment_id, _ = ids_in(body)
    row = RefusedRow(chunk.lines[place], payment_id or "", RowOutcome.MALFORMED, refusal.reason, refusal.detail, DECODE)
    chunk.refused.append(row)
    chunk.documents[place] = refused_document(row, body=kept_body(scrub_body(body)))
