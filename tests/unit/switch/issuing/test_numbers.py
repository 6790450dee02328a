"""Card numbers, tokens, account numbers."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrail.domain.card import find_clear_pans, is_card_token, passes_luhn
from postrail.domain.errors import ConfigInvalid
from switch.ecosystem import Bank, NumberRange, load_ecosystem
from switch.issuing.iban import make_account_number, make_iban
from switch.issuing.numbers import make_pan, make_token


@given(length=st.integers(13, 19), low=st.integers(476_134, 476_200), width=st.integers(0, 50))
def test_a_card_number_lies_in_its_range_and_passes_luhn(length: int, low: int, width: int) -> None:
    """Whatever the range, the number is of its length and between its ends."""
    numbers = NumberRange(low=str(low), high=str(low + width), pan_length=length)

    pan = make_pan(numbers)

    assert len(pan) == length
    assert passes_luhn(pan)
    assert numbers.low <= pan[:6] <= numbers.high


def test_a_range_is_used_from_end_to_end() -> None:
    """Both ends of a range are numbers of the bank."""
    numbers = NumberRange(low="476134", high="476135")

    assert make_pan(numbers, lambda _: 0).startswith("4761340000")
    assert make_pan(numbers, lambda below: below - 1).startswith("4761359999")


@given(length=st.integers(13, 19), choice=st.integers(0, 10**15))
def test_a_token_is_never_taken_for_a_card_number(length: int, choice: int) -> None:
    """It has a token's form, and a search for card numbers passes it by."""
    token = make_token(length, lambda below: choice % below)

    assert len(token) == length
    assert is_card_token(token)
    assert not list(find_clear_pans(token))


LENGTHS = {"AT": 20, "CH": 21, "DE": 22, "DK": 18, "GB": 22, "IE": 22, "LU": 20, "NL": 18, "SE": 24}


def bank_in(country: str) -> Bank:
    """Northgate, moved to another country."""
    ecosystem = load_ecosystem(Path(__file__).parents[4] / "config" / "ecosystem.yaml")
    return ecosystem.bank("northgate").model_copy(update={"country": country})


@pytest.mark.parametrize("country", sorted(LENGTHS))
def test_an_account_number_of_each_country_is_a_whole_iban(country: str) -> None:
    """It has the registry's length, and 1 is left when it is divided by 97."""
    account = make_account_number(bank_in(country))

    assert len(account.iban) == LENGTHS[country]
    assert account.iban.endswith(account.number)
    assert re.fullmatch("00[0-9]{4}", account.sort_code)
    turned = account.iban[4:] + account.iban[:4]
    assert int("".join(str(int(char, 36)) for char in turned)) % 97 == 1


def test_a_bank_in_a_country_that_is_not_known_is_named() -> None:
    """Before the first customer asks."""
    with pytest.raises(ConfigInvalid, match=r"northgate.*not for FR"):
        make_account_number(bank_in("FR"))


def test_an_iban_has_the_check_digits_of_the_standard() -> None:
    """The example that the UK's banks publish."""
    assert make_iban("GB", "WEST12345698765432") == "GB82WEST12345698765432"
