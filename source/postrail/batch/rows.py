"""Raw rows of a file with their line numbers, in bounded memory, whatever the file holds.

The rows are not understood here: only where each begins and ends, and which card it is about, for routing. Lines are
counted from 1 as an editor counts them; the rows of a Parquet file are counted from 1 as well.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from postrail.batch.columns import CARD_COLUMN, RowBuilder, check_columns
from postrail.batch.failures import FileUnusable
from postrail.batch.files import Format, Odometer, Shape, Source, unpacked_blocks
from postrail.contracts.base import EVENT_BYTES_MAX

LINE_BYTES_MAX: Final = EVENT_BYTES_MAX + 1
"""What is kept of a longer line: enough to be refused as too large."""

_TOKEN_IN_JSON: Final = re.compile(rb'"token"\s*:\s*"([^"\\]{0,64})"')
_QUOTED_LINES_MAX: Final = 100
_PARQUET_ROWS: Final = 1_000
_PARQUET_BUFFER_BYTES: Final = 1 << 20
_BOM: Final = b"\xef\xbb\xbf"

Row = tuple[int, bytes, bytes]
"""Line number, the bytes by which the row is routed (its card token when it has one), and the row as it stands."""


class RowFile(Protocol):
    """A file that was looked at and can be read."""

    @property
    def header(self) -> tuple[str, ...]:
        """Columns of a CSV file; empty when the rows are JSON."""
        ...

    def rows(self) -> Iterator[Row]:
        """All rows from the first; raises FileUnusable where the file breaks off."""
        ...

    def progress(self) -> float:
        """How much of the file has been read, from 0 to 1."""
        ...


def open_rows(source: Source, shape: Shape) -> RowFile:
    """The file's rows. Raises FileUnusable for a header that is not one of authorizations."""
    if shape.format is Format.JSONL:
        return JsonLines(source, shape)
    return CsvRows(source, shape) if shape.format is Format.CSV else ParquetRows(source)


