"""A payment that came in a file can be traced like any other: decision, message, posting, balances, and its line."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.integration.batch.support import Bank, bodies, write_file

from postrail.cli.main import run as run_command


@pytest.fixture
def told(bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a file and return its rows, its result file, and a function that traces a payment."""
    rows = bodies(800)
    results = tmp_path / "refused.jsonl"
    bank.run(write_file(tmp_path / "day.jsonl", rows), "--results", str(results), "--chunk-size", "100")
    refused = [orjson.loads(line) for line in results.read_bytes().splitlines()]
    monkeypatch.setenv("POSTRAIL_LEDGER_DSN", bank.dsn)
    monkeypatch.setenv("POSTRAIL_LOCAL_DIR", str(tmp_path / "none"))

    def trace(payment_id: str, *options: str) -> str:
        capsys.readouterr()
        assert run_command(["trace", payment_id, *options]) == 0
        return capsys.readouterr().out

    return rows, refused, trace


def test_a_posted_row_has_decision_message_posting_and_line(told: Any) -> None:
    rows, refused, trace = told
    gone = {row["line"] for row in refused}
    line = next(number for number in range(300, 800) if number not in gone)
    body = rows[line - 1]
    document = json.loads(trace(body["payment_id"], "--json"))
    assert document["state"] == "posted"
    assert document["authorization"]["card"]["token"] == body["card"]["token"]
    assert document["decision"]["outcome"] == "approve"
    assert document["posting"]["batch"]["line"] == line
    posted = document["posting"]["transaction"]
    assert sum(leg["amount_minor"] * (1 if leg["direction"] == "credit" else -1) for leg in posted["legs"]) == 0
    assert json.loads(posted["posting_input"])["transaction_id"] == posted["transaction_id"]
    assert f"line {line}" in trace(body["payment_id"])
    assert body["payment_id"] in trace(body["payment_id"], "--xml")


@pytest.mark.parametrize("outcome", ["rejected", "referred", "parked"])
def test_a_refused_row_tells_why_and_where_it_stood(told: Any, outcome: str) -> None:
    _, refused, trace = told
    row = next(row for row in refused if row["outcome"] == outcome)
    document = json.loads(trace(row["payment_id"], "--json"))
    assert document["state"] == outcome
    assert row["reason_code"] in document["summary"]
    assert document["authorization"]["payment_id"] == row["payment_id"]
    assert f"line {row['line']}" in trace(row["payment_id"])
    if outcome == "parked":
        assert document["first_payment_id"] in document["summary"]
    elif row["reason_code"] != "UNKNOWN_ACCOUNT":
        assert document["decision"]["outcome"] == {"rejected": "reject", "referred": "refer"}[outcome]
