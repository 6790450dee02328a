"""International bank account numbers (ISO 13616-1) for the countries whose structure is known here."""

import secrets
from typing import Final, NamedTuple

from postrail.domain.errors import ConfigInvalid
from switch.ecosystem import Bank
from switch.issuing.numbers import RandomBelow

_BANK_LETTERS: Final = 4
_BRANCH_DIGITS: Final = 6
_ACCOUNT_DIGITS: Final = 8
_COUNTRIES: Final = frozenset({"GB", "IE"})
"""Built alike in both: four letters for the bank, six digits for the branch, eight for the account."""


class AccountNumber(NamedTuple):
    """A new account's numbers: eight digits at its branch, and all of it as IBAN."""

    number: str
    sort_code: str
    iban: str


def make_account_number(bank: Bank, random_below: RandomBelow = secrets.randbelow) -> AccountNumber:
    """A random account number of the bank. Raises ConfigInvalid when its country's structure is not known here."""
    if bank.country not in _COUNTRIES:
        msg = f"bank {bank.id}: no structure of account numbers is known for {bank.country}, only for GB and IE"
        raise ConfigInvalid(msg)
    letters = "".join(filter(str.isalpha, bank.id)).upper()[:_BANK_LETTERS].ljust(_BANK_LETTERS, "X")
    # Sort codes from 00-00-01 to 00-99-99: no real bank has them.
    sort_code = bank.institution_id[-4:].zfill(_BRANCH_DIGITS)
    number = str(random_below(10**_ACCOUNT_DIGITS)).zfill(_ACCOUNT_DIGITS)
    return AccountNumber(number, sort_code, make_iban(bank.country, f"{letters}{sort_code}{number}"))


def make_iban(country: str, bban: str) -> str:
    """The IBAN of a domestic number: its check digits are ISO 7064 MOD 97-10 over BBAN, country and "00"."""
    digits = "".join(str(int(char, 36)) for char in f"{bban}{country}00")
    return f"{country}{98 - int(digits) % 97:02d}{bban}"
