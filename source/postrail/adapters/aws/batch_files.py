"""Files of the batch road in S3: read in ranges, so that a long run survives a cut connection; written whole."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast
from urllib.parse import urlsplit

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from postrail.adapters.aws.clients import error_code
from postrail.batch.failures import FileUnusable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SCHEME: Final = "s3://"
_RANGE_BYTES: Final = 8 << 20


def is_s3(name: str) -> bool:
    """Whether a file is named by an S3 URI."""
    return name.startswith(SCHEME)


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key. Raises FileUnusable for a URI that lacks one."""
    parts = urlsplit(uri, allow_fragments=False)
    bucket, key = parts.netloc, uri[len(SCHEME) + len(parts.netloc) + 1 :]
    if not bucket or not key:
        raise FileUnusable(f"{uri} names no object: write s3://bucket/key.")
    return bucket, key


class S3File:
    """Fills `batch.files.Source`. The object is pinned by its ETag: one that changes while it is read is refused."""

    def __init__(self, client: "S3Client", uri: str) -> None:
        """Looks the object up. Raises FileUnusable when it is not there or may not be read."""
        self._client = client
        self.name = uri
        self._bucket, self._key = split_uri(uri)
        try:
            head = client.head_object(Bucket=self._bucket, Key=self._key)
        except ClientError as error:
            raise FileUnusable(
                f"{uri} cannot be read ({error_code(error)}): check its name and your rights."
            ) from error
        self._size, self._etag = head["ContentLength"], head["ETag"]

    def size_bytes(self) -> int:
        """The object's size."""
        return self._size

    def open(self) -> BinaryIO:
        """A seekable stream over the object."""
        return cast("BinaryIO", io.BufferedReader(_Ranges(self), buffer_size=1 << 16))

    def read_range(self, start: int, length: int) -> bytes:
        """Bytes of the object from `start` on."""
        try:
            answer = self._client.get_object(
                Bucket=self._bucket,
                Key=self._key,
                Range=f"bytes={start}-{min(start + length, self._size) - 1}",
                IfMatch=self._etag,
            )
            return answer["Body"].read()
        except ClientError as error:
            if error_code(error) in {"PreconditionFailed", "412"}:
                raise FileUnusable(f"{self.name} was replaced while it was read.") from error
            raise FileUnusable(f"{self.name} cannot be read any further ({error_code(error)}).") from error
        except (BotoCoreError, OSError) as error:
            raise FileUnusable(f"{self.name} cannot be read any further ({type(error).__name__}).") from error


class _Ranges(io.RawIOBase):
    """An object as a raw stream: one range is kept, the next is asked for when it is used up."""

    def __init__(self, file: S3File) -> None:
        self._file = file
        self._position = 0
        self._kept_from = 0
        self._kept = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.size_bytes()}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        if self._position >= self._file.size_bytes():
            return 0
        offset = self._position - self._kept_from
        if not 0 <= offset < len(self._kept):
            self._kept = self._file.read_range(self._position, _RANGE_BYTES)
            self._kept_from, offset = self._position, 0
        piece = self._kept[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)


def upload(client: "S3Client", path: Path, uri: str) -> None:
    """Put a file under a URI, whole or not at all. Raises FileUnusable."""
    bucket, key = split_uri(uri)
    try:
        client.upload_file(str(path), bucket, key)
    except (Boto3Error, BotoCoreError, ClientError, OSError) as error:
        raise FileUnusable(f"{uri} cannot be written ({type(error).__name__}: {error}).") from error
