"""seed and ledger on a real PostgreSQL, and what verify says of a tampered balance."""

import json

import psycopg
import pytest

from postrail.cli.selftest_accounts import ACCOUNT_ID, OPENING_BALANCE_MINOR


@pytest.fixture
def command(postrail, graph, no_graph, postgres_dsn, monkeypatch):
    """The command on moto and on a fresh ledger."""
    monkeypatch.setenv("POSTRAIL_OUTPUTS", str(no_graph / "aws-outputs.json"))
    monkeypatch.setenv("POSTRAIL_LEDGER_DSN", postgres_dsn)
    return postrail


def test_migrate_says_what_it_applied_and_then_that_nothing_is_left(postrail, no_graph, empty_dsn, monkeypatch):
    monkeypatch.setenv("POSTRAIL_LEDGER_DSN", empty_dsn)
    code, out, _ = postrail("ledger", "migrate", "--json")
    assert code == 0
    assert json.loads(out)["applied"]
    assert postrail("ledger", "migrate")[:2] == (0, "The ledger's schema is up to date.\n")


def test_commands_on_a_ledger_without_schema_say_to_migrate(postrail, no_graph, empty_dsn, monkeypatch):
    monkeypatch.setenv("POSTRAIL_LEDGER_DSN", empty_dsn)
    code, out, err = postrail("ledger", "verify")
    assert (code, out) == (1, "")
    assert "`postrail ledger migrate`" in err


def test_seed_fills_the_reference_table_and_the_ledger(command, graph):
    code, out, _ = command("seed", "--accounts", "30", "--json")
    counts = json.loads(out)
    assert code == 0
    items = graph.client("dynamodb").scan(TableName=graph.table("reference"))["Items"]
    assert len(items) == counts["cards"] + counts["rates"]
    _, out, _ = command("ledger", "balances", ACCOUNT_ID, "--json")
    assert json.loads(out)["balances"][0]["total_minor"] == OPENING_BALANCE_MINOR


def test_seeding_again_changes_nothing(command):
    command("seed", "--accounts", "30")
    before = command("ledger", "balances", "--limit", "1000", "--json")[1]
    code, out, _ = command("seed", "--accounts", "30", "--json")
    assert code == 0
    assert (json.loads(out)["accounts"], json.loads(out)["openings"]) == (0, 0)
    assert command("ledger", "balances", "--limit", "1000", "--json")[1] == before


def test_a_sound_ledger_is_clean(command):
    command("seed", "--accounts", "30")
    code, out, err = command("ledger", "verify")
    assert (code, err) == (0, "")
    assert "The ledger is clean" in out
    document = json.loads(command("ledger", "verify", "--json")[1])
    assert document["clean"] is True
    assert set(document["entry_sums_minor"].values()) == {0}


def test_a_tampered_balance_is_named_and_the_exit_code_is_1(command, postgres_superuser_dsn):
    command("seed", "--accounts", "30")
    with psycopg.connect(postgres_superuser_dsn) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "UPDATE ledger.balances SET total_minor = total_minor + 1"
            " WHERE account_no = (SELECT account_no FROM ledger.accounts WHERE account_id = %s)",
            (ACCOUNT_ID,),
        )
    code, _, err = command("ledger", "verify")
    assert code == 1
    assert ACCOUNT_ID in err
    document = json.loads(command("ledger", "verify", "--json")[1])
    assert document["first_difference"]["key"] == ACCOUNT_ID
    assert document["clean"] is False


def test_balances_are_aligned_in_major_units(command):
    command("seed", "--accounts", "30")
    code, out, err = command("ledger", "balances", "--limit", "5")
    lines = out.splitlines()
    assert code == 0
    assert len(lines) == 6
    assert "--after" in err
    amount_ends = {line.index(line.split()[3]) + len(line.split()[3]) for line in lines[1:]}
    assert len(amount_ends) == 1


def test_an_unknown_account_is_one_sentence(command):
    code, out, err = command("ledger", "balances", "customer:nobody:gbp")
    assert (code, out) == (1, "")
    assert "The ledger has no account customer:nobody:gbp" in err


def test_no_sequence_waits_on_a_fresh_ledger(command):
    assert command("ledger", "waiting")[:2] == (0, "No posting sequence waits for a part.\n")
    assert json.loads(command("ledger", "waiting", "--json")[1]) == {"waiting": []}
