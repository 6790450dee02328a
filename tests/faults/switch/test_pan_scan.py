"""That the scan for card numbers finds what it looks for, wherever and however it is written."""

from pathlib import Path

import psycopg
import pytest
from tests.faults.switch.pan_scan import PanScan
from tests.faults.switch.stage import Postgres

PAN = "4761340000000019"
OTHER = "5413330000000019"


@pytest.mark.parametrize(
    "content",
    [
        PAN.encode(),
        f'{{"card":"{PAN}"}}'.encode(),
        b"\x00\x01" + bytes.fromhex(PAN) + b"\x99",
        PAN.encode().hex().encode(),
        PAN.encode().hex().upper().encode(),
        f"x{PAN}=29121010000".encode(),
        PAN.encode("utf-16-le"),
        PAN.encode("cp500"),
    ],
)
def test_a_number_that_was_used_is_found_in_any_notation(content: bytes) -> None:
    """Digits, packed digits, hexadecimal, other alphabets; with anything around it."""
    assert list(PanScan([PAN]).find("here", content))


def test_a_number_that_was_not_used_is_found_by_its_look_and_others_are_left_alone() -> None:
    """Luhn and length; tokens and masked numbers are no card numbers."""
    scan = PanScan([PAN])
    assert list(scan.find("here", OTHER.encode()))
    assert not list(scan.find("here", b"4761340000000018 476134******0019 2026-11-21T01:35:00.123456Z"))


def test_a_number_across_two_pieces_of_a_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read piece by piece."""
    monkeypatch.setattr("tests.faults.switch.pan_scan._CHUNK_BYTES", 1_000)
    path = tmp_path / "log"
    path.write_bytes(b"-" * 995 + PAN.encode() + b"-" * 995)
    assert list(PanScan([PAN]).scan_files([path]))


@pytest.mark.parametrize(
    ("kind", "value"),
    [("text", PAN), ("bytea", bytes.fromhex(PAN)), ("jsonb", f'{{"pan": "{PAN}"}}'), ("text[]", [OTHER])],
)
def test_a_number_in_any_column_of_any_table_is_found(postgres: Postgres, kind: str, value: object) -> None:
    """Also in tables that nobody thought of, and in a dump."""
    scan, dsn = PanScan([PAN]), postgres.create_database()
    assert not list(scan.scan_database(dsn))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA elsewhere CREATE TABLE notes (note {kind})")
        connection.execute("INSERT INTO elsewhere.notes VALUES (%s)", (value,))
    assert list(scan.scan_database(dsn))
    assert kind == "bytea" or list(scan.scan_dump(dsn))
