"""statement, notification and balance on a real ledger."""

import csv
import io
import json
import os
import subprocess
import sys

import pytest
from lxml import etree
from tests.integration.ledger.support import ADA, SETTLEMENT, make_order, open_accounts, post_orders

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.iso20022 import camt053, camt054

YEARS = ("--from", "2020-01-01", "--to", "2090-01-01")


@pytest.fixture
def command(postrail, no_graph, postgres_dsn, monkeypatch):
    """The command on a fresh ledger."""
    monkeypatch.setenv("POSTRAIL_LEDGER_DSN", postgres_dsn)
    return postrail


@pytest.fixture
def order(postgres_dsn):
    """A payment of 10.00 GBP from Ada, who has 1,000.00, to settlement: posted."""
    made = make_order()
    with Database(postgres_dsn) as database:
        open_accounts(database)
        post_orders(PostgresLedger(database), made)
    return made


def test_a_statement_is_a_table_by_default(command, order):
    code, out, err = command("ledger", "statement", ADA, *YEARS)
    assert (code, err) == (0, "")
    assert "Cafe Central" in out
    assert out.splitlines()[-3].split()[-1] == "990.00"
    assert "2 entries" in out


def test_a_statement_as_csv_adds_up(command, order):
    code, out, _ = command("ledger", "statement", ADA, *YEARS, "--format", "csv", "--by", "occurred")
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    assert code == 0
    assert rows[0]["balance_minor"] == "0"
    assert rows[-1]["balance_minor"] == "99000"
    assert sum(int(row["amount_minor"] or 0) for row in rows) == 99_000
    assert order.posting.payment_id in [row["payment_id"] for row in rows]


def test_a_statement_as_camt053_goes_to_a_file(command, order, tmp_path):
    """And nothing of it to standard output; the folder holds the finished file alone."""
    file = tmp_path / "out" / "statement.xml"
    file.parent.mkdir()
    options = ("--format", "camt053", "--iban", "GB33BUKB20201555555555", "--out", str(file))
    code, out, err = command("ledger", "statement", ADA, *YEARS, *options)
    assert (code, out) == (0, "")
    assert "990.00 GBP" in err
    root = etree.parse(file).getroot()
    assert root.tag == f"{{{camt053.NAMESPACE}}}Document"
    assert len(root.findall(".//{*}Ntry")) == 2
    assert root.findtext(".//{*}IBAN") == "GB33BUKB20201555555555"
    assert list(file.parent.iterdir()) == [file]


def test_a_statement_that_fails_leaves_no_file(command, order, tmp_path):
    file = tmp_path / "out" / "statement.csv"
    file.parent.mkdir()
    code, out, err = command(
        "ledger", "statement", "customer:nobody:gbp", *YEARS, "--format", "csv", "--out", str(file)
    )
    assert (code, out) == (1, "")
    assert err.startswith("postrail: The ledger has no account customer:nobody:gbp")
    assert err.count("\n") == 1
    assert list(file.parent.iterdir()) == []


def test_a_notification_tells_of_the_card_by_its_token(command, order):
    code, out, _ = command("ledger", "notification", order.posting.payment_id)
    root = etree.fromstring(out.encode())
    assert code == 0
    assert root.tag == f"{{{camt054.NAMESPACE}}}Document"
    assert [each.text for each in root.findall(".//{*}Ntry/{*}Amt")] == ["10.00"]
    assert root.findtext(".//{*}AddtlCardData") == order.booking.data.booking.authorization.card.token
    assert root.findtext(".//{*}Acct/{*}Id/{*}IBAN")


def test_a_notification_may_be_of_another_account(command, order, tmp_path):
    file = tmp_path / "notice.xml"
    code, out, err = command(
        "ledger", "notification", order.posting.transaction_id, "--account", SETTLEMENT, "--out", str(file)
    )
    assert (code, out) == (0, "")
    assert "1 entries on 1 accounts" in err
    assert etree.parse(file).getroot().findtext(".//{*}CdtDbtInd") == "CRDT"


def test_a_balance_now_is_all_four_figures(command, order):
    code, out, _ = command("ledger", "balance", ADA, "--json")
    document = json.loads(out)
    assert code == 0
    assert [document[f"{name}_minor"] for name in ("total", "held", "locked", "available")] == [99_000, 0, 0, 99_000]
    code, out, _ = command("ledger", "balance", ADA)
    assert "990.00 GBP" in out


def test_a_past_balance_is_a_total(command, order):
    """The payment happened in September; the opening balance today."""
    _, out, _ = command("ledger", "balance", ADA, "--at", "2026-10-01", "--json")
    assert json.loads(out)["total_minor"] == -1_000
    _, out, _ = command("ledger", "balance", ADA, "--as-known-at", "2020-01-01", "--json")
    assert json.loads(out)["total_minor"] == 0
    code, out, _ = command("ledger", "balance", ADA, "--at", "2026-10-01")
    assert code == 0
    assert "-10.00 GBP" in out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("balance", "customer:nobody:gbp"), 1, "The ledger has no account customer:nobody:gbp"),
        (("balance", ADA, "--at", "soon"), 2, "--at 'soon' is neither a date"),
        (("notification", "nonsense"), 1, "no id of a payment"),
        (("notification", "pay_" + "0" * 32), 1, "The journal has no pay_"),
        (("statement", ADA, "--from", "2026-02-01", "--to", "2026-01-01"), 2, "no period"),
        (("statement", ADA, *YEARS, "--out", "/no/such/folder/x"), 1, "There is no folder /no/such/folder"),
        (("statement", ADA, *YEARS, "--iban", "GB33 BUKB"), 2, "is no IBAN"),
    ],
)
def test_every_mistake_is_one_sentence(command, order, arguments, code, said):
    answer, out, err = command("ledger", *arguments)
    assert (answer, out) == (code, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("format_", ["table", "csv", "camt053"])
def test_a_reader_that_stops_early_is_no_failure_of_ours(order, postgres_dsn, no_graph, format_):
    """`postrail ledger statement ... | head`: the other end of the pipe is closed before anything is written."""
    arguments = ["ledger", "statement", ADA, *YEARS, "--format", format_]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "postrail.cli.main", *arguments],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=os.environ | {"POSTRAIL_LEDGER_DSN": postgres_dsn},
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
