"""Double entry: legs, parts of a posting sequence, and the posting they make up when all have arrived."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from postrail.domain.errors import Permanent, ReasonCode


class Direction(StrEnum):
    """The side of an entry. A debit takes from a customer's deposit account, a credit adds to it."""

    DEBIT = "debit"
    CREDIT = "credit"

    def signed(self, amount_minor: int) -> int:
        """Credits count positive, debits negative: a balanced transaction sums to zero."""
        return amount_minor if self is Direction.CREDIT else -amount_minor

    def opposite(self) -> "Direction":
        """The other side."""
        return Direction.CREDIT if self is Direction.DEBIT else Direction.DEBIT


class PartKind(StrEnum):
    """Why a pair of legs exists."""

    PRINCIPAL = "principal"
    FX_MARKUP = "fx_markup"
    CASH_FEE = "cash_fee"
    INTERCHANGE = "interchange"


class Leg(NamedTuple):
    """One side of one movement; `amount_minor` > 0 minor units of `currency`."""

    account_id: str
    direction: Direction
    amount_minor: int
    currency: str


class Posting(NamedTuple):
    """All legs of one payment, to be posted in one database transaction."""

    transaction_id: str
    sequence_id: str
    payment_id: str
    payment_key: str
    fingerprint: str
    legs: tuple[Leg, ...]
    occurred_at_us: int
    description: str


def check_balanced(legs: Iterable[Leg]) -> None:
    """Raise Permanent(UNBALANCED) unless debits equal credits in every currency and every amount is positive."""
    sums: dict[str, int] = {}
    count = 0
    for account_id, direction, amount_minor, currency in legs:
        count += 1
        if amount_minor <= 0:
            raise Permanent(ReasonCode.INVALID_AMOUNT, f"leg on {account_id} has amount {amount_minor}")
        signed = amount_minor if direction is Direction.CREDIT else -amount_minor
        sums[currency] = sums.get(currency, 0) + signed
    if count < 2:
        raise Permanent(ReasonCode.UNBALANCED, f"a posting needs two legs or more, this one has {count}")
    off = {currency: total for currency, total in sums.items() if total}
    if off:
        raise Permanent(ReasonCode.UNBALANCED, f"legs do not sum to zero: {off}")


def pair(debit_account: str, credit_account: str, amount_minor: int, currency: str) -> tuple[Leg, Leg]:
    """The two legs that move `amount_minor` from one account to another."""
    return (
        Leg(debit_account, Direction.DEBIT, amount_minor, currency),
        Leg(credit_account, Direction.CREDIT, amount_minor, currency),
    )


def missing_indexes(received: Sequence[int], total: int) -> list[int]:
    """Which of 1..total have not arrived."""
    have = set(received)
    return [index for index in range(1, total + 1) if index not in have]
