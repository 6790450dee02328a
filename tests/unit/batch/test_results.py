"""The result file names every refused row, in CSV that no spreadsheet runs, or in JSON Lines."""

import csv
import io
import json

import pytest

from postrail.batch.chunks import RefusedRow, RowOutcome
from postrail.batch.failures import FileUnusable
from postrail.batch.results import COLUMNS, result_format, write_results

ROWS = [
    ("day.jsonl", RefusedRow(7, "pay_1", RowOutcome.REJECTED, "RULE_REJECTED", "The card had expired", "apply_rules")),
    ("day.jsonl", RefusedRow(9, "", RowOutcome.MALFORMED, "UNKNOWN_FIELD", "=cmd is no field, here", "decode")),
]


def written(format_: str) -> str:
    stream = io.BytesIO()
    assert write_results(stream, iter(ROWS), format_) == 2
    return stream.getvalue().decode()


def test_csv_has_one_header_and_makes_formulas_harmless() -> None:
    rows = list(csv.reader(io.StringIO(written("csv"))))
    assert tuple(rows[0]) == COLUMNS
    assert rows[1] == ["day.jsonl", "7", "pay_1", "rejected", "RULE_REJECTED", "The card had expired"]
    assert rows[2][-1] == "'=cmd is no field, here"


def test_json_lines_keep_values_as_they_are() -> None:
    rows = [json.loads(line) for line in written("jsonl").splitlines()]
    assert rows[1] == dict(zip(COLUMNS, ["day.jsonl", 9, "", "malformed", "UNKNOWN_FIELD", "=cmd is no field, here"],
                               strict=True))  # fmt: skip


def test_the_suffix_decides() -> None:
    assert result_format("s3://bucket/results/day.results.CSV") == "csv"
    assert result_format("out.ndjson") == "jsonl"
    with pytest.raises(FileUnusable, match=r"name it \.csv or \.jsonl"):
        result_format("out.xlsx")
