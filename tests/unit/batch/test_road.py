"""The stages on a chunk: every row one end and one document, and a memory that can be rebuilt without posting."""

import re
import uuid
from datetime import date
from itertools import islice
from pathlib import Path

import orjson
import pytest
from tests.fakes.system import FakeClock

from postrail.adapters.memory import MemoryReferenceBook
from postrail.batch.chunks import ChunkRecord, RawChunk, RowOutcome
from postrail.batch.documents import find_document, unpack_documents
from postrail.batch.duplicate_window import DuplicateWindow
from postrail.batch.failures import RunFailed
from postrail.batch.prepared import PreparedChunk, transaction_ids
from postrail.batch.road import Road, StageTools
from postrail.batch.store import DoneChunk
from postrail.batch.velocity_window import VelocityWindow
from postrail.domain.card import find_clear_pans
from postrail.domain.errors import ReasonCode
from postrail.merchants.directory import load_merchants
from postrail.ports import PostResult, PostStatus
from postrail.posting_inputs import posting_input_by_name
from postrail.products import load_products
from postrail.rules import load_rule_set
from postrail.sampling.accounts import sample_accounts
from postrail.sampling.day import sample_day
from postrail.sampling.rates import load_rates

CONFIG = Path(__file__).resolve().parents[3] / "config"
ACCOUNTS = sample_accounts(3, 40)
RUN = "run_" + "0" * 32
# Few accounts and many payments: some cards are used often enough within an hour for the velocity rule.
ROWS = [
    orjson.dumps(body)
    for body in sample_day(3, 2_500, accounts=ACCOUNTS[17:24], day=date(2026, 10, 1), duplicates=0.1, malformed=0.02)
]


def make_road(input_format: str = "json") -> Road:
    clock = FakeClock()
    tools = StageTools(
        store=DuplicateWindow(keys_max=100_000, clock=clock),
        velocity=VelocityWindow(uses_max=100_000),
        reference=MemoryReferenceBook(
            {each.card_token: each.details for each in ACCOUNTS}, load_rates(CONFIG / "reference" / "rates.yaml")
        ),
        merchants=load_merchants(CONFIG / "reference"),
        rules=load_rule_set(CONFIG / "rules" / "issuer-default.yaml"),
        products=load_products(CONFIG / "products" / "default.yaml"),
        input_format=posting_input_by_name(input_format),
        clock=clock,
    )
    return Road(run_id=RUN, partition=0, decode_row=None, tools=tools)


def cut(size: int) -> list[RawChunk]:
    return [
        RawChunk(
            number, list(range(start + 1, start + len(ROWS[start : start + size]) + 1)), ROWS[start : start + size]
        )
        for number, start in enumerate(range(0, len(ROWS), size))
    ]


def post_all(chunk: PreparedChunk) -> ChunkRecord:
    record, _ = chunk.settle(
        [PostResult(each.posting.sequence_id, PostStatus.POSTED, each.posting.transaction_id) for each in chunk.orders]
    )
    return record


def test_every_row_has_one_end_and_one_document() -> None:
    chunk = make_road().prepare(cut(len(ROWS))[0])
    record = post_all(chunk)
    counts = record.counts.as_dict()
    assert counts.pop("lines") == len(ROWS) == sum(counts.values())
    assert counts["failed"] == 0
    assert all(number for name, number in counts.items() if name != "failed"), counts
    documents = [orjson.loads(line) for line in unpack_documents(record.documents).splitlines()]
    assert [document["line"] for document in documents] == list(range(1, len(ROWS) + 1))
    ends = {row.line: row for row in record.refused}
    assert [row.line for row in record.refused] == sorted(ends)
    for document in documents:
        row = ends.get(document["line"])
        assert document["outcome"] == (row.outcome if row else "posted")
        if row is None:
            assert document["authorization"]["payment_id"] == document["payment_id"]
            assert document["posting_input"]["transaction_id"] == document["transaction_id"]
            assert document["decision"]["outcome"] == "approve"
            assert document["message"]["AuthstnInitn"]["TxId"]["IssrRefData"] == document["payment_id"]
        elif row.outcome is not RowOutcome.MALFORMED:
            assert document["authorization"]["payment_id"] == row.payment_id
    assert not any(find_clear_pans(b"".join(chunk.documents).decode()))
    assert any("hour" in row.reason for row in record.refused), "the sample reaches the velocity rule"


def test_decisions_do_not_depend_on_how_the_file_is_cut() -> None:
    ends = []
    for size in (len(ROWS), 333, 7):
        road = make_road()
        ends.append([row for raw in cut(size) for row in post_all(road.prepare(raw)).refused])
    assert ends[0] == ends[1] == ends[2]