def split_lines(blocks: Iterable[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """Lines in groups with the number of the first of each group, line ends taken off, bounded in length.

    Of a line that is longer than LINE_BYTES_MAX, that many bytes are kept.
    """
    number, rest, skipping = 1, b"", False
    for block in blocks:
        lines = (rest + block).split(b"\n") if rest else block.split(b"\n")
        if skipping and len(lines) > 1:
            # The rest of a line that was cut before: its kept beginning stands in `rest` already.
            lines[0] = lines[0][:LINE_BYTES_MAX]
            skipping = False
        rest = lines.pop()
        if len(rest) > LINE_BYTES_MAX:
            rest, skipping = rest[:LINE_BYTES_MAX], True
        if lines:
            yield number, lines
            number += len(lines)
    if rest:
        yield number, [rest]


@dataclass
class _TextRows:
    source: Source
    shape: Shape
    odometer: Odometer = field(default_factory=Odometer)

    def progress(self) -> float:
        """By bytes as stored."""
        return min(1.0, self.odometer.bytes_read / max(1, self.source.size_bytes()))

    def _lines(self) -> Iterator[tuple[int, list[bytes]]]:
        groups = split_lines(unpacked_blocks(self.source, self.shape.compression, self.odometer))
        for number, lines in groups:
            if number == 1 and lines[0].startswith(_BOM):
                lines[0] = lines[0][len(_BOM) :]
            yield number, lines


class JsonLines(_TextRows):
    """One JSON object a line; empty lines are passed over."""

    header: tuple[str, ...] = ()

    def rows(self) -> Iterator[Row]:
        """Every line that is not empty."""
        search = _TOKEN_IN_JSON.search
        for first, lines in self._lines():
            for number, line in enumerate(lines, first):
                match = search(line)
                if match is not None:
                    yield number, match[1], line
                elif line and not line.isspace():
                    yield number, line, line


class CsvRows(_TextRows):
    """RFC 4180 with a header line; a quoted cell may hold line breaks."""

    def __init__(self, source: Source, shape: Shape) -> None:
        super().__init__(source, shape)
        self.header = _read_header(source.name, next(self._lines(), None))
        self._token_at = self.header.index(CARD_COLUMN)
        self.odometer.bytes_read = 0

    def rows(self) -> Iterator[Row]:
        """Every row below the header."""
        token_at, width = self._token_at, len(self.header)
        for number, line in self._whole_rows():
            cells = line.split(b",")
            if b'"' in line:
                yield number, _quoted_cell(line, token_at), line
            elif len(cells) == width:
                yield number, cells[token_at], line
            else:
                yield number, line, line

    def _whole_rows(self) -> Iterator[tuple[int, bytes]]:
        begun: list[bytes] = []
        begun_at = size = 0
        for first, lines in self._lines():
            for number, ended in enumerate(lines, first):
                line = ended.removesuffix(b"\r")
                if number == 1 or not (line or begun):
                    continue
                if not begun and line.count(b'"') % 2 == 0:
                    yield number, line
                    continue
                begun_at = begun_at if begun else number
                begun.append(line)
                size += len(line)
                closed = sum(part.count(b'"') for part in begun) % 2 == 0
                if closed or size > LINE_BYTES_MAX or len(begun) >= _QUOTED_LINES_MAX:
                    yield begun_at, b"\n".join(begun)[:LINE_BYTES_MAX]
                    begun, size = [], 0
        if begun:
            yield begun_at, b"\n".join(begun)


class ParquetRows:
    """Columns of a Parquet file as rows of JSON; structs (`card`, `merchant`) are flattened."""

    header: tuple[str, ...] = ()

    def __init__(self, source: Source) -> None:
        self._source = source
        self._pyarrow = _load_pyarrow()
        self._read = 0
        with source.open() as stream:
            file = self._open(stream)
            self._total = file.metadata.num_rows
            schema = self._pyarrow.lib.Table.from_batches([], schema=file.schema_arrow).flatten().schema
        self._columns = list(schema.names)
        check_columns(self._columns, file=source.name)

    def rows(self) -> Iterator[Row]:
        """Every row, as the JSON of an authorization."""
        build = RowBuilder(self._columns).from_cells
        token_at = self._columns.index(CARD_COLUMN)
        with self._source.open() as stream:
            batches = self._open(stream).iter_batches(batch_size=_PARQUET_ROWS, use_threads=False)
            try:
                for batch in batches:
                    table = self._pyarrow.lib.Table.from_batches([batch]).flatten()
                    for cells in zip(*(column.to_pylist() for column in table.columns), strict=True):
                        self._read += 1
                        yield self._read, str(cells[token_at]).encode(), build(cells)
            except (self._pyarrow.lib.ArrowException, OSError) as error:
                raise FileUnusable(f"{self._source.name} cannot be read behind row {self._read}: {error}.") from error

    def progress(self) -> float:
        """By rows."""
        return min(1.0, self._read / max(1, int(self._total)))

    def _open(self, stream: Any) -> Any:
        try:
            return self._pyarrow.parquet.ParquetFile(stream, buffer_size=_PARQUET_BUFFER_BYTES, pre_buffer=False)
        except (self._pyarrow.lib.ArrowException, OSError) as error:
            raise FileUnusable(f"{self._source.name} is no whole Parquet file: {error}.") from error


def _read_header(file: str, group: tuple[int, list[bytes]] | None) -> tuple[str, ...]:
    if group is None:
        raise FileUnusable(f"{file} holds nothing: there is nothing to post.")
    line = group[1][0].removesuffix(b"\r")
    try:
        columns = [name.strip() for name in next(csv.reader(io.StringIO(line.decode())), [])]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileUnusable(f"{file}: the first line is no CSV header in UTF-8.") from error
    check_columns(columns, file=file)
    return tuple(columns)


def _quoted_cell(line: bytes, place: int) -> bytes:
    try:
        cells = next(csv.reader([line.decode(errors="replace")]), [])
    except csv.Error:
        return line
    return cells[place].encode() if place < len(cells) else line


def _load_pyarrow() -> Any:
    try:
        import pyarrow.parquet  # noqa: PLC0415 - optional and large, wanted for Parquet alone
    except ImportError as error:
        raise FileUnusable("Parquet needs the package `pyarrow`: install postrail[batch].") from error
    return pyarrow
