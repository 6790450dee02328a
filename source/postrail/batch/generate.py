"""Writes sample files of any length in every form that `batch run` reads, and the reference data that they need."""

import csv
import gzip
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import orjson

from postrail.batch.columns import COLUMNS, flatten
from postrail.batch.failures import FileUnusable
from postrail.batch.files import Compression, Format, load_zstandard
from postrail.ports import ExchangeRate
from postrail.sampling.accounts import SampleAccount

_ROWS_PER_BLOCK: Final = 2_000
_ROWS_PER_GROUP: Final = 50_000
_GZIP_LEVEL: Final = 3
_ZSTD_LEVEL: Final = 3
_INTEGER_COLUMN: Final = "amount_minor"

OnRows = Callable[[int], None]


def write_rows(
    target: Path | BinaryIO,
    bodies: Iterable[dict[str, Any]],
    format_: Format,
    compression: Compression = Compression.NONE,
    *,
    on_rows: OnRows = lambda _: None,
) -> int:
    """Write authorizations to a file or a stream, block by block; the number of rows written.

    `on_rows` hears of the progress. Raises FileUnusable for Parquet inside another compression.
    """
    if format_ is Format.PARQUET and compression is not Compression.NONE:
        raise FileUnusable("Parquet packs itself: leave the second suffix away.")
    with _opened(target, compression) as stream:
        if format_ is Format.PARQUET:
            return _write_parquet(stream, bodies, on_rows)
        encode = _encode_json if format_ is Format.JSONL else _encode_csv
        if format_ is Format.CSV:
            stream.write((",".join(COLUMNS) + "\n").encode())
        written = 0
        for block in _blocks(bodies, _ROWS_PER_BLOCK):
            stream.write(encode(block))
            written += len(block)
            on_rows(written)
        return written


def write_reference(target: Path, accounts: Iterable[SampleAccount], rates: Sequence[ExchangeRate]) -> int:
    """Write the cards of these accounts and the rates as `batch.reference` reads them; the number of cards."""
    cards = 0
    with target.open("wb") as stream:
        for rate in rates:
            line = {
                "rate": f"{rate.rate:f}",
                "source": rate.source,
                "target": rate.target,
                "day": rate.day.isoformat(),
                "publisher": rate.publisher,
            }
            stream.write(orjson.dumps(line) + b"\n")
        for account in accounts:
            card = {
                "card": account.card_token,
                "account": account.details.model_dump(mode="json"),
                "opening_balance_minor": account.opening_balance_minor,
            }
            stream.write(orjson.dumps(card) + b"\n")
            cards += 1
    return cards


def _encode_json(block: list[dict[str, Any]]) -> bytes:
    return b"".join([orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE) for body in block])


def _encode_csv(block: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(_cells(body) for body in block)
    return text.getvalue().encode()


def _cells(body: dict[str, Any]) -> list[Any]:
    row = flatten(body)
    return [row.get(column, "") for column in COLUMNS]


def _write_parquet(stream: BinaryIO, bodies: Iterable[dict[str, Any]], on_rows: OnRows) -> int:
    try:
        import pyarrow as pa  # noqa: PLC0415 - optional and large, wanted for Parquet alone
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise FileUnusable("Parquet needs the package `pyarrow`: install postrail[batch].") from error
    types = {name: pa.int64() if name == _INTEGER_COLUMN else pa.string() for name in COLUMNS}
    schema = pa.schema(list(types.items()))
    written = 0
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for block in _blocks(bodies, _ROWS_PER_GROUP):
            rows = [flatten(body) for body in block]
            columns = {name: [row.get(name) for row in rows] for name in COLUMNS}
            writer.write_table(pa.table(columns, schema=schema))
            written += len(block)
            on_rows(written)
    return written


def _blocks(bodies: Iterable[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    source = iter(bodies)
    while block := list(islice(source, size)):
        yield block


@contextmanager
def _opened(target: Path | BinaryIO, compression: Compression) -> Iterator[BinaryIO]:
    if not isinstance(target, Path):
        yield target
        return
    with target.open("wb") as file:
        if compression is Compression.GZIP:
            # No name and no time in the header: the same seed gives the same bytes.
            with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as packed:
                yield cast("BinaryIO", packed)
        elif compression is Compression.ZSTD:
            with load_zstandard().ZstdCompressor(level=_ZSTD_LEVEL).stream_writer(file) as packed:
                yield packed
        else:
            yield file
