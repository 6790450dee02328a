"""A file is run to its end: every row comes to one end, once, whatever its format and the number of workers."""

import json
import signal
from collections import Counter
from pathlib import Path

import orjson
import pytest
from tests.integration.batch.support import ACCOUNTS, Bank, bodies, outcomes_in, stage_tools, wait_until, write_file

from postrail.adapters.postgres.connection import Database
from postrail.batch.chunks import RawChunk
from postrail.batch.road import Road
from postrail.cli.main import run as run_command
from postrail.domain.errors import ReasonCode

pytestmark = pytest.mark.timeout(280)

COUNT_KEYS = ("posted", "duplicates", "conflicts", "rejected", "referred", "malformed", "failed")


def expected_counts(rows: list[dict[str, object]]) -> dict[str, int]:
    """What the stages say of the whole file in one chunk, without a ledger. A row never fails in the sample bank."""
    road = Road(run_id="run_" + "0" * 32, partition=0, decode_row=None, tools=stage_tools())
    chunk = road.prepare(RawChunk(0, list(range(1, len(rows) + 1)), [orjson.dumps(row) for row in rows]))
    found: Counter[str] = Counter()
    for row in chunk.refused:
        conflict = row.reason_code == ReasonCode.CONFLICT
        found["conflicts" if conflict else "duplicates" if row.outcome == "parked" else row.outcome.value] += 1
    return {name: found[name] for name in COUNT_KEYS} | {"posted": len(chunk.orders)}


def test_every_row_comes_to_one_end_and_a_second_run_posts_nothing(bank: Bank, tmp_path: Path) -> None:
    rows = bodies(3_000)
    file = write_file(tmp_path / "day.jsonl.gz", rows)
    results = tmp_path / "refused.jsonl"
    report = bank.run(file, "--results", str(results), "--workers", "2", "--chunk-size", "200")
    counts = {name: report[name] for name in COUNT_KEYS}
    assert counts == expected_counts(rows)
    assert report["lines"] == sum(counts.values()) == 3_000
    assert min(counts[name] for name in COUNT_KEYS if name != "failed") > 0, "the sample has something of everything"
    assert bank.posted() == report["posted"]
    assert bank.verified()
    assert outcomes_in(results) == Counter(
        {name: number for name, number in counts.items() if name != "posted" and number}
    )
    lines = [orjson.loads(line)["line"] for line in results.read_bytes().splitlines()]
    assert lines == sorted(set(lines))
    by_line = dict(enumerate(rows, 1))
    for refused in map(orjson.loads, results.read_bytes().splitlines()):
        assert refused["file"] == str(file)
        assert refused["payment_id"] in ("", by_line[refused["line"]]["payment_id"])
    before, first = bank.balances(), results.read_bytes()
    results.unlink()
    again = bank.run(file, "--results", str(results))
    assert again["files"][0]["known"]
    assert again["run_id"] == report["run_id"]
    assert bank.balances() == before
    assert results.read_bytes() == first


@pytest.mark.parametrize(("workers", "chunk_size", "name"), [(1, 1_000, "d.csv.zst"), (3, 77, "d.parquet")])
def test_workers_chunks_and_formats_do_not_change_the_balances(
    bank: Bank, postgres_server, migrated_template: str, tmp_path: Path, workers: int, chunk_size: int, name: str
) -> None:
    rows = bodies(1_200, flat=True)
    report = bank.run(write_file(tmp_path / "day.jsonl", rows), "--workers", "2", "--chunk-size", "100")
    other_name = postgres_server.create_database(migrated_template)
    try:
        other = Bank.open(postgres_server.owner_dsn_of(other_name), tmp_path / "other")
        file = write_file(tmp_path / name, rows)
        same = other.run(file, "--workers", str(workers), "--chunk-size", str(chunk_size))
        assert {key: same[key] for key in COUNT_KEYS} == {key: report[key] for key in COUNT_KEYS}
        assert other.balances() == bank.balances()
        assert (report["workers"], same["workers"]) == (2, workers)
    finally:
        postgres_server.drop_database(other_name)


def test_payments_that_another_file_brought_are_parked(bank: Bank, tmp_path: Path) -> None:
    rows = bodies(400, duplicates=0, malformed=0)
    first = bank.run(write_file(tmp_path / "one.jsonl", rows))
    changed = [row | {"amount_minor": int(row["amount_minor"]) + 1} for row in rows[:50]] + rows[50:]
    second = bank.run(write_file(tmp_path / "two.jsonl", changed))
    assert second["posted"] == 0
    assert second["duplicates"] + second["conflicts"] == first["posted"]
    assert 0 < second["conflicts"] <= 50
    assert bank.verified()