def test_a_road_that_remembers_committed_chunks_goes_on_as_if_it_had_prepared_them() -> None:
    chunks = cut(250)
    undisturbed = make_road()
    records = [post_all(undisturbed.prepare(raw)) for raw in chunks]
    for done in range(1, len(chunks)):
        road = make_road()
        for raw, record in islice(zip(chunks, records, strict=True), done):
            road.remember(raw, DoneChunk(record.first_line, record.last_line, record.counts, record.refused))
        assert post_all(road.prepare(chunks[done])).refused == records[done].refused


def test_a_committed_chunk_with_other_lines_is_not_taken_for_this_one() -> None:
    raw = cut(100)[1]
    record = post_all(make_road().prepare(raw))
    with pytest.raises(RunFailed, match="cut by another version"):
        make_road().remember(cut(100)[0], DoneChunk(record.first_line, record.last_line, record.counts, record.refused))


def test_what_the_ledger_refuses_is_parked_or_failed_and_its_document_says_so() -> None:
    chunk = make_road().prepare(cut(100)[0])
    reasons = [ReasonCode.ALREADY_POSTED, ReasonCode.POSTING_CONFLICT, ReasonCode.ACCOUNT_NOT_OPEN]
    results = [
        PostResult(
            order.posting.sequence_id, PostStatus.REFUSED, "txn_" + "1" * 32, reasons[number], "told by the ledger"
        )
        if number < 3
        else PostResult(order.posting.sequence_id, PostStatus.POSTED, order.posting.transaction_id)
        for number, order in enumerate(chunk.orders)
    ]
    chunk.pack()
    before = (list(chunk.refused), list(chunk.documents))
    record, outcomes = chunk.settle(results)
    assert (chunk.refused, chunk.documents) == before, "a transaction that failed is run again with the same chunk"
    assert chunk.settle(results) == (record, outcomes)
    base = post_all(chunk).counts
    assert record.counts.posted == base.posted - 3
    assert record.counts.duplicates == base.duplicates + 1
    assert record.counts.conflicts == base.conflicts + 1
    assert record.counts.failed == 1
    for number, (outcome, code) in enumerate(
        [("parked", "DUPLICATE"), ("parked", "CONFLICT"), ("failed", "ACCOUNT_NOT_OPEN")]
    ):
        document = find_document(record.documents, chunk.orders[number].posting.payment_id)
        assert document is not None
        assert (document["outcome"], document["reason_code"]) == (outcome, code)
        assert "transaction_id" not in document
    assert {each.detail_type for each in outcomes} >= {"DuplicateParked", "PaymentPostingFailed"}
    assert len({each.event_id for each in outcomes}) == len(outcomes)


def test_outcomes_have_the_same_ids_when_a_chunk_is_prepared_again() -> None:
    first, second = (make_road().prepare(cut(500)[0]) for _ in range(2))
    assert [each.event_id for each in first.outcomes] == [each.event_id for each in second.outcomes]


def test_a_posting_input_that_is_no_json_is_kept_as_text() -> None:
    chunk = make_road("fixed_width").prepare(cut(50)[0])
    documents = map(orjson.loads, unpack_documents(post_all(chunk).documents).splitlines())
    posted = [document for document in documents if document["outcome"] == "posted"]
    assert all(isinstance(document["posting_input"], str) for document in posted)
    assert {document["posting_input_format"] for document in posted} == {"fixed_width"}


def test_transaction_ids_are_uuid_version_7_in_rising_order() -> None:
    ids = list(islice(transaction_ids(1_790_000_000_123), 5_000))
    assert len(set(ids)) == len(ids)
    found = [uuid.UUID(text.removeprefix("txn_")) for text in ids]
    assert {each.version for each in found} == {7}
    assert {each.variant for each in found} == {uuid.RFC_4122}
    assert {each.int >> 80 for each in found} == {1_790_000_000_123}
    assert all(re.fullmatch(r"txn_[0-9a-f]{32}", text) for text in ids)


def test_a_row_with_the_issuers_hold_captures_it_and_one_without_asks_for_nothing() -> None:
    """One code for both roads: what a file brings is owed as what an event brings."""
    hold_id = "hld_" + "0" * 31 + "1"
    posted = make_road().prepare(cut(100)[0]).places[0]
    plain = orjson.loads(ROWS[posted]) | {"message_type": "1100"}
    rows = [orjson.dumps(plain), orjson.dumps(plain | _another_payment(1) | {"hold_id": hold_id})]
    rows.append(orjson.dumps(plain | _another_payment(2) | {"message_type": "1120"}))
    chunk = make_road().prepare(RawChunk(0, [1, 2, 3], rows))
    assert [(order.hold_id, order.final_capture, order.owed) for order in chunk.orders] == [
        (None, False, False),
        (hold_id, True, True),
        (None, False, True),
    ]


def _another_payment(number: int) -> dict[str, str]:
    return {"payment_id": f"pay_{number:032x}", "stan": f"9{number:05}"}
