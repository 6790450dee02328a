"""The chart of accounts: what kinds of account the ledger knows, and how one account is described.

Entries are signed, credit positive. A customer's deposit account is a liability of the bank: its balance is
positive while the bank owes the customer money.
"""

from dataclasses import dataclass
from enum import StrEnum

from postrail.domain.iso4217 import currency_by_code
from postrail.domain.posting import Direction


class AccountType(StrEnum):
    """What an account stands for."""

    CUSTOMER = "customer"
    MERCHANT = "merchant"
    SETTLEMENT = "settlement"
    INCOME = "income"
    SUSPENSE = "suspense"
    EQUITY = "equity"

    @property
    def normal_side(self) -> Direction | None:
        """The side on which the balance of such an account usually stands.

        Settlement and suspense accounts swing: they clear to zero and have no normal side.
        """
        return None if self in _SWINGING else Direction.CREDIT


_SWINGING = frozenset({AccountType.SETTLEMENT, AccountType.SUSPENSE})


class AccountStatus(StrEnum):
    """Whether an account takes entries."""

    OPEN = "open"
    FROZEN = "frozen"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """One account to be kept in the ledger; `currency` is ISO 4217 alpha-3."""

    account_id: str
    type: AccountType
    currency: str
    status: AccountStatus
    name: str

    def __post_init__(self) -> None:
        currency_by_code(self.currency)


def account_id_of(type_: AccountType, name: str, currency: str) -> str:
    """The id of an account: `customer:000123:gbp`, `settlement:scheme:gbp`, `income:fx-markup:gbp`."""
    return f"{type_.value}:{name}:{currency.lower()}"
