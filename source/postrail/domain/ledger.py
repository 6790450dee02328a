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
    NOSTRO = "nostro"
    INCOME = "income"
    FEE = "fee"
    EXPENSE = "expense"
    SUSPENSE = "suspense"
    EQUITY = "equity"

    @property
    def normal_side(self) -> Direction | None:
        """The side on which the balance of such an account usually stands.

        Settlement and suspense accounts swing: they clear to zero and have no normal side.
        """
        if self in _SWINGING:
            return None
        return Direction.DEBIT if self in _DEBIT_SIDE else Direction.CREDIT


_SWINGING = frozenset({AccountType.SETTLEMENT, AccountType.SUSPENSE})
_DEBIT_SIDE = frozenset({AccountType.NOSTRO, AccountType.EXPENSE})


class AccountStatus(StrEnum):
    """Whether an account takes entries."""

    OPEN = "open"
    FROZEN = "frozen"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """One account to be kept in the ledger; `currency` is ISO 4217 alpha-3.

    `overdraft_limit_minor` is how far available money may go below zero, None for no limit at all. `sharded` says
    whether the account is hot: kept in one balance a lane, so that parallel writers do not wait for each other; None
    takes what is usual for its type. A hot account has no limit and takes no holds.
    """

    account_id: str
    type: AccountType
    currency: str
    status: AccountStatus
    name: str
    overdraft_limit_minor: int | None = None
    sharded: bool | None = None

    def __post_init__(self) -> None:
        currency_by_code(self.currency)


def account_id_of(type_: AccountType, name: str, currency: str) -> str:
    """The id of an account: `customer:000123:gbp`, `settlement:scheme:gbp`, `income:fx-markup:gbp`."""
    return f"{type_.value}:{name}:{currency.lower()}"
