"""Sample customer accounts with their cards, and the bank's own accounts that postings need.

Every fact is invented. Account `n` depends on the seed and on `n` alone, so a larger set begins with the smaller
one, and status, currency and product of account `n` are the same for every seed.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from postrail.contracts.payment import AccountDetails
from postrail.domain.card import passes_luhn
from postrail.domain.iso4217 import currency_by_code
from postrail.domain.ledger import AccountSpec, AccountStatus, AccountType, account_id_of
from postrail.sampling.merchants import MINOR_PER_POUND

SAMPLE_RANGE: Final = "9990"
"""Sample tokens start with this: no card scheme issues numbers that begin with 9."""

_HOME_CURRENCIES: Final = ("GBP",) * 13 + ("EUR",) * 3 + ("USD",) * 2 + ("JPY", "KWD")
_PRODUCTS: Final = ("debit-standard", "debit-standard", "credit-classic", "debit-standard", "debit-premium")
_FROZEN_EVERY: Final = (50, 17)
_CLOSED_EVERY: Final = (50, 33)
_EXPIRED_EVERY: Final = (40, 23)

_BANK_CODE: Final = "PRBK"
# Sort codes from 00-01-xx, which no bank uses; branches of an invented bank.
_BRANCHES: Final = {
    "GB": (("000101", "London Lothbury"), ("000117", "Leeds Park Row"), ("000123", "Bristol Harbourside")),
    "IE": (("000151", "Dublin Dawson Street"), ("000154", "Cork South Mall")),
}
_FIRST_NAMES: Final = (
    "Amara", "Bram", "Chiyo", "Dafydd", "Elin", "Farid", "Grainne", "Hugo", "Ines", "Jonas", "Kavya", "Liam",
    "Mireille", "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Samir", "Tilda", "Una", "Viktor", "Wren", "Yusuf",
)  # fmt: skip
_LAST_NAMES: Final = (
    "Abernathy", "Brightwell", "Castellan", "Dunmore", "Eastlake", "Fairholm", "Greystone", "Hollis", "Ivarsson",
    "Jessop", "Kinsale", "Lindqvist", "Marchetti", "Northcote", "Okonjo", "Pemberley", "Quill", "Rosewarne",
    "Sato-Hughes", "Thackeray", "Underhill", "Vasseur", "Wetherby", "Yardley",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SampleAccount:
    """One customer account and the card that draws on it."""

    card_token: str
    card_expiry: str
    details: AccountDetails
    opening_balance_minor: int
    """Minor units of the account's currency; 0 for credit products, which start without a balance."""
    issuer_country: str

    def spec(self) -> AccountSpec:
        """The account as the ledger keeps it."""
        return AccountSpec(
            account_id=self.details.account_id,
            type=AccountType.CUSTOMER,
            currency=self.details.currency,
            status=AccountStatus(self.details.status),
            name=self.details.holder_name,
        )


def sample_accounts(seed: int, count: int) -> list[SampleAccount]:
    """`count` accounts in several home currencies, a few of them frozen, closed or with an expired card."""
    return [_sample_account(seed, index) for index in range(count)]


def system_accounts(currencies: Iterable[str]) -> list[AccountSpec]:
    """The bank's own accounts in each currency (ISO 4217 alpha-3): settlement, income, suspense, equity."""
    return [
        AccountSpec(account_id_of(type_, name, currency), type_, currency, AccountStatus.OPEN, f"{title} {currency}")
        for currency in sorted(set(currencies))
        for type_, name, title in _SYSTEM_ACCOUNTS
    ]


_SYSTEM_ACCOUNTS: Final = (
    (AccountType.SETTLEMENT, "scheme", "Card scheme settlement"),
    (AccountType.INCOME, "fx-markup", "Currency conversion markup"),
    (AccountType.INCOME, "cash-fee", "Cash withdrawal fees"),
    (AccountType.INCOME, "interchange", "Interchange received"),
    (AccountType.SUSPENSE, "unallocated", "Unallocated items"),
    (AccountType.EQUITY, "opening", "Opening balances"),
)


def _sample_account(seed: int, index: int) -> SampleAccount:
    rng = random.Random(f"account:{seed}:{index}")
    currency = _HOME_CURRENCIES[index * 7 % len(_HOME_CURRENCIES)]
    country = "IE" if currency == "EUR" else "GB"
    product = _PRODUCTS[index % len(_PRODUCTS)]
    sort_code, branch = rng.choice(_BRANCHES[country])
    holder = f"{rng.choice(_FIRST_NAMES)} {rng.choice(_LAST_NAMES)}"
    pounds = rng.randrange(500, 20_000)
    return SampleAccount(
        card_token=sample_token(rng, index),
        card_expiry=f"{rng.randrange(2033, 2040)}-{rng.randrange(1, 13):02d}"
        if not _falls(index, _EXPIRED_EVERY)
        else "2021-05",
        details=AccountDetails(
            account_id=account_id_of(AccountType.CUSTOMER, f"{index + 1:06d}", currency),
            iban=_iban(country, f"{_BANK_CODE}{sort_code}{rng.randrange(10**8):08d}"),
            sort_code=sort_code,
            branch=branch,
            holder_name=holder,
            product=product,
            currency=currency_by_code(currency).code,
            status=_status(index),
            country=country,
        ),
        opening_balance_minor=0 if product.startswith("credit") else pounds * MINOR_PER_POUND[currency],
        issuer_country=country,
    )


def sample_token(rng: random.Random, index: int) -> str:
    """A card token: 16 digits in the sample range that fail the Luhn check; unique by index below 10 million."""
    body = f"{SAMPLE_RANGE}{rng.randrange(10_000):04d}{index % 10_000_000:07d}"
    last = rng.randrange(10)
    return next(token for step in range(2) if not passes_luhn(token := f"{body}{(last + step) % 10}"))


def _falls(index: int, every: tuple[int, int]) -> bool:
    period, offset = every
    return index % period == offset


def _status(index: int) -> str:
    if _falls(index, _FROZEN_EVERY):
        return AccountStatus.FROZEN.value
    return AccountStatus.CLOSED.value if _falls(index, _CLOSED_EVERY) else AccountStatus.OPEN.value


def _iban(country: str, bban: str) -> str:
    """An IBAN with its check digits: ISO 7064 MOD 97-10 over BBAN, country, "00" (ISO 13616-1)."""
    digits = "".join(str(int(char, 36)) for char in f"{bban}{country}00")
    return f"{country}{98 - int(digits) % 97:02d}{bban}"
