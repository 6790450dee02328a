"""The ledger's side of a validation, on the real one: it answers, it takes back what is its own, and nothing else."""

import json

import pytest
from tests.integration.ledger.support import (
    ADA,
    CLOCK,
    IDS,
    SETTLEMENT,
    balance,
    make_parts,
    open_accounts,
    run_engine,
)

from postrail.adapters.aws.ledger_check import LedgerCheck
from postrail.adapters.aws.observability import Telemetry
from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.marked_payments import MarkedPayments, migration_names
from postrail.adapters.postgres.verify import verify
from postrail.domain.errors import Permanent
from postrail.sampling.selftest import ACCOUNT_ID

RUN = "validate_" + "a" * 32
OTHER_RUN = "validate_" + "b" * 32


@pytest.fixture
def check(database: Database) -> LedgerCheck:
    return LedgerCheck(MarkedPayments(database, clock=CLOCK, ids=IDS), telemetry=Telemetry("check_ledger"))


def pay(ledger: PostgresLedger, account: str, run: str) -> str:
    """A penny from an account to settlement; the payment's id."""
    parts = make_parts([(account, SETTLEMENT, 1)], correlation_id=run)
    run_engine(ledger, parts)
    return parts[0].data.payment_id


def test_a_fresh_database_is_up_to_date_and_has_no_reserved_account(check: LedgerCheck) -> None:
    state = check.handle({"ask": "state"})
    assert (state["pending"], state["unknown"], state["read_only"]) == ([], [], False)
    assert not state["account_opened"]


def test_a_migration_that_is_missing_and_one_from_the_future_are_told(database: Database, check: LedgerCheck) -> None:
    newest = migration_names()[-1]
    changed = "UPDATE migrations._yoyo_migration SET migration_id = '9999_future' WHERE migration_id = $1"
    database.execute(changed, newest)
    state = check.handle({"ask": "state"})
    assert (state["pending"], state["unknown"]) == ([newest], ["9999_future"])


def test_opening_makes_what_is_missing_and_posts_nothing(database: Database, check: LedgerCheck) -> None:
    """No money comes from nowhere: the account may be overdrawn by a pound instead."""
    assert check.handle({"ask": "open"})["accounts"] > 0
    assert check.handle({"ask": "open"}) == {"accounts": 0}
    (opened,) = PostgresAccounts(database).read_balances([ACCOUNT_ID])
    assert (opened.total_minor, opened.overdraft_limit_minor, opened.entry_count) == (0, 100, 0)


def test_a_run_is_followed_to_its_end_and_taken_back_once(
    database: Database, ledger: PostgresLedger, check: LedgerCheck
) -> None:
    """Two entries each way stand in the journal for ever; the balances are as if nothing had been."""
    check.handle({"ask": "open"})
    paid = pay(ledger, ACCOUNT_ID, RUN)
    kept = pay(ledger, ACCOUNT_ID, OTHER_RUN)
    (end,) = check.handle({"ask": "ends", "run_id": RUN})["payments"]
    assert (end["payment_id"], end["status"]) == (paid, "posted")
    assert kept != paid
    assert check.handle({"ask": "take_back", "run_id": RUN}) == {"taken_back": 1, "refused": []}
    assert check.handle({"ask": "take_back", "run_id": RUN}) == {"taken_back": 0, "refused": []}
    assert balance(database, ACCOUNT_ID) == -1, "another run's payment stands"
    assert verify(database).clean


def test_a_customers_payment_is_never_taken_back(
    database: Database, ledger: PostgresLedger, check: LedgerCheck
) -> None:
    """Not even when its producer calls itself a validation."""
    open_accounts(database)
    pay(ledger, ADA, RUN)
    assert check.handle({"ask": "take_back", "run_id": RUN}) == {"taken_back": 0, "refused": []}
    assert balance(database, ADA) == 100_000 - 1


@pytest.mark.parametrize("run_id", ["", "run_1", "validate_1", RUN + "x", "%"])
@pytest.mark.parametrize("ask", ["ends", "take_back"])
def test_only_runs_of_marked_payments_are_answered_for(check: LedgerCheck, ask: str, run_id: str) -> None:
    with pytest.raises(Permanent, match="marked payments"):
        check.handle({"ask": ask, "run_id": run_id})


@pytest.mark.parametrize("question", [None, {}, {"ask": "drop"}, {"ask": ["state"]}, []])
def test_an_unknown_question_is_refused(check: LedgerCheck, question: object) -> None:
    with pytest.raises(Permanent, match="take_back"):
        check.handle(question)


def test_every_answer_is_json(ledger: PostgresLedger, check: LedgerCheck) -> None:
    """Lambda writes it down as such."""
    check.handle({"ask": "open"})
    pay(ledger, ACCOUNT_ID, RUN)
    for question in ({"ask": "state"}, {"ask": "ends", "run_id": RUN}, {"ask": "take_back", "run_id": RUN}):
        json.dumps(check.handle(question))
