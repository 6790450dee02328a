"""seed and ledger on a real PostgreSQL, and what verify says of a tampered balance."""

import json

import psycopg
import pytest

from postrail.sampling.selftest import ACCOUNT_ID, OPENING_BALANCE_MINOR


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


def test_an_anchor_in_a_file_stands_and_tells_of_a_rewritten_ledger(command, postgres_superuser_dsn, tmp_path):
    command("seed", "--accounts", "30")
    file = tmp_path / "anchors.jsonl"
    code, out, _ = command("ledger", "anchor", "--to", str(file), "--json")
    kept = json.loads(out)
    assert (code, kept["place"], kept["batches"]) == (0, str(file), 1)
    assert json.loads(file.read_text())["root"] == kept["root"]
    code, out, _ = command("ledger", "verify", "--anchor", str(file), "--connections", "1")
    assert code == 0
    assert "anchors checked: 1." in out
    with psycopg.connect(postgres_superuser_dsn) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "UPDATE ledger.batches SET recorded_at = now(), hash ="
            " ledger.hash_link(previous_hash, batch_id, lane, lane_no, transaction_count, now(), content_hash)"
        )
        connection.execute(
            "UPDATE ledger.lanes AS l SET head_hash = b.hash FROM ledger.batches AS b WHERE b.lane = l.lane"
        )
    assert command("ledger", "verify")[0] == 0
    code, _, err = command("ledger", "verify", "--anchor", str(file))
    assert code == 1
    assert "lane 1 no. 1 was rewritten" in err


def test_an_anchor_in_s3_stands(command, graph):
    command("seed", "--accounts", "30")
    graph.client("s3").create_bucket(
        Bucket="anchors", CreateBucketConfiguration={"LocationConstraint": graph.client("s3").meta.region_name}
    )
    code, out, _ = command("ledger", "anchor", "--to", "s3://anchors/ledger")
    assert code == 0
    assert "Anchored 1 batches in s3://anchors/ledger/" in out
    assert json.loads(command("ledger", "verify", "--anchor", "s3://anchors/ledger", "--json")[1])["anchors"] == 1


def test_an_anchor_without_a_place_is_shown(command):
    code, out, _ = command("ledger", "anchor")
    assert code == 0
    assert len(json.loads(out)["heads"]) == 16


def test_a_file_without_anchors_fails_the_proof(command, tmp_path):
    code, out, err = command("ledger", "verify", "--anchor", str(tmp_path / "none.jsonl"))
    assert (code, out) == (1, "")
    assert "none.jsonl cannot be read" in err


def test_balances_are_aligned_in_major_units(command):
    command("seed", "--accounts", "30")
    code, out, err = command("ledger", "balances", "--limit", "5")
    lines = out.splitlines()
    assert code == 0
    assert len(lines) == 6
    assert "--after" in err
    assert lines[0].split() == ["account", "type", "status", "total", "held", "available", "entries"]
    total_ends = {line.index(line.split()[3]) + len(line.split()[3]) for line in lines[1:]}
    assert len(total_ends) == 1
    assert {line.split()[4] for line in lines[1:]} == {"0.00"}


def test_a_balance_says_what_is_held_and_available(command):
    command("seed", "--accounts", "30")
    balance = json.loads(command("ledger", "balances", ACCOUNT_ID, "--json")[1])["balances"][0]
    assert balance["total_minor"] == balance["available_minor"] == OPENING_BALANCE_MINOR
    assert (balance["held_minor"], balance["locked_minor"]) == (0, 0)


def test_an_unknown_account_is_one_sentence(command):
    code, out, err = command("ledger", "balances", "customer:nobody:gbp")
    assert (code, out) == (1, "")
    assert "The ledger has no account customer:nobody:gbp" in err


def test_no_sequence_waits_on_a_fresh_ledger(command):
    assert command("ledger", "waiting")[:2] == (0, "No posting sequence waits for a part.\n")
    assert json.loads(command("ledger", "waiting", "--json")[1]) == {"waiting": []}
