"""International bank account numbers (ISO 13616-1) for the countries whose structure is known here."""

import secrets
import string
from typing import Final, NamedTuple

from postrail.domain.errors import ConfigInvalid
from switch.ecosystem import Bank
from switch.issuing.numbers import RandomBelow

_SORT_CODE_DIGITS: Final = 6


class _Structure(NamedTuple):
    """How a country's domestic account numbers (BBAN) are built: the bank's part, its branch, the account."""

    bank_letters: int
    bank_digits: int
    branch_digits: int
    account_digits: int


_STRUCTURES: Final = {
    "AT": _Structure(0, 5, 0, 11),
    "CH": _Structure(0, 5, 0, 12),
    "DE": _Structure(0, 8, 0, 10),
    "DK": _Structure(0, 4, 0, 10),
    "GB": _Structure(4, 0, 6, 8),
    "IE": _Structure(4, 0, 6, 8),
    "LU": _Structure(0, 3, 0, 13),
    "NL": _Structure(4, 0, 0, 10),
    "SE": _Structure(0, 3, 0, 17),
}
"""From SWIFT's IBAN registry: countries whose numbers carry no check digits beside those of the IBAN."""


class AccountNumber(NamedTuple):
    """A new account's numbers: of the account at its branch, and all of it as IBAN."""

    number: str
    sort_code: str
    iban: str


def require_known_country(bank: Bank) -> None:
    """Raise ConfigInvalid when no account numbers can be made for the bank's country."""
    if bank.country not in _STRUCTURES:
        known = ", ".join(sorted(_STRUCTURES))
        msg = f"bank {bank.id}: account numbers can be made for {known}, and not for {bank.country}"
        raise ConfigInvalid(msg)


def make_account_number(bank: Bank, random_below: RandomBelow = secrets.randbelow) -> AccountNumber:
    """A random account number of the bank. Raises ConfigInvalid when its country is not known here.

    The bank's part comes from its id and institution number. Sort codes lie between 00-00-01 and 00-99-99, where no
    real bank has any.
    """
    require_known_country(bank)
    structure = _STRUCTURES[bank.country]
    letters = "".join(char for char in bank.id.upper() if char in string.ascii_uppercase)
    letters = letters[: structure.bank_letters].ljust(structure.bank_letters, "X")
    digits = bank.institution_id.zfill(structure.bank_digits)[-structure.bank_digits :] if structure.bank_digits else ""
    sort_code = bank.institution_id[-4:].zfill(_SORT_CODE_DIGITS)
    number = str(random_below(10**structure.account_digits)).zfill(structure.account_digits)
    bban = f"{letters}{digits}{sort_code if structure.branch_digits else ''}{number}"
    return AccountNumber(number, sort_code, make_iban(bank.country, bban))


def make_iban(country: str, bban: str) -> str:
    """The IBAN of a domestic number: its check digits are ISO 7064 MOD 97-10 over BBAN, country and "00"."""
    digits = "".join(str(int(char, 36)) for char in f"{bban}{country}00")
    return f"{country}{98 - int(digits) % 97:02d}{bban}"
