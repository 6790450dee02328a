"""Rows begin and end where they should, however the blocks fall, and no line is kept longer than it may be."""

import csv
import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders.payments import make_authorization

from postrail.batch.columns import COLUMNS, RowBuilder, flatten
from postrail.batch.failures import FileUnusable
from postrail.batch.files import LocalFile, recognise
from postrail.batch.rows import LINE_BYTES_MAX, Row, open_rows, split_lines
from postrail.contracts.payment import Authorization
from postrail.domain.errors import Permanent

BODY: dict[str, Any] = make_authorization().model_dump(mode="json", exclude_none=True)


def rows_of(path: Path) -> list[Row]:
    source = LocalFile(path)
    return list(open_rows(source, recognise(source)).rows())


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def csv_text(*bodies: dict[str, Any], columns: tuple[str, ...] = COLUMNS) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([flatten(body).get(column, "") for column in columns] for body in bodies)
    return text.getvalue()


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=8))
def test_lines_do_not_depend_on_where_blocks_end(data: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    blocks = [data[start:end] for start, end in pairwise(places)]
    lines = [(number, line) for first, group in split_lines(blocks) for number, line in enumerate(group, first)]
    expected = data.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert lines == list(enumerate(expected, 1))


def test_a_line_longer_than_allowed_is_cut_and_the_next_one_is_whole() -> None:
    long = b"x" * (LINE_BYTES_MAX * 5)
    data = b"first\n" + long + b"\nlast\n"
    blocks = [data[at : at + 1000] for at in range(0, len(data), 1000)]
    lines = [(number, line) for first, group in split_lines(blocks) for number, line in enumerate(group, first)]
    assert lines == [(1, b"first"), (2, b"x" * LINE_BYTES_MAX), (3, b"last")]


def test_json_lines_are_routed_by_their_card_token_and_empty_lines_passed_over(tmp_path: Path) -> None:
    line = orjson.dumps(BODY)
    path = write(tmp_path / "day.jsonl", b"\xef\xbb\xbf" + line + b"\r\n\n  \nnot json\n" + line)
    token = BODY["card"]["token"].encode()
    rows = rows_of(path)
    assert [(number, routed) for number, routed, _ in rows] == [(1, token), (4, b"not json"), (5, token)]
    assert orjson.loads(rows[0][2]) == BODY


def test_csv_rows_may_hold_commas_quotes_and_line_breaks(tmp_path: Path) -> None:
    odd = BODY | {"merchant": BODY["merchant"] | {"name": 'SMITH, "SONS"\nAND CO'}}
    path = write(tmp_path / "day.csv", csv_text(BODY, odd, BODY).encode())
    rows = rows_of(path)
    assert [number for number, _, _ in rows] == [2, 3, 5]
    assert {routed for _, routed, _ in rows} == {BODY["card"]["token"].encode()}
    build = RowBuilder(COLUMNS).from_line
    read = [build(line) for _, _, line in rows]
    assert [orjson.loads(text) for text in read if isinstance(text, bytes)] == [BODY, odd, BODY]


def test_a_csv_row_becomes_the_authorization_that_the_json_is(tmp_path: Path) -> None:
    columns = tuple(reversed(COLUMNS))
    path = write(tmp_path / "day.csv", csv_text(BODY, columns=columns).replace("\n", "\r\n").encode())
    [(_, _, line)] = rows_of(path)
    text = RowBuilder(columns).from_line(line)
    assert isinstance(text, bytes)
    assert Authorization.model_validate_json(text) == make_authorization()


def test_a_quote_that_is_never_closed_spoils_rows_and_not_the_memory(tmp_path: Path) -> None:
    good = csv_text(BODY).splitlines()[1]
    path = write(tmp_path / "day.csv", (csv_text(BODY) + 'x,"never closed\n' + f"{good}\n" * 500).encode())
    rows = rows_of(path)
    assert rows[0][0] == 2
    assert rows[1][0] == 3
    assert max(len(line) for _, _, line in rows) <= LINE_BYTES_MAX
    assert isinstance(RowBuilder(COLUMNS).from_line(rows[1][2]), Permanent)
    assert len(rows) > 300, "the rows behind the bad one are read again"


@pytest.mark.parametrize("line", [b"a,b", b",".join([b"x"] * (len(COLUMNS) + 1)), b"\xff\xfe", b'"a" b,"'])
def test_a_row_that_is_no_row_is_refused_with_a_reason(line: bytes) -> None:
    refusal = RowBuilder(COLUMNS).from_line(line)
    assert isinstance(refusal, Permanent)
    assert refusal.detail


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("payment_id,stan", "the header lacks message_type"),
        (",".join((*COLUMNS, "loyalty")), "a column that no authorization has: 'loyalty'"),
        (",".join((*COLUMNS, "stan")), "names a column twice"),
        ("\xff\xfe", "no authorization has|no CSV header"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path: Path, header: str, problem: str) -> None:
    path = write(tmp_path / "day.csv", header.encode("latin-1") + b"\n1,2\n")
    with pytest.raises(FileUnusable, match=problem):
        rows_of(path)


def test_optional_columns_may_be_left_out(tmp_path: Path) -> None:
    optional = {"idempotency_key", "card.sequence_number", "card.issuer_country", "merchant.city"}
    columns = tuple(column for column in COLUMNS if column not in optional)
    path = write(tmp_path / "day.csv", csv_text(BODY, columns=columns).encode())
    [(_, _, line)] = rows_of(path)
    text = RowBuilder(columns).from_line(line)
    assert isinstance(text, bytes)
    assert Authorization.model_validate_json(text).card.issuer_country is None


@pytest.mark.parametrize("nested", [True, False])
def test_parquet_rows_are_json_whether_card_and_merchant_are_structs_or_columns(tmp_path: Path, nested: bool) -> None:
    path = tmp_path / "day.parquet"
    bodies = [BODY, BODY | {"amount_minor": 5}]
    pq.write_table(pa.Table.from_pylist(bodies if nested else [flatten(body) for body in bodies]), path)
    rows = rows_of(path)
    assert [(number, token) for number, token, _ in rows] == [(1, BODY["card"]["token"].encode())] * 1 + [
        (2, BODY["card"]["token"].encode())
    ]
    assert [orjson.loads(text) for _, _, text in rows] == bodies


def test_instants_of_parquet_are_read_as_utc(tmp_path: Path) -> None:
    path = tmp_path / "day.parquet"
    authorization = make_authorization()
    row = flatten(BODY) | {
        "transmission_at": authorization.transmission_at,
        "authorized_at": authorization.authorized_at.replace(tzinfo=None),
    }
    pq.write_table(pa.Table.from_pylist([row]), path)
    [(_, _, text)] = rows_of(path)
    assert Authorization.model_validate_json(text) == authorization


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "day.parquet"
    pq.write_table(pa.Table.from_pylist([flatten(BODY)]), path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(FileUnusable, match="no whole Parquet file"):
        rows_of(path)
