"""Reads statements, past balances and single transactions from the journal.

A balance at a past time is the sum of the entries up to then, on either of the two times: what had happened by then
(event time), what the ledger knew by then (recorded time), or both. A statement is read in one snapshot, its lines
through a server-side cursor page by page, so that one of millions of lines needs little memory and adds up while
others go on posting.
"""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import asyncpg
import orjson

from postrail.adapters.postgres.batch_runs import documents_of_payment
from postrail.adapters.postgres.connection import Database, Isolation
from postrail.adapters.postgres.queries import statements
from postrail.batch.documents import find_document
from postrail.contracts.payment import Authorization
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.ledger import AccountStatus, AccountType
from postrail.domain.statement import (
    AccountNotice,
    JournalLeg,
    Period,
    Statement,
    StatementAccount,
    StatementEntry,
    TimeBasis,
    Turnover,
    counter_accounts,
)
from postrail.iso20022.camt054 import CardPayment

_SQL = statements("statements.sql")
_SECONDS_MAX = 3_600
_IDLE_SECONDS_MAX = 600
"""How long whoever reads a statement may take over one page of it."""

_NOTIFIED = frozenset({AccountType.CUSTOMER, AccountType.MERCHANT})
"""Accounts of others than the bank: those who are notified when nobody says whom to notify."""

_Place = tuple[int, int]
"""Where a transaction stands in the journal: its batch and its position in it."""


@dataclass(frozen=True, slots=True)
class BalanceNow:
    """All figures of one account as they stand, minor units of `currency`, credit positive.

    `available_minor` = `total_minor` - `held_minor`; `locked_minor` is the part of held that disputes hold.
    """

    account_id: str
    type: AccountType
    status: AccountStatus
    name: str
    currency: str
    overdraft_limit_minor: int | None
    total_minor: int
    held_minor: int
    locked_minor: int
    available_minor: int
    entry_count: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class BalanceThen:
    """The posted balance at a past time, and of how many entries it is the sum."""

    account: StatementAccount
    total_minor: int
    entry_count: int


@dataclass(frozen=True, slots=True)
class Notification:
    """What one transaction, or all transactions of one payment, did to accounts.

    `payment` tells of card, merchant and conversion, where the ledger or the audit trail of a batch run keeps them.
    """

    notices: tuple[AccountNotice, ...]
    payment: CardPayment | None


