"""Batch files in S3: read in ranges and by anybody who seeks, pinned while they are read, written whole."""

import gzip
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from postrail.adapters.aws import batch_files
from postrail.adapters.aws.batch_files import S3File, is_s3, split_uri, upload
from postrail.batch.failures import FileUnusable
from postrail.batch.files import Compression, Format, digest, recognise, unpacked_blocks

BUCKET = "batch-inbox"
URI = f"s3://{BUCKET}/incoming/day 1.jsonl.gz"
LINES = b"".join(b'{"payment_id":"pay_%d"}\n' % number for number in range(5_000))


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bucket in moto."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3", region_name="eu-west-2")
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
        yield client


def put(s3: Any, content: bytes) -> None:
    s3.put_object(Bucket=BUCKET, Key="incoming/day 1.jsonl.gz", Body=content)


def test_an_object_is_recognised_digested_and_unpacked_like_a_file(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_files, "_RANGE_BYTES", 1_000)
    put(s3, gzip.compress(LINES))
    source = S3File(s3, URI)
    shape = recognise(source)
    assert (shape.format, shape.compression) == (Format.JSONL, Compression.GZIP)
    assert digest(source)[1] == source.size_bytes() == len(gzip.compress(LINES))
    assert b"".join(unpacked_blocks(source, shape.compression)) == LINES


def test_a_stream_can_be_read_from_any_place(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_files, "_RANGE_BYTES", 777)
    put(s3, LINES)
    with S3File(s3, URI).open() as stream:
        assert stream.seek(-10, 2) == len(LINES) - 10
        assert stream.read() == LINES[-10:]
        stream.seek(2_000)
        assert stream.read(3_000) == LINES[2_000:5_000]
        assert stream.tell() == 5_000
        assert stream.read(10**9) == LINES[5_000:]
        assert stream.read(1) == b""


def test_an_object_that_is_replaced_while_it_is_read_is_refused(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_files, "_RANGE_BYTES", 70_000)
    put(s3, LINES)
    with S3File(s3, URI).open() as stream:
        assert stream.read(10) == LINES[:10]
        put(s3, LINES[::-1])
        stream.seek(100_000)
        with pytest.raises(FileUnusable, match="was replaced while it was read"):
            stream.read(10)


@pytest.mark.parametrize("uri", ["s3://", "s3://bucket", "s3://bucket/", "s3:///key"])
def test_a_uri_without_bucket_or_key_is_refused(uri: str) -> None:
    assert is_s3(uri)
    with pytest.raises(FileUnusable, match="write s3://bucket/key"):
        split_uri(uri)


def test_a_missing_object_is_refused_in_one_sentence(s3: Any) -> None:
    with pytest.raises(FileUnusable, match=r"cannot be read \(404\)"):
        S3File(s3, URI)


def test_results_are_uploaded_whole(s3: Any, tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text("file,line\n")
    upload(s3, path, f"s3://{BUCKET}/results/day 1.csv")
    assert s3.get_object(Bucket=BUCKET, Key="results/day 1.csv")["Body"].read() == b"file,line\n"
    with pytest.raises(FileUnusable, match="cannot be written"):
        upload(s3, path, "s3://no-such-bucket-anywhere/results.csv")
