"""hold, reverse and limit on a real ledger."""

import json

import pytest
from tests.integration.ledger.hold_support import NOW, place_request, standing
from tests.integration.ledger.support import ADA, BEN, SETTLEMENT, make_order, open_accounts, post_orders

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.holds import PostgresHolds
from postrail.adapters.postgres.ledger import PostgresLedger


@pytest.fixture
def command(postrail, no_graph, postgres_dsn, database, monkeypatch):
    """The command on a ledger in which Ada has 1,000.00."""
    monkeypatch.setenv("POSTRAIL_LEDGER_DSN", postgres_dsn)
    open_accounts(database)
    return postrail


def _placed(command, *arguments):
    code, out, err = command("ledger", "hold", "place", ADA, *arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)["hold_id"]


def test_a_hold_is_placed_extended_released_and_shown(command, database: Database):
    code, out, _ = command("ledger", "hold", "place", ADA, "25.50", "--tolerance", "5")
    assert code == 0
    assert "holds 25.50 GBP; available: 974.50 GBP" in out
    hold_id = out.split()[1]
    assert command("ledger", "hold", "extend", hold_id, "--add", "4.5", "--until", "2090-01-01")[0] == 0
    assert "holds 20.00 GBP" in command("ledger", "hold", "release", hold_id, "10")[1]
    _, out, _ = command("ledger", "hold", "show", hold_id, "--json")
    document = json.loads(out)
    assert (document["amount_minor"], document["tolerance_minor"], document["status"]) == (2_000, 500, "active")
    assert document["expires_at"].startswith("2090-01-01")
    assert [change["change"] for change in document["changes"]] == ["place", "extend", "release"]
    text = command("ledger", "hold", "show", hold_id)[1]
    assert "-10.00" in text
    assert "is released and holds 0.00 GBP" in command("ledger", "hold", "release", hold_id)[1]
    assert standing(database) == (100_000, 0, 0, 100_000)


def test_a_request_with_a_key_is_done_once(command, database: Database):
    first = _placed(command, "10", "--key", "from-the-desk")
    code, out, _ = command("ledger", "hold", "place", ADA, "10", "--key", "from-the-desk")
    assert code == 0
    assert out.startswith(f"Done before. Hold {first} is active")
    code, _, err = command("ledger", "hold", "place", ADA, "11", "--key", "from-the-desk")
    assert code == 1
    assert "HOLD_CONFLICT" in err
    assert standing(database)[1] == 1_000


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("hold", "place", SETTLEMENT, "1"), 1, "HOT_ACCOUNT"),
        (("hold", "place", "customer:nobody:gbp", "1"), 1, "no account customer:nobody:gbp"),
        (("hold", "place", ADA, "1.001"), 2, "at most 2 decimals"),
        (("hold", "place", ADA, "-1"), 2, "hold place --help"),
        (("hold", "place", ADA, "NaN"), 2, "no amount of GBP"),
        (("hold", "place", ADA, "0"), 1, "INVALID_AMOUNT"),
        (("hold", "show", "hld_nonsense"), 1, "no hold hld_nonsense"),
        (("hold", "release", "hld_0197f0a0c0de7abc8def00000000dddd"), 1, "no hold hld_0197"),
        (("reverse", "txn_0197f0a0c0de7abc8def00000000dddd", "--reason", "why not"), 1, "TRANSACTION_NOT_FOUND"),
        (("limit", SETTLEMENT, "5"), 1, "HOT_ACCOUNT"),
    ],
)
def test_what_cannot_be_is_one_sentence(command, arguments, code, sentence):
    answered, out, err = command("ledger", *arguments)
    assert (answered, out) == (code, "")
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_a_refusal_as_json_has_its_reason_and_a_failing_exit_code(command):
    assert command("ledger", "limit", ADA, "0")[0] == 0
    code, out, _ = command("ledger", "hold", "place", ADA, "1000.01", "--json")
    document = json.loads(out)
    assert code == 1
    assert (document["outcome"], document["reason"]) == ("refused", "INSUFFICIENT_FUNDS")
    assert (document["available_minor"], document["status"]) == (100_000, None)


def test_holds_are_listed_and_those_that_are_due_expire(command, database: Database):
    stays = _placed(command, "1", "--kind", "dispute")
    PostgresHolds(database).place([place_request(BEN, 700, expires_at=NOW.replace(year=2020)) for _ in range(3)])
    listed = json.loads(command("ledger", "hold", "list", "--json")[1])["holds"]
    assert len(listed) == 4
    assert json.loads(command("ledger", "hold", "expire", "--json")[1]) == {"expired": 3}
    assert command("ledger", "hold", "expire")[1] == "0 holds were due and have expired.\n"
    code, out, err = command("ledger", "hold", "list", "--status", "active", "--limit", "1")
    assert code == 0
    assert stays in out
    assert f"--after {stays}" in err
    assert command("ledger", "hold", "list", "--account", SETTLEMENT)[1] == "The ledger has no such hold.\n"


def test_a_transaction_is_reversed_once(command, database: Database):
    (posted,) = post_orders(PostgresLedger(database), make_order())
    code, out, _ = command("ledger", "reverse", posted.transaction_id, "--reason", "sent twice")
    assert code == 0
    assert out.startswith(f"Reversed {posted.transaction_id} by txn_")
    code, _, err = command("ledger", "reverse", posted.transaction_id, "--reason", "sent twice")
    assert code == 1
    assert "It was reversed before, by txn_" in err
    code, out, _ = command("ledger", "reverse", posted.transaction_id, "--reason", "sent twice", "--json")
    assert (code, json.loads(out)["reason"]) == (1, "ALREADY_POSTED")
    assert standing(database)[0] == 100_000


def test_a_limit_is_set_lifted_and_refused_when_the_account_is_below_it(command, database: Database):
    assert command("ledger", "limit", ADA, "50")[1] == f"{ADA} never has less than -50.00 GBP available.\n"
    assert _placed(command, "1050")
    code, _, err = command("ledger", "limit", ADA, "49.99")
    assert code == 1
    assert "INSUFFICIENT_FUNDS" in err
    assert command("ledger", "limit", ADA, "none")[1] == f"{ADA} has no limit.\n"
    assert _placed(command, "5000")