class PostgresStatements:
    """Statements, past balances, notifications. Nothing here writes."""

    def __init__(self, database: Database | str | Callable[[], str]) -> None:
        self._database = Database.of(database)

    def balance_now(self, account_id: str) -> BalanceNow:
        """Total, held, locked and available. Raises Permanent(ACCOUNT_NOT_FOUND)."""
        row = self._database.fetch_one(_SQL["balance_now"], account_id)
        if row is None:
            raise _no_account(account_id)
        limit = row["overdraft_limit_minor"]
        return BalanceNow(
            account_id=row["account_id"],
            type=AccountType(row["type"]),
            status=AccountStatus(row["status"]),
            name=row["name"],
            currency=row["currency"],
            overdraft_limit_minor=None if limit is None else int(limit),
            total_minor=int(row["total_minor"]),
            held_minor=int(row["held_minor"]),
            locked_minor=int(row["locked_minor"]),
            available_minor=int(row["available_minor"]),
            entry_count=int(row["entry_count"]),
            updated_at=row["updated_at"],
        )

    def balance_at(
        self, account_id: str, *, occurred_until: datetime | None = None, recorded_until: datetime | None = None
    ) -> BalanceThen:
        """The sum of the entries that happened, and were recorded, up to these instants, which are included.

        None means: whenever. Raises Permanent(ACCOUNT_NOT_FOUND).
        """
        with self._snapshot():
            account_no, account = self._account(account_id)
            (row,) = self._fetch("balance_at", account_no, occurred_until, recorded_until)
        return BalanceThen(account, int(row["total_minor"]), row["entry_count"])

    @contextmanager
    def statement(
        self,
        account_id: str,
        period: Period,
        by: TimeBasis = TimeBasis.RECORDED,
        *,
        known_at: datetime | None = None,
        iban: str | None = None,
    ) -> Iterator[Statement]:
        """The statement of an account; its entries can be read once, and only inside the block.

        `known_at` leaves out what was recorded after that instant. `iban` goes onto the statement: the ledger does not
        know it. Raises Permanent(ACCOUNT_NOT_FOUND).
        """
        with self._snapshot():
            account_no, account = self._account(account_id)
            selection = (account_no, by is TimeBasis.RECORDED, period.start, period.end, known_at)
            (head,) = self._fetch("statement_head", *selection)
            yield Statement(
                account=replace(account, iban=iban),
                period=period,
                by=by,
                opening_minor=int(head["opening_minor"]),
                turnover=Turnover(
                    credit_count=head["credit_count"],
                    credit_minor=int(head["credit_minor"]),
                    debit_count=head["debit_count"],
                    debit_minor=int(head["debit_minor"]),
                ),
                entries=self._entries(selection),
                known_at=known_at,
            )

    def notification(self, identifier: str, account_id: str | None = None) -> Notification:
        """What a transaction (`txn_...`), or a payment (`pay_...`) with its reversals, did.

        Customers and merchants are notified, every account when there is none of them, or `account_id` alone. Raises
        Permanent: INVALID_VALUE when the identifier is neither, ACCOUNT_NOT_FOUND when it did not touch that account,
        TRANSACTION_NOT_FOUND when the journal does not have it.
        """
        name, key = _parse_identifier(identifier)
        with self._snapshot():
            rows = self._fetch(name, key)
            if not rows:
                raise Permanent(ReasonCode.TRANSACTION_NOT_FOUND, f"the journal has no {identifier}")
            legs = self._legs(rows)
            accounts = self._accounts({leg.account_id for each in legs.values() for leg in each})
            types = self._transaction_types(_sequences(rows))
            payment = self._payment(rows)
        entries: defaultdict[str, list[StatementEntry]] = defaultdict(list)
        for row in rows:
            own = legs[_place(row)]
            for leg in own:
                entries[leg.account_id].append(_entry(row, leg.leg_no, leg.amount_minor, own, types))
        notices = tuple(
            AccountNotice(accounts[each], tuple(entries[each]))
            for each in _notified(accounts, None if account_id is None else {account_id})
        )
        if not notices:
            raise Permanent(ReasonCode.ACCOUNT_NOT_FOUND, f"{identifier} did not touch account {account_id}")
        return Notification(_with_iban(notices, payment), payment)

    # --- reading ------------------------------------------------------------------------------------------------------

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """One instant for all that is read, and time for long answers and slow readers."""
        with self._database.transaction(Isolation.SNAPSHOT):
            self._database.execute(f"SET LOCAL statement_timeout = '{_SECONDS_MAX}s'")
            # Arrays of ten and of ten thousand want different plans.
            self._database.execute("SET LOCAL plan_cache_mode = force_custom_plan")
            self._database.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{_IDLE_SECONDS_MAX}s'")
            yield

    def _fetch(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        return self._database.fetch(_SQL[name], *arguments, seconds_max=_SECONDS_MAX)

    def _account(self, account_id: str) -> tuple[int, StatementAccount]:
        rows = self._fetch("account", account_id)
        if not rows:
            raise _no_account(account_id)
        return rows[0]["account_no"], _statement_account(rows[0])

    def _accounts(self, account_ids: set[str]) -> dict[str, StatementAccount]:
        rows = self._fetch("accounts", sorted(account_ids))
        return {row["account_id"]: _statement_account(row) for row in rows}

    def _entries(self, selection: tuple[object, ...]) -> Iterator[StatementEntry]:
        self._database.execute(_SQL["open_lines"], *selection)
        while rows := self._fetch("fetch_lines"):
            legs = self._legs(rows)
            types = self._transaction_types(_sequences(rows))
            for row in rows:
                yield _entry(row, row["leg_no"], row["amount_minor"], legs[_place(row)], types)
        self._database.execute(_SQL["close_lines"])

    def _legs(self, rows: Sequence[asyncpg.Record]) -> Mapping[_Place, list[JournalLeg]]:
        """All legs of these transactions, in their order."""
        places = sorted({_place(row) for row in rows})
        found: defaultdict[_Place, list[JournalLeg]] = defaultdict(list)
        batches = [batch for batch, _ in places]
        self._database.execute("SET LOCAL enable_nestloop = off")
        rows = self._fetch("legs", sorted(set(batches)), batches, [position for _, position in places])
        self._database.execute("SET LOCAL enable_nestloop = on")
        for row in rows:
            leg = JournalLeg(row["leg_no"], row["account_id"], row["amount_minor"], row["currency"])
            found[_place(row)].append(leg)
        return found

    def _payment(self, rows: Sequence[asyncpg.Record]) -> CardPayment | None:
        """The payment of these transactions: from the booking of the event road, or from its batch run's documents."""
        sequences = _sequences(rows)
        if not sequences:
            return None
        for row in self._fetch("booking", sequences):
            return _card_payment(row["authorization"], row["message"])
        for row in rows:
            if row["kind"] != "payment":
                continue
            for _, packed in documents_of_payment(self._database, batch_id=row["batch_id"]):
                document = find_document(packed, row["payment_id"])
                if document is not None and document.get("transaction_id") == row["transaction_id"]:
                    return _card_payment(orjson.dumps(document["authorization"]), orjson.dumps(document["message"]))
        return None

    def _transaction_types(self, sequences: Sequence[str]) -> dict[str, str]:
        """Transaction types by sequence, of those payments whose booking lies in the ledger."""
        if not sequences:
            return {}
        rows = self._fetch("transaction_types", sequences)
        return {row["sequence_id"]: row["transaction_type"] for row in rows if row["transaction_type"]}


def _no_account(account_id: str) -> Permanent:
    return Permanent(ReasonCode.ACCOUNT_NOT_FOUND, f"the ledger has no account {account_id}")


def _parse_identifier(identifier: str) -> tuple[str, uuid.UUID]:
    """Which statement finds it, and by what key."""
    names = {"txn": "transaction_by_id", "pay": "transactions_by_payment"}
    prefix, _, digits = identifier.partition("_")
    try:
        return names[prefix], uuid.UUID(hex=digits)
    except (KeyError, ValueError):
        detail = f"{identifier!r} is no id of a payment (pay_ and 32 hex digits) or a transaction (txn_ and 32)"
        raise Permanent(ReasonCode.INVALID_VALUE, detail) from None


def _place(row: asyncpg.Record) -> _Place:
    return row["batch_id"], row["position"]


def _sequences(rows: Sequence[asyncpg.Record]) -> list[str]:
    return sorted({row["sequence_id"] for row in rows if row["sequence_id"] is not None})


def _statement_account(row: asyncpg.Record) -> StatementAccount:
    return StatementAccount(row["account_id"], AccountType(row["type"]), row["currency"], row["name"])


def _entry(
    row: asyncpg.Record, leg_no: int, amount_minor: int, legs: Sequence[JournalLeg], types: Mapping[str, str]
) -> StatementEntry:
    return StatementEntry(
        transaction_id=row["transaction_id"],
        leg_no=leg_no,
        kind=row["kind"],
        payment_id=row["payment_id"],
        reverses=row["reverses"],
        transaction_type=types.get(row["sequence_id"] or ""),
        counter_accounts=counter_accounts(legs, leg_no),
        description=row["description"],
        occurred_at=row["occurred_at"],
        recorded_at=row["recorded_at"],
        amount_minor=amount_minor,
    )


def _notified(accounts: Mapping[str, StatementAccount], wanted: set[str] | None) -> list[str]:
    if wanted is not None:
        return sorted(wanted & accounts.keys())
    of_others = [each for each, account in accounts.items() if account.type in _NOTIFIED]
    return sorted(of_others or accounts)


def _with_iban(notices: tuple[AccountNotice, ...], payment: CardPayment | None) -> tuple[AccountNotice, ...]:
    """The IBAN on the customer's account: a payment has one customer."""
    if payment is None or sum(notice.account.type is AccountType.CUSTOMER for notice in notices) != 1:
        return notices
    return tuple(
        replace(notice, account=replace(notice.account, iban=payment.iban))
        if notice.account.type is AccountType.CUSTOMER
        else notice
        for notice in notices
    )


def _card_payment(authorization: bytes | str, advice: bytes | str) -> CardPayment | None:
    """None where it was kept in a form that is no longer read: the notification does without."""
    try:
        return CardPayment.of(Authorization.model_validate_json(authorization), orjson.loads(advice))
    except (ValueError, KeyError):
        return None
