"""A posted payment on a real PostgreSQL: followed to its end, traced, and explained."""

import json

import pytest
from tests.builders.payments import AUTHORIZED_AT, make_approved, make_authorization, make_enriched
from tests.integration.ledger.support import (
    ADA,
    CLOSED,
    MARKUP,
    SETTLEMENT,
    make_parts,
    open_accounts,
    payment_id,
    run_engine,
)

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.cli.follow import Outcome
from postrail.cli.ledger_ends import LedgerEnds
from postrail.iso20022.cain import from_xml
from postrail.rules.decisions import decide
from postrail.rules.inputs import rule_inputs
from postrail.rules.rule_set import load_rule_set
from postrail.settings import Settings

RUN = "run_of_this_test"


@pytest.fixture
def command(postrail, graph, no_graph, postgres_dsn, monkeypatch):
    """The command on moto and on a fresh ledger."""
    monkeypatch.setenv("POSTRAIL_OUTPUTS", str(no_graph / "aws-outputs.json"))
    monkeypatch.setenv("POSTRAIL_LEDGER_DSN", postgres_dsn)
    return postrail


@pytest.fixture
def ledger(postgres_dsn):
    """A ledger in which Ada has 1,000.00."""
    with Database(postgres_dsn) as database:
        open_accounts(database)
        yield PostgresLedger(database)


@pytest.fixture
def posted(ledger):
    """The id of a payment of two parts that was posted."""
    id_ = payment_id()
    run_engine(ledger, make_parts([(ADA, SETTLEMENT, 2193), (ADA, MARKUP, 66)], payment=id_, correlation_id=RUN))
    return id_


def _ends(dsn):
    with LedgerEnds(dsn, RUN) as ledger_ends:
        return ledger_ends.ends()


def test_a_posted_payment_has_its_end_with_the_time_of_the_commit(posted, postgres_dsn):
    ends = _ends(postgres_dsn)
    assert ends[posted].outcome is Outcome.POSTED
    assert ends[posted].at > 1_600_000_000


def test_a_refusal_by_the_ledger_counts_as_rejected_with_its_reason(ledger, postgres_dsn):
    id_ = payment_id()
    run_engine(ledger, make_parts([(CLOSED, SETTLEMENT, 100)], payment=id_, correlation_id=RUN))
    assert _ends(postgres_dsn)[id_].outcome is Outcome.REJECTED
    assert _ends(postgres_dsn)[id_].reason == "ACCOUNT_NOT_OPEN"


def test_a_payment_that_waits_for_parts_has_no_end_yet(ledger, postgres_dsn):
    parts = make_parts([(ADA, SETTLEMENT, 2193), (ADA, MARKUP, 66)], correlation_id=RUN)
    run_engine(ledger, parts[:1])
    assert _ends(postgres_dsn) == {}


def test_the_trace_shows_legs_balances_and_posting_input(command, posted):
    code, out, _ = command("trace", posted, "--json")
    document = json.loads(out)
    assert (code, document["state"]) == (0, "posted")
    legs = document["posting"]["transaction"]["legs"]
    assert [(leg["account_id"], leg["direction"], leg["amount_minor"]) for leg in legs] == [
        (ADA, "debit", 2193),
        (SETTLEMENT, "credit", 2193),
        (ADA, "debit", 66),
        (MARKUP, "credit", 66),
    ]
    assert legs[2]["balance_after_minor"] == legs[2]["balance_now_minor"] == 100_000 - 2193 - 66
    assert json.loads(document["posting"]["transaction"]["posting_input"])["payment_id"] == posted


def test_the_trace_tells_every_hop_once_and_in_order(command, posted):
    hops = json.loads(command("trace", posted, "--json")[1])["hops"]
    assert [hop["type"] for hop in hops[:2]] == ["PostingRequested 1 of 2", "PostingRequested 2 of 2"]
    assert {hop["type"] for hop in hops[2:]} == {"PaymentPosted", "committed to the ledger"}
    assert len({hop["event_id"] for hop in hops}) == len(hops) == 4
    assert [hop["at"] for hop in hops] == sorted(hop["at"] for hop in hops)


def test_the_trace_shows_money_in_columns(command, posted):
    _, out, _ = command("trace", posted)
    assert "posted, 2 of 2 parts" in out
    assert "21.93" in out
    assert "977.41" in out


def test_the_message_of_a_posted_payment_is_the_enriched_one(command, posted):
    message = from_xml(command("trace", posted, "--xml")[1].encode())
    assert message["AuthstnInitn"]["TxAmts"]["CrdhldrBllgAmt"] == "21.93"


def test_a_refused_payment_says_what_the_ledger_said(command, ledger):
    id_ = payment_id()
    run_engine(ledger, make_parts([(CLOSED, SETTLEMENT, 100)], payment=id_))
    _, out, _ = command("trace", id_)
    assert "rejected by the ledger (ACCOUNT_NOT_OPEN)" in out


def test_a_recorded_decision_is_explained_and_made_again(command, ledger):
    rules = load_rule_set(Settings().resolved_config_dir() / "rules" / "issuer-default.yaml")
    id_ = payment_id()
    decision = decide(rules, rule_inputs(make_enriched(), velocity_hour=1), decided_at=AUTHORIZED_AT)
    booking = make_approved(make_authorization(payment_id=id_), decision=decision)
    run_engine(ledger, make_parts([(ADA, SETTLEMENT, 2193)], payment=id_, booking=booking))
    code, out, _ = command("rules", "explain", "--payment", id_, "--json")
    document = json.loads(out)
    assert code == 0
    assert (document["same_as_recorded"], document["same_version"]) == (True, True)
    assert document["outcome"] == document["recorded"]["outcome"] == "approve"


def test_a_decision_whose_facts_were_not_recorded_is_one_sentence(command, posted):
    code, out, err = command("rules", "explain", "--payment", posted)
    assert (code, out) == (1, "")
    assert "lacks facts" in err