def test_a_batch_of_bad_rows_only_posts_nothing_and_names_every_row(bank: Bank, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    lines = [b"no json", b'{"payment_id": 5}', b"[]", b'{"card": {"token": "4' + b"1" * 15 + b'"}}', b"\xff\xfe"]
    file.write_bytes(b"\n".join(lines * 100))
    results = tmp_path / "refused.jsonl"
    report = bank.run(file, "--results", str(results), "--chunk-size", "64")
    assert (report["lines"], report["malformed"], report["posted"]) == (500, 500, 0)
    assert bank.posted() == 0
    rows = [orjson.loads(line) for line in results.read_bytes().splitlines()]
    assert [row["line"] for row in rows] == list(range(1, 501))
    assert {row["reason_code"] for row in rows} >= {"MALFORMED_EVENT", "CLEAR_PAN"}
    with Database(bank.dsn) as database:
        kept = database.fetch("SELECT refused::text AS refused, documents FROM audit.batch_chunks")
    assert all("4" + "1" * 15 not in row["refused"] for row in kept)
    assert "4" + "1" * 15 not in results.read_text()


def test_the_ledger_refuses_rows_alone_and_they_are_failed_with_its_reason(bank: Bank, tmp_path: Path) -> None:
    open_account = next(each for each in ACCOUNTS if each.details.status == "open")
    rows = [row for row in bodies(600, duplicates=0, malformed=0) if row["card"]["token"] == open_account.card_token]
    with Database(bank.dsn) as database:
        database.execute(
            "UPDATE ledger.accounts SET status = 'closed' WHERE account_id = $1", open_account.details.account_id
        )
    assert rows
    report = bank.run(write_file(tmp_path / "day.jsonl", rows), "--results", str(tmp_path / "refused.jsonl"))
    assert report["failed"] > 0
    assert report["posted"] == 0
    reasons = {orjson.loads(line)["reason_code"] for line in (tmp_path / "refused.jsonl").read_bytes().splitlines()}
    assert "ACCOUNT_NOT_OPEN" in reasons
    recorded = bank.scalar("SELECT count(*) FROM audit.outcomes WHERE detail_type = 'PaymentPostingFailed'")
    assert recorded == report["failed"]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.jsonl", b"", "is empty"),
        ("blank.jsonl", b"\n\n \n", "holds no payments"),
        ("header.csv", b"payment_id,stan\n1,2\n", "the header lacks"),
        ("no.jsonl.gz", b"plain", "though its name says so"),
    ],
)
def test_a_file_that_is_no_batch_is_refused_in_one_sentence_and_leaves_no_run(
    bank: Bank, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, sentence: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    assert run_command(bank.arguments(file)) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert bank.scalar("SELECT count(*) FROM audit.batch_runs") == 0


def test_a_truncated_file_says_so_keeps_what_is_whole_and_the_repaired_file_completes_it(
    bank: Bank, tmp_path: Path
) -> None:
    rows = bodies(4_000)
    whole = write_file(tmp_path / "day.jsonl.gz", rows)
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    process = bank.start(cut, "--chunk-size", "100")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "breaks off in the middle" in err
    assert "rows are committed and stay" in err
    posted = bank.posted()
    assert posted > 0
    assert bank.verified()
    report = bank.run(whole, "--chunk-size", "100")
    assert bank.posted() == expected_counts(rows)["posted"] == report["posted"] + posted
    assert bank.verified()


@pytest.mark.parametrize("polite_end", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_what_stays_and_goes_on_from_there(
    bank: Bank, tmp_path: Path, polite_end: signal.Signals
) -> None:
    rows = bodies(6_000)
    file = write_file(tmp_path / "day.jsonl", rows)
    process = bank.start(file, "--chunk-size", "50", "--workers", "2")
    wait_until(lambda: bank.chunks() >= 3)
    process.send_signal(polite_end)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, (out, err)
    assert "the same command goes on from there" in err
    assert 0 < bank.posted() < len(rows)
    report = bank.run(file, "--chunk-size", "1000", "--workers", "1")
    assert report["resumed"]
    assert report["workers"] == 2, "the first start decides how the file is cut"
    assert {key: report[key] for key in COUNT_KEYS} == expected_counts(rows)
    assert bank.posted() == report["posted"]


def test_list_and_show_tell_of_runs(bank: Bank, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = bank.run(write_file(tmp_path / "day.jsonl", bodies(300)))
    assert run_command(["batch", "list", "--ledger", bank.dsn, "--json"]) == 0
    [run] = json.loads(capsys.readouterr().out)["runs"]
    assert (run["run_id"], run["posted"], run["lines"]) == (report["run_id"], report["posted"], 300)
    assert run_command(["batch", "show", report["run_id"][:12], "--ledger", bank.dsn, "--json", "--limit", "1000"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert len(shown["refused"]) == 300 - report["posted"]
    assert run_command(["batch", "show", report["run_id"], "--ledger", bank.dsn]) == 0
    assert report["run_id"] in capsys.readouterr().out
    assert run_command(["batch", "show", "run_none", "--ledger", bank.dsn]) == 1
    out = tmp_path / "documents.jsonl"
    assert run_command(["batch", "documents", report["run_id"], "--ledger", bank.dsn, "--out", str(out)]) == 0
    documents = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    assert sorted(document["line"] for document in documents) == list(range(1, 301))
    assert sum(document["outcome"] == "posted" for document in documents) == report["posted"]


def test_posted_payments_are_announced_by_chunk_unless_nobody_listens(bank: Bank, tmp_path: Path) -> None:
    rows = bodies(600)
    bank.run(write_file(tmp_path / "one.jsonl", rows[:300]), "--chunk-size", "100", "--workers", "1")
    assert bank.scalar("SELECT count(*) FROM ledger.outbox") == 3
    bank.run(write_file(tmp_path / "two.jsonl", rows[300:]), "--chunk-size", "100", "--workers", "1", "--no-announce")
    assert bank.scalar("SELECT count(*) FROM ledger.outbox") == 3


def test_strange_texts_spoil_no_chunk(bank: Bank, tmp_path: Path) -> None:
    """Whatever stands in free text, each row comes to its own end and the run to its."""
    names = [
        "\x00NUL",
        "tab\there",
        "line\nbreak",
        "\u202eright to left",
        "😀" * 20,
        "'; DROP TABLE x; --",
        "=1+1",
        "\\",
        '"',
    ]
    rows = bodies(60, duplicates=0, malformed=0)
    for number, row in enumerate(rows):
        name = names[number % len(names)]
        row["merchant"] = row["merchant"] | {"name": name, "city": name[:35], "acceptor_id": name[:15]}
    lines = [orjson.dumps(row) for row in rows]
    lines.append(lines[0].replace(b"NUL", b"\\ud800"))
    lines.append(orjson.dumps(rows[0] | {"payment_id": "xx_" + "0" * 32, "stan": "999999"}))
    lines.append(orjson.dumps(rows[1] | {"idempotency_key": "9990:0000001"}))
    file = tmp_path / "odd.jsonl"
    file.write_bytes(b"\n".join(lines))
    results = tmp_path / "refused.jsonl"
    report = bank.run(file, "--results", str(results))
    assert report["lines"] == len(lines)
    assert sum(report[name] for name in COUNT_KEYS) == len(lines)
    assert report["posted"] > 40, results.read_text()[:2000]
    assert bank.verified()


def test_a_row_that_uses_another_rows_payment_id_is_refused_as_on_the_event_road(bank: Bank, tmp_path: Path) -> None:
    """Its acquirer's key differs, so it is no duplicate; but a payment id has one posting sequence, posted once."""
    rows = bodies(300, malformed=0.0, duplicates=0.0)
    first = next(row for row in rows if row["transaction_type"] == "00")
    stolen = first | {"stan": "999999", "idempotency_key": None}
    stolen = {name: value for name, value in stolen.items() if value is not None}
    at = rows.index(first) + 1
    results = tmp_path / "refused.jsonl"
    plain = bank.run(write_file(tmp_path / "day.jsonl", [*rows[:at], stolen, *rows[at:]]), "--results", str(results))
    refused = [row for row in map(orjson.loads, results.read_bytes().splitlines()) if row["line"] == at + 1]
    assert [(row["outcome"], row["reason_code"]) for row in refused] == [("failed", "SEQUENCE_INCONSISTENT")]
    assert plain["failed"] == 1
    assert bank.verified()
