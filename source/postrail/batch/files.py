"""Files as streams of bytes: where they come from, what they are, and their decompression.

What a file is stands in its first bytes; its name decides only where they leave it open. Nothing is held whole: blocks
are bounded, and so is what one block of compressed bytes can unfold to.
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from postrail.batch.failures import FileUnusable

BLOCK_BYTES: Final = 1 << 20
_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_PARQUET_MAGIC: Final = b"PAR1"
_HEAD_BYTES: Final = 4096
# Four bytes of a Zstandard frame can stand for 128 KiB (RFC 8878, section 3.1.1.2): this much unfolds to 32 MiB.
_ZSTD_BITE_BYTES: Final = 1024
_ZSTD_WINDOW_BYTES_MAX: Final = 1 << 27


class Source(Protocol):
    """A file that can be opened more than once."""

    @property
    def name(self) -> str:
        """The file as its giver calls it: a path or a URI."""
        ...

    def size_bytes(self) -> int:
        """Its size as it is stored."""
        ...

    def open(self) -> BinaryIO:
        """A seekable stream of its bytes as stored."""
        ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine."""

    path: Path

    @property
    def name(self) -> str:
        """The path as given."""
        return str(self.path)

    def size_bytes(self) -> int:
        """Its size. Raises FileNotFoundError."""
        return self.path.stat().st_size

    def open(self) -> BinaryIO:
        """The file, opened for reading."""
        return self.path.open("rb")


class Compression(StrEnum):
    """How the bytes are packed."""

    NONE = ""
    GZIP = "gzip"
    ZSTD = "Zstandard"


class Format(StrEnum):
    """How rows stand in the file."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


_FORMAT_BY_SUFFIX: Final = {
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".json": Format.JSONL,
    ".csv": Format.CSV,
    ".parquet": Format.PARQUET,
}
_COMPRESSION_BY_SUFFIX: Final = {".gz": Compression.GZIP, ".zst": Compression.ZSTD}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a file turned out to be."""

    format: Format
    compression: Compression


def format_by_name(name: str) -> tuple[Format | None, Compression]:
    """What the suffixes of a name promise, e.g. `day.csv.gz`; None when they say nothing of the format."""
    suffixes = [suffix.lower() for suffix in Path(name.rsplit("/", 1)[-1]).suffixes]
    compression = _COMPRESSION_BY_SUFFIX.get(suffixes[-1], Compression.NONE) if suffixes else Compression.NONE
    if compression is not Compression.NONE:
        suffixes.pop()
    return (_FORMAT_BY_SUFFIX.get(suffixes[-1]) if suffixes else None), compression


def recognise(source: Source) -> Shape:
    """What the file is, by its content. Raises FileUnusable when it is empty, or not what its name promises."""
    promised, promised_compression = format_by_name(source.name)
    with source.open() as stream:
        head = stream.read(_HEAD_BYTES)
    if not head:
        raise FileUnusable(f"{source.name} is empty: there is nothing to post.")
    compression = _compression_of(head)
    if promised_compression is not Compression.NONE and compression is not promised_compression:
        raise FileUnusable(f"{source.name} is no {promised_compression} file, though its name says so.")
    if compression is Compression.NONE and (head.startswith(_PARQUET_MAGIC) or promised is Format.PARQUET):
        return Shape(Format.PARQUET, compression)
    if compression is not Compression.NONE:
        if promised is Format.PARQUET:
            raise FileUnusable(f"{source.name} is {compression} around Parquet: Parquet packs itself; unpack it first.")
        head = next(unpacked_blocks(source, compression), b"")
    if promised is None:
        promised = Format.JSONL if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else Format.CSV
    return Shape(promised, compression)


def _compression_of(head: bytes) -> Compression:
    if head.startswith(_GZIP_MAGIC):
        return Compression.GZIP
    return Compression.ZSTD if head.startswith(_ZSTD_MAGIC) else Compression.NONE


def digest(source: Source) -> tuple[str, int]:
    """SHA-256 of the file as stored, in hex, and its size in bytes: by these a file is known again."""
    hasher, size = hashlib.sha256(), 0
    with source.open() as stream:
        while block := stream.read(BLOCK_BYTES):
            hasher.update(block)
            size += len(block)
    return hasher.hexdigest(), size


class Odometer:
    """How many stored bytes have been read, for the progress bar."""

    def __init__(self) -> None:
        self.bytes_read = 0


def unpacked_blocks(source: Source, compression: Compression, odometer: Odometer | None = None) -> Iterator[bytes]:
    """The file's content in blocks of about a MiB or less.

    Raises FileUnusable in the middle when the compressed stream breaks off or is damaged; the blocks before are good.
    """
    odometer = odometer or Odometer()
    with source.open() as stream:
        if compression is Compression.GZIP:
            yield from _gunzip(source.name, stream, odometer)
        elif compression is Compression.ZSTD:
            yield from _unzstd(source.name, stream, odometer)
        else:
            while block := stream.read(BLOCK_BYTES):
                odometer.bytes_read += len(block)
                yield block


def _gunzip(name: str, stream: BinaryIO, odometer: Odometer) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=stream) as unpacker:
        while True:
            try:
                block = unpacker.read(BLOCK_BYTES)
            except EOFError as error:
                raise _broken_off(name, Compression.GZIP) from error
            except (gzip.BadGzipFile, zlib.error) as error:
                raise _damaged(name, Compression.GZIP) from error
            if not block:
                return
            odometer.bytes_read = stream.tell()
            yield block


def _unzstd(name: str, stream: BinaryIO, odometer: Odometer) -> Iterator[bytes]:
    zstandard = load_zstandard()
    unpacker: Any = None
    gathered: list[bytes] = []
    size = 0
    while bite := stream.read(_ZSTD_BITE_BYTES):
        odometer.bytes_read += len(bite)
        while bite:
            unpacker = unpacker or zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES_MAX).decompressobj()
            try:
                gathered.append(unpacker.decompress(bite))
            except zstandard.ZstdError as error:
                raise _damaged(name, Compression.ZSTD) from error
            size += len(gathered[-1])
            bite = unpacker.unused_data if unpacker.eof else b""  # what follows the frame's end
            unpacker = None if unpacker.eof else unpacker
        if size >= BLOCK_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    if size:
        yield b"".join(gathered)
    if unpacker is not None:
        raise _broken_off(name, Compression.ZSTD)


def _broken_off(name: str, compression: Compression) -> FileUnusable:
    return FileUnusable(f"{name} breaks off in the middle of its {compression} stream.")


def _damaged(name: str, compression: Compression) -> FileUnusable:
    return FileUnusable(f"The {compression} stream of {name} is damaged.")


def load_zstandard() -> Any:
    """The `zstandard` package. Raises FileUnusable, with what to do, when it is not installed."""
    try:
        import zstandard  # noqa: PLC0415 - an optional package, wanted for batches alone
    except ImportError as error:
        raise FileUnusable("Zstandard needs the package `zstandard`: install postrail[batch].") from error
    return zstandard
