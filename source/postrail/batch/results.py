"""The result file: every row that was not posted, with its line and its reason, as CSV or JSON Lines.

It is made from the committed chunks when a run is at its end, so that a run that was killed and resumed names each row
once. It holds names of fields and rules, never values of rows.
"""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from postrail.batch.chunks import RefusedRow
from postrail.batch.failures import FileUnusable

COLUMNS: Final = ("file", "line", "payment_id", "outcome", "reason_code", "reason")
_SUFFIXES: Final = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
# What makes a spreadsheet read a cell as a formula.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
_FLUSH_ROWS: Final = 5_000


def result_format(name: str) -> str:
    """`csv` or `jsonl` by the name's suffix. Raises FileUnusable for another."""
    try:
        return _SUFFIXES[Path(name.rsplit("/", 1)[-1]).suffix.lower()]
    except KeyError:
        raise FileUnusable(f"{name} does not say its format: name it .csv or .jsonl.") from None


def write_results(stream: BinaryIO, rows: Iterable[tuple[str, RefusedRow]], format_: str) -> int:
    """Write (file, refused row) pairs; how many there were."""
    text = io.StringIO(newline="")
    sheet = csv.writer(text, lineterminator="\n")
    if format_ == "csv":
        sheet.writerow(COLUMNS)
    written = 0
    for file, row in rows:
        values = (file, row.line, row.payment_id, row.outcome.value, row.reason_code, row.reason)
        if format_ == "csv":
            sheet.writerow([_harmless(value) for value in values])
        else:
            text.write(orjson.dumps(dict(zip(COLUMNS, values, strict=True))).decode() + "\n")
        written += 1
        if written % _FLUSH_ROWS == 0:
            _flush(text, stream)
    _flush(text, stream)
    return written


def _flush(text: io.StringIO, stream: BinaryIO) -> None:
    stream.write(text.getvalue().encode())
    text.seek(0)
    text.truncate()


def _harmless(value: str | int) -> str | int:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
