"""Parts, orders and accounts for ledger tests: small and plain, so that a test shows the money it moves."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from tests.builders.payments import make_approved, make_authorization

from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.system import SystemClock, SystemIds
from postrail.contracts.envelope import start_event
from postrail.contracts.events import Event, PostingRequested
from postrail.contracts.payment import LegData, PartData
from postrail.domain.authorization import content_fingerprint
from postrail.domain.ledger import AccountSpec, AccountStatus, AccountType
from postrail.domain.posting import Direction, Leg, PartKind, Posting, pair
from postrail.ports import PostingOrder, PostResult
from postrail.posting_inputs import posting_input_by_name
from postrail.stages.post import PostReport, post

CLOCK = SystemClock()
IDS = SystemIds()

ADA = "customer:000001:gbp"
BEN = "customer:000002:gbp"
FROZEN = "customer:000003:gbp"
CLOSED = "customer:000004:gbp"
EURO = "customer:000005:eur"
SETTLEMENT = "settlement:scheme:gbp"
MARKUP = "income:fx-markup:gbp"

Part = Event[PostingRequested]


def account(account_id: str, status: AccountStatus = AccountStatus.OPEN) -> AccountSpec:
    """An account as its id tells: type and currency stand in it."""
    type_, _, currency = account_id.split(":")
    return AccountSpec(account_id, AccountType(type_), currency.upper(), status, f"Account {account_id}")


ACCOUNTS = (
    account(ADA),
    account(BEN),
    account(FROZEN, AccountStatus.FROZEN),
    account(CLOSED, AccountStatus.CLOSED),
    account(EURO),
    account(SETTLEMENT),
    account(MARKUP),
)
OPENINGS = {ADA: 100_000, BEN: 50_000}


def open_accounts(database: Database, specs: Sequence[AccountSpec] = ACCOUNTS) -> None:
    """Open the accounts; Ada has 1,000.00 and Ben 500.00."""
    openings = {spec.account_id: OPENINGS[spec.account_id] for spec in specs if spec.account_id in OPENINGS}
    PostgresAccounts(database).open_accounts(specs, openings=openings, clock=CLOCK, ids=IDS)


def payment_id() -> str:
    return IDS.new_id("pay")


def make_parts(
    pairs: Sequence[tuple[str, str, int]],
    *,
    payment: str | None = None,
    key: str | None = None,
    currency: str = "GBP",
    correlation_id: str = "run-of-a-test",
    **changes: Any,
) -> list[Part]:
    """The parts of one payment, one for each (debit account, credit account, amount in minor units)."""
    payment = payment or payment_id()
    booking = make_approved(make_authorization(payment_id=payment))
    kinds = list(PartKind)
    return [
        start_event(
            PostingRequested(
                **{
                    "payment_id": payment,
                    "sequence_id": f"seq_{payment.removeprefix('pay_')}",
                    "index": index,
                    "total": len(pairs),
                    "payment_key": key or f"key:{payment}",
                    "fingerprint": content_fingerprint(*(amount for _, _, amount in pairs)),
                    "part": PartData(kind=kinds[index - 1], legs=_legs(*movement, currency)),
                    "booking": booking if index == 1 else None,
                }
                | changes
            ),
            correlation_id=correlation_id,
            producer="test",
            clock=CLOCK,
            ids=IDS,
        )
        for index, movement in enumerate(pairs, start=1)
    ]


def _legs(debit: str, credit: str, amount_minor: int, currency: str) -> tuple[LegData, ...]:
    return tuple(
        LegData(
            account_id=leg.account_id, direction=leg.direction, amount_minor=leg.amount_minor, currency=leg.currency
        )
        for leg in pair(debit, credit, amount_minor, currency)
    )


def make_order(
    *legs: Leg, payment: str | None = None, key: str | None = None, fingerprint: str | None = None
) -> PostingOrder:
    """An order to post these legs; by default 10.00 GBP from Ada to settlement."""
    legs = legs or pair(ADA, SETTLEMENT, 1_000, "GBP")
    payment = payment or payment_id()
    parts = make_parts([(ADA, SETTLEMENT, 1)], payment=payment, key=key)
    posting = Posting(
        transaction_id=IDS.new_id("txn"),
        sequence_id=parts[0].data.sequence_id,
        payment_id=payment,
        payment_key=key or f"key:{payment}",
        fingerprint=fingerprint or content_fingerprint(*(str(leg) for leg in legs)),
        legs=legs,
        occurred_at_us=1_790_000_000_000_000,
        description="Cafe Central",
    )
    return PostingOrder(posting, b"input", "json", parts[0])


def with_posting(order: PostingOrder, **changes: Any) -> PostingOrder:
    """The order with its posting changed."""
    return replace(order, posting=order.posting._replace(**changes))


def debit(account_id: str, amount_minor: int, currency: str = "GBP") -> Leg:
    return Leg(account_id, Direction.DEBIT, amount_minor, currency)


def credit(account_id: str, amount_minor: int, currency: str = "GBP") -> Leg:
    return Leg(account_id, Direction.CREDIT, amount_minor, currency)


def post_orders(ledger: PostgresLedger, *orders: PostingOrder) -> list[PostResult]:
    """Post in one session."""
    with ledger.session() as session:
        return session.post(orders)


def run_engine(ledger: PostgresLedger, parts: Sequence[Part]) -> PostReport:
    """The posting engine on one batch of parts."""
    return post(parts, ledger=ledger, input_format=posting_input_by_name("json"), clock=CLOCK, ids=IDS)


def balance(database: Database, account_id: str) -> int:
    """The total balance in minor units: of a hot account, of all its shards."""
    (row,) = PostgresAccounts(database).read_balances([account_id])
    return row.total_minor


LOCK_BALANCE = (
    "SELECT FROM ledger.balances AS b JOIN ledger.accounts AS a ON a.account_no = b.account_no"
    " WHERE a.account_id = $1 ORDER BY b.shard FOR UPDATE OF b"
)
"""Takes the lock of an account, as a posting to it or a change of its status does."""


def await_waiting_session(dsn: str) -> None:
    """Return when a session of this database waits for a lock; fail when none comes to wait."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for _ in range(500):
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchone()
            if row is not None and row[0]:
                return
            time.sleep(0.01)
    pytest.fail("the other session did not come to wait")


def count(database: Database, table: str, condition: str = "true") -> int:
    """How many rows of a table meet a condition."""
    row = database.fetch_one(f"SELECT count(*) AS number FROM {table} WHERE {condition}")
    return 0 if row is None else int(row["number"])
