"""`postrail batch generate`: files by name or by option, the same for the same seed, and refusals in one sentence."""

import gzip
from pathlib import Path

import orjson
import pytest

from postrail.cli.batch import default_results
from postrail.cli.main import run

DAY = ("--day", "2026-10-01", "--accounts", "50", "--seed", "4")


def test_the_name_of_the_file_decides_and_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    files = [tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl.gz"]
    for file in files:
        assert run(["batch", "generate", "--count", "300", *DAY, "--out", str(file)]) == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    rows = gzip.decompress(files[0].read_bytes()).splitlines()
    assert len(rows) == 300
    assert orjson.loads(rows[0])["authorized_at"].startswith("2026-10-01T")


def test_rows_go_to_standard_output_when_no_file_is_named(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["batch", "generate", "--count", "20", *DAY, "--format", "csv"]) == 0
    lines = capfdbinary.readouterr().out.splitlines()
    assert len(lines) == 21
    assert lines[0].startswith(b"payment_id,")


def test_the_reference_file_names_the_accounts_that_pay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = tmp_path / "reference.jsonl"
    out = tmp_path / "day.csv"
    arguments = ["batch", "generate", "--count", "20", *DAY, "--out", str(out), "--reference", str(reference)]
    assert run(arguments) == 0
    cards = [line for line in map(orjson.loads, reference.read_bytes().splitlines()) if "card" in line]
    assert len(cards) == 50
    assert f"open-accounts {reference}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--format", "parquet"], "Name a file with --out"),
        (["--format", "csv", "--out", "day.jsonl"], "disagree"),
        (["--out", "day.parquet.gz"], "Parquet packs itself"),
        (["--duplicates", "0.9", "--malformed", "0.5", "--out", "day.csv"], "leave at least one payment"),
    ],
)
def test_wishes_that_do_not_go_together_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["batch", "generate", "--count", "20", *DAY, *options]) in (1, 2)
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "results"),
    [
        ("in/day.jsonl.gz", "in/day.results.csv"),
        ("day", "day.results.csv"),
        ("s3://bucket/incoming/day.csv.zst", "day.results.csv"),
    ],
)
def test_results_lie_beside_the_file_unless_told_otherwise(name: str, results: str) -> None:
    assert default_results(name) == results


def test_a_missing_file_and_missing_reference_data_are_told_before_anything_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POSTRAIL_LOCAL_DIR", str(tmp_path))
    for name in ("POSTRAIL_LEDGER_DSN", "POSTRAIL_LEDGER_SECRET_ARN", "POSTRAIL_REFERENCE_TABLE", "POSTRAIL_OUTPUTS"):
        monkeypatch.delenv(name, raising=False)
    assert run(["batch", "run", str(tmp_path / "none.csv")]) == 1
    assert "No ledger: name one with --ledger" in capsys.readouterr().err
    dsn = "postgresql://nobody@127.0.0.1:1/none"
    assert run(["batch", "run", str(tmp_path / "none.csv"), "--ledger", dsn]) == 1
    assert "No reference data" in capsys.readouterr().err
    reference = tmp_path / "reference.jsonl"
    assert run(["batch", "run", "day.csv", "--ledger", dsn, "--reference", str(reference)]) == 1
    assert f"There is no file {reference}" in capsys.readouterr().err
    reference.write_bytes(b"")
    assert run(["batch", "run", str(tmp_path / "none.csv"), "--ledger", dsn, "--reference", str(reference)]) == 1
    assert "none.csv: check the path" in capsys.readouterr().err
    arguments = ["batch", "run", "day.csv", "--ledger", dsn, "--reference", str(reference), "--results", "out.pdf"]
    assert run(arguments) == 1
    assert "name it .csv or .jsonl" in capsys.readouterr().err
