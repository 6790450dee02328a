"""Sample accounts: plausible, deterministic, and safe to show."""

from collections import Counter

import pytest

from postrail.contracts.payment import AccountDetails
from postrail.domain.card import is_card_token
from postrail.domain.ledger import AccountType
from postrail.sampling.accounts import SAMPLE_RANGE, sample_accounts, system_accounts

ACCOUNTS = sample_accounts(7, 400)


def iban_remainder(iban: str) -> int:
    """ISO 13616-1: with the first four characters moved to the end, a sound IBAN is 1 modulo 97."""
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97


def test_the_same_seed_gives_the_same_accounts_and_a_larger_set_begins_with_the_smaller() -> None:
    assert sample_accounts(7, 400) == ACCOUNTS
    assert sample_accounts(7, 40) == ACCOUNTS[:40]
    assert sample_accounts(8, 40) != ACCOUNTS[:40]


def test_the_ledgers_view_of_an_account_is_the_same_for_every_seed() -> None:
    """So that seeding twice with different seeds does not contradict the accounts that are there."""
    for mine, other in zip(ACCOUNTS, sample_accounts(8, 400), strict=True):
        assert (mine.spec().account_id, mine.spec().currency, mine.spec().status) == (
            other.spec().account_id,
            other.spec().currency,
            other.spec().status,
        )


def test_every_account_fits_its_contract_and_has_a_sound_iban() -> None:
    for account in ACCOUNTS:
        AccountDetails.model_validate(account.details.model_dump())
        assert iban_remainder(account.details.iban) == 1
        assert account.details.sort_code in account.details.iban


def test_tokens_are_unique_and_can_not_be_card_numbers() -> None:
    tokens = [account.card_token for account in sample_accounts(1, 5000)]
    assert len(set(tokens)) == len(tokens)
    assert all(is_card_token(token) and token.startswith(SAMPLE_RANGE) and len(token) == 16 for token in tokens)


def test_several_currencies_products_and_statuses_are_there_in_the_first_hundred() -> None:
    first = ACCOUNTS[:100]
    assert {account.details.currency for account in first} == {"GBP", "EUR", "USD", "JPY", "KWD"}
    assert {account.details.product for account in first} == {"debit-standard", "debit-premium", "credit-classic"}
    statuses = Counter(account.details.status for account in first)
    assert statuses == {"open": 96, "frozen": 2, "closed": 2}
    assert any(account.card_expiry < "2025-01" for account in first)


def test_account_ids_name_type_number_and_currency() -> None:
    assert ACCOUNTS[0].details.account_id == "customer:000001:gbp"
    assert ACCOUNTS[0].spec().type is AccountType.CUSTOMER
    assert ACCOUNTS[2].details.account_id == "customer:000003:eur"


def test_the_bank_has_its_own_accounts_in_each_currency_once() -> None:
    specs = system_accounts(["GBP", "EUR", "GBP"])
    assert [spec.account_id for spec in specs if spec.currency == "GBP"] == [
        "settlement:scheme:gbp",
        "income:fx-markup:gbp",
        "income:cash-fee:gbp",
        "income:interchange:gbp",
        "suspense:unallocated:gbp",
        "equity:opening:gbp",
    ]
    assert len(specs) == 12


def test_a_system_account_in_an_unknown_currency_is_refused() -> None:
    with pytest.raises(ValueError, match="ZZZ"):
        system_accounts(["ZZZ"])
