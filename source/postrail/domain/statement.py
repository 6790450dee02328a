"""The statement of an account over a period, and what a notification of one transaction tells.

A period is half-open: what happens at its end belongs to the next one. So the statements of [a, b) and [b, c) put
together are the statement of [a, c), line by line. Amounts are minor units of the account's currency, credit
positive. A statement may have millions of lines: they are an iterable that is read once, in order.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from postrail.domain.errors import Retryable
from postrail.domain.ledger import AccountType


class TimeBasis(StrEnum):
    """By which of its two times an entry falls into a period, and takes its place in it."""

    RECORDED = "recorded"
    OCCURRED = "occurred"


class StatementInconsistent(Retryable):
    """The lines of a statement do not add up to its closing balance: they were not read from one snapshot."""


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` (included) to `end` (excluded), both aware of their time zone. Raises ValueError."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a period needs instants with a time zone")
        if self.end <= self.start:
            raise ValueError("a period ends after it starts")


@dataclass(frozen=True, slots=True)
class StatementAccount:
    """The account that a statement or a notification is about. The ledger itself does not know the IBAN."""

    account_id: str
    type: AccountType
    currency: str
    name: str
    iban: str | None = None


@dataclass(frozen=True, slots=True)
class JournalLeg:
    """One entry of a transaction; `amount_minor` is signed, credit positive."""

    leg_no: int
    account_id: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class StatementEntry:
    """One entry on the account, with what its transaction says.

    `kind` is the journal's: payment, opening, reversal, ... `reverses` is the transaction that this one takes back.
    `transaction_type` is that of the payment (DE 3, positions 1-2), None where the ledger does not keep it.
    `counter_accounts` are the accounts on the other side.
    """

    transaction_id: str
    leg_no: int
    kind: str
    payment_id: str | None
    reverses: str | None
    transaction_type: str | None
    counter_accounts: tuple[str, ...]
    description: str
    occurred_at: datetime
    recorded_at: datetime
    amount_minor: int


@dataclass(frozen=True, slots=True)
class StatementLine:
    """An entry and the balance after it."""

    entry: StatementEntry
    balance_minor: int


@dataclass(frozen=True, slots=True)
class Turnover:
    """How many entries there are on each side, and their sums: both positive, minor units."""

    credit_count: int = 0
    credit_minor: int = 0
    debit_count: int = 0
    debit_minor: int = 0

    @property
    def count(self) -> int:
        """Entries on both sides."""
        return self.credit_count + self.debit_count

    @property
    def net_minor(self) -> int:
        """Credits less debits."""
        return self.credit_minor - self.debit_minor


@dataclass(frozen=True, slots=True)
class Statement:
    """The statement of one account over one period.

    `entries` come in the order of time on the basis `by`, and may be read once. `known_at`, where given, leaves out
    what was recorded later: a statement by event time can so be made again as it was on a day gone by.
    """

    account: StatementAccount
    period: Period
    by: TimeBasis
    opening_minor: int
    turnover: Turnover
    entries: Iterable[StatementEntry]
    known_at: datetime | None = None

    @property
    def closing_minor(self) -> int:
        """The balance at the end of the period."""
        return self.opening_minor + self.turnover.net_minor

    def lines(self) -> Iterator[StatementLine]:
        """The entries, each with the balance after it.

        Raises StatementInconsistent at the end when they are not those that opening, closing and turnover speak of.
        """
        balance, count = self.opening_minor, 0
        for entry in self.entries:
            balance += entry.amount_minor
            count += 1
            yield StatementLine(entry, balance)
        if (balance, count) != (self.closing_minor, self.turnover.count):
            msg = (
                f"the statement of {self.account.account_id} has {count} lines up to {balance}, its head says "
                f"{self.turnover.count} up to {self.closing_minor}"
            )
            raise StatementInconsistent(msg)


@dataclass(frozen=True, slots=True)
class AccountNotice:
    """The entries of one transaction on one account."""

    account: StatementAccount
    entries: tuple[StatementEntry, ...]


def turnover_of(amounts_minor: Iterable[int]) -> Turnover:
    """The turnover that these signed amounts make."""
    credit_count = credit = debit_count = debit = 0
    for amount in amounts_minor:
        if amount >= 0:
            credit_count, credit = credit_count + 1, credit + amount
        else:
            debit_count, debit = debit_count + 1, debit - amount
    return Turnover(credit_count, credit, debit_count, debit)


def counter_accounts(legs: Sequence[JournalLeg], leg_no: int) -> tuple[str, ...]:
    """The accounts on the other side of leg `leg_no`, each once. `legs` are all of its transaction, from leg 1.

    Postings are made in pairs, a debit and a credit of one amount, so the partner in the pair is the answer. Legs
    that are not paired have all accounts on the other side, in their currency, for a counterpart.
    """
    leg = legs[leg_no - 1]
    partner_index = (leg_no - 1) ^ 1
    if partner_index < len(legs):
        partner = legs[partner_index]
        if partner.currency == leg.currency and partner.amount_minor == -leg.amount_minor:
            return (partner.account_id,)
    others = (each for each in legs if each.currency == leg.currency and each.amount_minor * leg.amount_minor < 0)
    return tuple(dict.fromkeys(each.account_id for each in others))
