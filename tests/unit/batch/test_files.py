"""Files are recognised by content, unpacked in bounded blocks, and refused in one sentence when they are broken."""

import gzip
from hashlib import sha256
from pathlib import Path

import pytest
import zstandard

from postrail.batch.failures import FileUnusable
from postrail.batch.files import (
    BLOCK_BYTES,
    Compression,
    Format,
    LocalFile,
    Odometer,
    digest,
    format_by_name,
    recognise,
    unpacked_blocks,
)

LINES = b"".join(b'{"payment_id":"pay_%s"}\n' % sha256(b"%d" % number).hexdigest().encode() for number in range(40_000))


def pack(data: bytes, compression: Compression) -> bytes:
    if compression is Compression.GZIP:
        return gzip.compress(data, 1)
    return zstandard.compress(data, 1) if compression is Compression.ZSTD else data


def write(folder: Path, name: str, data: bytes) -> LocalFile:
    path = folder / name
    path.write_bytes(data)
    return LocalFile(path)


@pytest.mark.parametrize(
    ("name", "format_", "compression"),
    [
        ("day.csv", Format.CSV, Compression.NONE),
        ("day.JSONL.GZ", Format.JSONL, Compression.GZIP),
        ("s3://bucket/in/day.ndjson.zst", Format.JSONL, Compression.ZSTD),
        ("day.parquet", Format.PARQUET, Compression.NONE),
        ("2026.11.19", None, Compression.NONE),
        ("day.gz", None, Compression.GZIP),
        ("day", None, Compression.NONE),
    ],
)
def test_a_name_says_what_a_file_should_be(name: str, format_: Format | None, compression: Compression) -> None:
    assert format_by_name(name) == (format_, compression)


@pytest.mark.parametrize("compression", list(Compression))
def test_content_comes_out_as_it_went_in_and_in_blocks(tmp_path: Path, compression: Compression) -> None:
    source = write(tmp_path, "day", pack(LINES, compression))
    odometer = Odometer()
    blocks = list(unpacked_blocks(source, compression, odometer))
    assert b"".join(blocks) == LINES
    assert max(map(len, blocks)) <= BLOCK_BYTES + 200_000
    assert odometer.bytes_read == source.size_bytes()


@pytest.mark.parametrize("compression", list(Compression))
def test_a_file_without_a_telling_name_is_recognised_by_its_content(tmp_path: Path, compression: Compression) -> None:
    shape = recognise(write(tmp_path, "day", pack(LINES, compression)))
    assert (shape.format, shape.compression) == (Format.JSONL, compression)
    shape = recognise(write(tmp_path, "other", pack(b"payment_id,stan\n1,2\n", compression)))
    assert (shape.format, shape.compression) == (Format.CSV, compression)


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
def test_several_compressed_streams_in_one_file_are_one_content(tmp_path: Path, compression: Compression) -> None:
    source = write(tmp_path, "day", pack(LINES[:470], compression) + pack(LINES[470:], compression))
    assert b"".join(unpacked_blocks(source, compression)) == LINES


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
def test_a_truncated_stream_gives_what_is_there_and_then_says_that_it_breaks_off(
    tmp_path: Path, compression: Compression
) -> None:
    noise = bytes(range(256)) * 40_000
    source = write(tmp_path, "day", pack(noise, compression)[:-20])
    taken: list[bytes] = []
    with pytest.raises(FileUnusable, match=f"breaks off in the middle of its {compression} stream"):
        taken.extend(unpacked_blocks(source, compression))
    assert noise.startswith(b"".join(taken))


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
def test_a_damaged_stream_is_refused(tmp_path: Path, compression: Compression) -> None:
    packed = bytearray(pack(LINES, compression))
    packed[len(packed) // 2 :] = b"\xff" * (len(packed) - len(packed) // 2)
    with pytest.raises(FileUnusable, match=r"is damaged|breaks off"):
        list(unpacked_blocks(write(tmp_path, "day", bytes(packed)), compression))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable, match="is empty"):
        recognise(write(tmp_path, "day.jsonl", b""))


@pytest.mark.parametrize("name", ["day.jsonl.gz", "day.csv.zst"])
def test_a_name_that_promises_a_compression_the_content_lacks_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileUnusable, match="though its name says so"):
        recognise(write(tmp_path, name, LINES[:100]))


def test_compressed_parquet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable, match="Parquet packs itself"):
        recognise(write(tmp_path, "day.parquet.gz", gzip.compress(b"PAR1")))


def test_a_digest_depends_on_the_content_alone(tmp_path: Path) -> None:
    one, other = write(tmp_path, "one", LINES), write(tmp_path, "other", LINES)
    assert digest(one) == digest(other)
    assert digest(one)[1] == len(LINES)
    assert digest(write(tmp_path, "third", LINES + b"\n")) != digest(one)
