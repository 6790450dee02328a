"""Anchors in a local file: JSON Lines, one anchor a line, only ever added to."""

import os
from collections.abc import Iterator
from pathlib import Path

from postrail.domain.anchor import ANCHOR_BYTES_MAX, Anchor, AnchorUnusable


class AnchorFile:
    """Fills `ports.AnchorStore`. Keep the file where the database's owner has no hand in it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self, anchor: Anchor) -> str:
        """Add the anchor at the end, and return only when the disk has it. Raises AnchorUnusable."""
        try:
            created = not self._path.exists()
            with self._path.open("a+b") as file:
                line = anchor.to_json().encode() + b"\n"
                if not created and not _ends_a_line(self._path):
                    # Somebody was cut off in the middle of a line; it stays as it is, and is named when it is read.
                    line = b"\n" + line
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            if created:
                _sync_folder(self._path.parent)
        except OSError as error:
            raise AnchorUnusable(f"{self._path} cannot be written: {error.strerror}.") from error
        return str(self._path)

    def read(self) -> Iterator[Anchor]:
        """The anchors of the file, oldest first, one in memory at a time. Raises AnchorUnusable."""
        found = False
        try:
            with self._path.open("rb") as file:
                number = 0
                while line := file.readline(ANCHOR_BYTES_MAX):
                    number += 1
                    if line.strip():
                        found = True
                        yield Anchor.from_json(line, place=f"{self._path}, line {number},")
        except OSError as error:
            raise AnchorUnusable(f"{self._path} cannot be read: {error.strerror}.") from error
        if not found:
            raise AnchorUnusable(f"{self._path} holds no anchor.")


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
