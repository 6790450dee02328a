"""Accounts are opened some at a time, and what each slice needs is there before it."""

import pytest
from tests.integration.ledger.support import CLOCK, IDS, account, balance

from postrail.adapters.postgres import accounts as accounts_module
from postrail.adapters.postgres.accounts import OpenedAccounts, PostgresAccounts
from postrail.adapters.postgres.connection import Database


def test_opening_balances_of_more_accounts_than_fit_one_call_stand_against_equity(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Customers sort before equity, and their openings need it."""
    monkeypatch.setattr(accounts_module, "_ACCOUNTS_PER_CALL", 2)
    specs = [account(f"customer:{number:06d}:{currency}") for number in range(4) for currency in ("eur", "gbp")]
    openings = {spec.account_id: 100 for spec in specs}
    opened = PostgresAccounts(database).open_accounts(specs, openings=openings, clock=CLOCK, ids=IDS)
    assert opened == OpenedAccounts(10, 8)
    assert [balance(database, f"equity:opening:{currency}") for currency in ("eur", "gbp")] == [-400, -400]
