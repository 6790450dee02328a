"""`postrail reconcile` on a real ledger: differences are found, patched within limits, approved by another, once."""

import json

import pytest
from tests.builders.payments import make_authorization
from tests.integration.ledger.support import ADA, SETTLEMENT, credit, debit, make_order, open_accounts, post_orders

from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.outcomes import PostgresOutcomes
from postrail.ports import RecordedOutcome
from postrail.stages.deduplicate import fingerprint_of, payment_key_of


@pytest.fixture
def day(database, ledger: PostgresLedger, tmp_path):
    """A payment that was posted although the rules rejected it, and the file that authorized it."""
    open_accounts(database)
    authorization = make_authorization(amount_minor=20_000, currency="GBP")
    order = make_order(
        debit(ADA, 20_000),
        credit(SETTLEMENT, 20_000),
        payment=authorization.payment_id,
        key=payment_key_of(authorization),
        fingerprint=fingerprint_of(authorization),
    )
    occurred_at_us = int(authorization.authorized_at.timestamp() * 1_000_000)
    order = type(order)(order.posting._replace(occurred_at_us=occurred_at_us))
    (result,) = post_orders(ledger, order)
    assert result.reason is None, result
    PostgresOutcomes(database).record(
        [
            RecordedOutcome(
                payment_id=authorization.payment_id,
                correlation_id="run",
                detail_type="PaymentRejected",
                event_id="evt_0197f0a0c0de7abc8def0123456789ab",
                occurred_at=authorization.authorized_at,
                reason_code="RULE_REJECTED",
                event="{}",
            )
        ]
    )
    path = tmp_path / "day.jsonl"
    path.write_text(authorization.model_dump_json(exclude_none=True) + "\n")
    return authorization, path


@pytest.fixture
def reconcile(postrail, postgres_dsn, day):
    authorization, path = day
    span = ["--from", f"{authorization.authorized_at:%Y-%m-%d}", "--to", f"{authorization.authorized_at:%Y-%m-%d}"]

    def call(*arguments):
        common = ["--ledger", postgres_dsn, "--authorizations", str(path), *span]
        code, out, err = postrail("reconcile", "run", *common, "--json", *arguments)
        return code, json.loads(out) if out else err

    return call


def _patches(postrail, dsn):
    return json.loads(postrail("reconcile", "patches", "--ledger", dsn, "--json")[1])["patches"]


def test_a_payment_with_two_ends_is_found(reconcile, day):
    code, document = reconcile()
    assert code == 1
    (found,) = document["breaks"]
    assert (found["kind"], found["subject"], found["expected"]) == ("status", day[0].payment_id, "PaymentRejected")
    assert document["patches"] == []


def test_within_the_limit_it_is_taken_back_at_once_and_the_next_run_agrees(reconcile, database):
    code, document = reconcile("--apply", "--limit", "20000", "--as", "ada")
    assert code == 1
    (patch,) = document["patches"]
    assert (patch["action"], patch["status"], patch["asked_by"]) == ("reverse", "applied", "ada")
    assert patch["before"]["posting"]["transaction_id"] == patch["after"]["original"]
    assert reconcile()[0] == 0
    assert reconcile("--apply", "--limit", "20000")[1]["patches"] == []
    (row,) = database.fetch("SELECT count(*) AS n FROM ledger.journal_transactions WHERE kind = 'reversal'")
    assert row["n"] == 1


def test_over_the_limit_somebody_else_has_to_approve(reconcile, postrail, postgres_dsn, database):
    assert reconcile("--apply", "--limit", "19999", "--as", "ada")[1]["patches"] == []
    (patch,) = _patches(postrail, postgres_dsn)
    assert patch["status"] == "waiting"
    number = str(patch["patch_id"])
    code, _, err = postrail("reconcile", "approve", number, "--as", "ada", "--ledger", postgres_dsn)
    assert (code, "ada asked for patch" in err) == (1, True)
    code, out, _ = postrail("reconcile", "approve", number, "--as", "ben", "--ledger", postgres_dsn)
    assert (code, "applied" in out) == (0, True)
    (patch,) = _patches(postrail, postgres_dsn)
    assert (patch["status"], patch["approved_by"]) == ("applied", "ben")
    assert reconcile()[0] == 0
    code, _, err = postrail("reconcile", "approve", number, "--as", "ben", "--ledger", postgres_dsn)
    assert (code, "is applied" in err) == (1, True)


def test_what_was_refused_may_be_asked_for_again(reconcile, postrail, postgres_dsn):
    reconcile("--apply", "--limit", "0", "--as", "ada")
    number = str(_patches(postrail, postgres_dsn)[0]["patch_id"])
    assert postrail("reconcile", "refuse", number, "--as", "ben", "--ledger", postgres_dsn)[0] == 0
    reconcile("--apply", "--limit", "0", "--as", "ada")
    assert [each["status"] for each in _patches(postrail, postgres_dsn)] == ["refused", "waiting"]


def test_an_accepted_break_is_counted_no_more(reconcile, postrail, postgres_dsn):
    (found,) = reconcile()[1]["breaks"]
    assert postrail("reconcile", "accept", found["break_key"][:10], "--ledger", postgres_dsn)[0] == 0
    assert reconcile()[0] == 0


def test_what_cannot_be_replayed_without_a_graph_says_so(reconcile, postrail, postgres_dsn, day):
    lost = make_authorization(payment_id="pay_0197f0a0c0de7abc8def0123456789ff", stan="654321")
    with day[1].open("a") as file:
        file.write(lost.model_dump_json(exclude_none=True) + "\n")
    document = reconcile("--apply", "--limit", "1000000", "--as", "ada")[1]
    by_action = {patch["action"]: patch for patch in document["patches"]}
    assert by_action["replay"]["status"] == "failed"
    assert "without a graph" in by_action["replay"]["after"]["error"]
    assert by_action["reverse"]["status"] == "applied"


def test_breaks_are_written_as_csv_that_no_spreadsheet_runs(reconcile, tmp_path):
    path = tmp_path / "breaks.csv"
    reconcile("--csv", str(path))
    header, row = path.read_text().splitlines()
    assert header.startswith("kind,subject,expected,found")
    assert row.startswith("status,pay_")


def test_a_ledger_alone_is_nothing_to_compare_with(postrail, postgres_dsn):
    code, _, err = postrail("reconcile", "run", "--ledger", postgres_dsn)
    assert code == 2
    assert "give --authorizations" in err
