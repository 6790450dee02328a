"""Looks for card numbers where none may be: logs, every column of every table, items, dumps, files of the database."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg import sql

from postrail.domain.card import find_clear_pans

_TEXTS = """
    SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns
     WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
       AND data_type IN ('text', 'character varying', 'character', 'bytea', 'json', 'jsonb', 'ARRAY', 'USER-DEFINED')
     ORDER BY 1, 2, 3
"""
_CHUNK_BYTES = 4 * 1024 * 1024
_OVERLAP_BYTES = 64


class PanScan:
    """Looks for given card numbers in any notation, and for anything that could be one."""

    def __init__(self, pans: Iterable[str]) -> None:
        """`pans` are the numbers that were used: as digits, packed (BCD) or in hexadecimal they are found anywhere."""
        notations = set()
        for pan in pans:
            even = pan if len(pan) % 2 == 0 else f"{pan}F"
            notations |= {pan.encode(), bytes.fromhex(even), pan.encode().hex().encode(), pan.encode("utf-16-le")}
            notations |= {pan.encode("cp500"), pan.encode().hex().upper().encode()}
        self._exact = re.compile(b"|".join(map(re.escape, sorted(notations))))

    def find(self, name: str, content: bytes, *, plausible: bool = True) -> Iterator[str]:
        """What `content` holds, told by place and last four digits. `plausible`: also what merely could be one."""
        for match in self._exact.finditer(content):
            yield f"{name}: a card number at byte {match.start()}"
        if plausible:
            for pan in find_clear_pans(content.decode("utf-8", errors="replace")):
                yield f"{name}: what looks like a card number ending in {pan[-4:]}"

    def scan_files(self, paths: Iterable[Path], *, plausible: bool = True) -> Iterator[str]:
        """Whole files, piece by piece. What a server at work has removed meanwhile is left out."""
        for path in paths:
            with suppress(FileNotFoundError), path.open("rb") as file:
                rest = b""
                while piece := file.read(_CHUNK_BYTES):
                    yield from self.find(str(path), rest + piece, plausible=plausible)
                    rest = piece[-_OVERLAP_BYTES:]

    def scan_database(self, dsn: str) -> Iterator[str]:
        """Every text, every byte string and every document of every table."""
        with psycopg.connect(dsn, autocommit=True) as connection:
            for schema, table, column, kind in connection.execute(_TEXTS).fetchall():
                query = sql.SQL("SELECT {}{} FROM {}").format(
                    sql.Identifier(column), sql.SQL("" if kind == "bytea" else "::text"), sql.Identifier(schema, table)
                )
                for (value,) in connection.execute(query).fetchall():
                    if value is not None:
                        content = value if isinstance(value, bytes) else str(value).encode()
                        yield from self.find(f"{schema}.{table}.{column}", content)

    def scan_dump(self, dsn: str) -> Iterator[str]:
        """What a backup holds, where PostgreSQL's own tool is at hand."""
        if shutil.which("pg_dump") is None:
            return
        dump = subprocess.run(["pg_dump", "--dbname", dsn, "--inserts"], capture_output=True, check=False)
        if dump.returncode:
            raise AssertionError(f"pg_dump failed: {dump.stderr.decode()[-500:]}")
        yield from self.find("pg_dump", dump.stdout)

    def scan_documents(self, name: str, documents: Iterable[object]) -> Iterator[str]:
        """Items and messages."""
        for document in documents:
            yield from self.find(name, json.dumps(document).encode())
