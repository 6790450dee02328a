"""Opens accounts with their opening balances, changes their status, reads their balances."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.queries import statements
from postrail.domain.authorization import content_fingerprint
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.ledger import AccountSpec, AccountStatus, AccountType, account_id_of
from postrail.ports import Clock, IdSource

_ACCOUNTS_PER_CALL = 2_000
_SQL = statements("accounts.sql")


@dataclass(frozen=True, slots=True)
class OpenedAccounts:
    """How many accounts and opening balances were new; what was there before is not counted."""

    accounts: int
    openings: int


@dataclass(frozen=True, slots=True)
class Balance:
    """The balance of one account in minor units of `currency`, credit positive.

    `total_minor` is posted, `held_minor` is promised to holds (`locked_minor` of it to disputes), and what is left is
    `available_minor`. `overdraft_limit_minor` is how far available may go below zero, None for no limit.
    """

    account_id: str
    type: AccountType
    status: AccountStatus
    name: str
    currency: str
    total_minor: int
    held_minor: int
    locked_minor: int
    available_minor: int
    overdraft_limit_minor: int | None
    entry_count: int
    updated_at: datetime


class PostgresAccounts:
    """The chart of accounts and the balances."""

    def __init__(self, database: Database | str | Callable[[], str]) -> None:
        self._database = Database.of(database)

    def open_accounts(
        self,
        specs: Sequence[AccountSpec],
        *,
        openings: Mapping[str, int] | None = None,
        clock: Clock,
        ids: IdSource,
    ) -> OpenedAccounts:
        """Open accounts and post opening balances (account id to minor units, credit positive), all or nothing.

        Every opening balance is a journal transaction against `equity:opening:<currency>`, which is opened when it
        is missing. Doing it again changes nothing: an account keeps its status and name, an opening balance is
        posted once, even when another amount is given the second time. On a `Database` with an open transaction the
        accounts belong to it. Raises Permanent when an account exists with another type or currency
        (CURRENCY_MISMATCH), or an opening names no account of `specs` (ACCOUNT_NOT_FOUND).
        """
        openings = openings or {}
        unknown = openings.keys() - {spec.account_id for spec in specs}
        if unknown:
            raise Permanent(ReasonCode.ACCOUNT_NOT_FOUND, f"opening balances of accounts not opened: {min(unknown)}")
        wanted = {spec.account_id: spec for spec in (*_opening_equity(specs, openings), *specs)}
        accounts = posted = 0
        with self._database.joined_transaction():
            # Equity comes first: the openings of the first slice stand against it.
            for some in _slices(sorted(wanted.values(), key=_equity_first)):
                row = self._database.fetch_one(_SQL["open"], *_columns(some, openings, ids), clock.now())
                if row is not None:
                    accounts += row["accounts_opened"]
                    posted += row["openings_posted"]
        return OpenedAccounts(accounts, posted)

    def set_status(self, account_id: str, status: AccountStatus) -> None:
        """Open, freeze or close an account. Waits for postings in flight; later ones see the new status.

        Raises Permanent(ACCOUNT_NOT_FOUND).
        """
        if self._database.execute(_SQL["set_status"], account_id, status.value) == "UPDATE 0":
            raise Permanent(ReasonCode.ACCOUNT_NOT_FOUND, f"the ledger has no account {account_id}")

    def set_overdraft_limit(self, account_id: str, limit_minor: int | None) -> None:
        """Let available money go `limit_minor` below zero from now on; None lifts the limit.

        Raises Permanent: ACCOUNT_NOT_FOUND, and INSUFFICIENT_FUNDS when the account stands below the new limit.
        """
        if self._database.execute(_SQL["set_overdraft_limit"], account_id, limit_minor) == "UPDATE 0":
            raise Permanent(ReasonCode.ACCOUNT_NOT_FOUND, f"the ledger has no account {account_id}")

    def read_balances(
        self, account_ids: Sequence[str] | None = None, *, after: str = "", limit: int = 10_000
    ) -> list[Balance]:
        """Balances by account id: of the accounts named, or of all, at most `limit` beyond account `after`."""
        wanted = None if account_ids is None else list(account_ids)
        return [
            Balance(
                account_id=row["account_id"],
                type=AccountType(row["type"]),
                status=AccountStatus(row["status"]),
                name=row["name"],
                currency=row["currency"],
                total_minor=int(row["total_minor"]),
                held_minor=int(row["held_minor"]),
                locked_minor=int(row["locked_minor"]),
                available_minor=int(row["available_minor"]),
                overdraft_limit_minor=row["overdraft_limit_minor"],
                entry_count=int(row["entry_count"]),
                updated_at=row["updated_at"],
            )
            for row in self._database.fetch(_SQL["read_balances"], wanted, after, limit)
        ]


def _equity_first(spec: AccountSpec) -> tuple[bool, str]:
    return spec.type is not AccountType.EQUITY, spec.account_id


def _slices(specs: Sequence[AccountSpec]) -> Iterator[Sequence[AccountSpec]]:
    for start in range(0, len(specs), _ACCOUNTS_PER_CALL):
        yield specs[start : start + _ACCOUNTS_PER_CALL]


def _opening_equity(specs: Sequence[AccountSpec], openings: Mapping[str, int]) -> list[AccountSpec]:
    currencies = {spec.currency for spec in specs if openings.get(spec.account_id)}
    return [
        AccountSpec(
            account_id_of(AccountType.EQUITY, "opening", currency),
            AccountType.EQUITY,
            currency,
            AccountStatus.OPEN,
            f"Opening balances {currency}",
        )
        for currency in sorted(currencies)
    ]


def _columns(specs: Sequence[AccountSpec], openings: Mapping[str, int], ids: IdSource) -> list[list[object]]:
    rows = []
    for spec in specs:
        opening = openings.get(spec.account_id, 0)
        rows.append(
            (
                spec.account_id,
                spec.type.value,
                spec.currency,
                spec.status.value,
                spec.name,
                spec.sharded,
                spec.overdraft_limit_minor,
                opening,
                ids.new_id("txn")[4:] if opening else None,
                content_fingerprint(spec.account_id, opening, spec.currency),
            )
        )
    return [list(column) for column in zip(*rows, strict=True)]
