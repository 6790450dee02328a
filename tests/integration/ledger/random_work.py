"""Writers that ask the ledger for all kinds of things at random, and remember what it acknowledged."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import TypeVar

from tests.integration.ledger.hold_support import (
    NOW,
    capture,
    check_holds,
    extend_request,
    place_request,
    release_request,
)
from tests.integration.ledger.support import CLOCK, IDS, SETTLEMENT, account, credit, debit, make_order, with_posting

from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.holds import PostgresHolds
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.reversals import PostgresReversals
from postrail.adapters.postgres.verify import verify
from postrail.domain.errors import Permanent, ReasonCode, Retryable
from postrail.domain.hold import HoldKind, PlaceHold
from postrail.domain.ledger import AccountStatus
from postrail.ports import HoldOutcome, PostingOrder, PostStatus

T = TypeVar("T")
FEES = "fee:cards:gbp"
CUSTOMERS = tuple(f"customer:{number:06d}:gbp" for number in range(700, 706))
ATTEMPTS_MAX = 400
OPENING_MINOR = 20_000


def open_customers(database: Database) -> None:
    """Some customers with little money and no overdraft, so that refusals are common."""
    specs = [account(name) for name in (*CUSTOMERS, SETTLEMENT, FEES)]
    openings = dict.fromkeys(CUSTOMERS, OPENING_MINOR)
    accounts = PostgresAccounts(database)
    accounts.open_accounts(specs, openings=openings, clock=CLOCK, ids=IDS)
    for name in CUSTOMERS:
        accounts.set_overdraft_limit(name, 0)


@dataclass
class Acknowledged:
    """What the ledger said it had done. Shared by all writers: lists take additions from several threads."""

    payments: list[str] = field(default_factory=list)
    reversals: list[str] = field(default_factory=list)
    holds: list[str] = field(default_factory=list)
    retries: list[str] = field(default_factory=list)
    refusals: list[ReasonCode] = field(default_factory=list)


class Writer:
    """One connection and one stream of random requests, each repeated, as it is, until the ledger answers."""

    def __init__(self, dsn: str, seed: int, acknowledged: Acknowledged, *, pause_seconds: float = 0.02) -> None:
        self._random = Random(seed)
        self._database = Database(dsn)
        self._ledger, self._holds = PostgresLedger(self._database), PostgresHolds(self._database)
        self._accounts, self._reversals = PostgresAccounts(self._database), PostgresReversals(self._database)
        self._known = acknowledged
        self._pause_seconds = pause_seconds

    def work(self, goes_on: Callable[[int], bool]) -> int:
        """Ask until `goes_on(requests made)` says no; returns how many requests were made."""
        made = 0
        with self._database:
            while goes_on(made):
                kinds = [self._pay, self._place, self._change, self._capture, self._reverse, self._expire, self._guard]
                self._random.choices(kinds, weights=[6, 5, 3, 4, 2, 1, 1])[0]()
                made += 1
        return made

    def _again(self, ask: Callable[[], T]) -> T:
        for _ in range(ATTEMPTS_MAX):
            try:
                return ask()
            except Retryable as error:
                self._known.retries.append(str(error))
                time.sleep(self._pause_seconds * self._random.uniform(0.5, 1.5))
        msg = f"no answer after {ATTEMPTS_MAX} attempts"
        raise AssertionError(msg)

    def _post(self, orders: Sequence[PostingOrder]) -> None:
        def ask() -> None:
            with self._ledger.session() as session:
                results = session.post(orders)
            for order, result in zip(orders, results, strict=True):
                ours = result.transaction_id == order.posting.transaction_id
                if result.status is PostStatus.POSTED or (result.reason is ReasonCode.ALREADY_POSTED and ours):
                    self._known.payments.append(order.posting.transaction_id)
                elif result.reason is not None:
                    self._known.refusals.append(result.reason)

        self._again(ask)

    def _pay(self) -> None:
        orders = []
        for _ in range(self._random.randint(1, 5)):
            payer, payee = self._random.sample(CUSTOMERS, 2)
            amount, fee = self._random.randint(1, 3_000), self._random.randint(1, 50)
            legs = [debit(payer, amount + fee), credit(SETTLEMENT, amount), credit(FEES, fee)]
            if self._random.random() < 0.5:
                legs = [debit(SETTLEMENT, amount), credit(payee, amount)]
            orders.append(make_order(*legs))
        if self._random.random() < 0.2:
            orders.append(make_order(debit("customer:nobody:gbp", 1), credit(SETTLEMENT, 1)))
        if self._random.random() < 0.2:
            orders.append(with_posting(make_order(), legs=(debit(CUSTOMERS[0], 5), credit(SETTLEMENT, 4))))
        self._post(orders)

    def _capture(self) -> None:
        found = self._again(lambda: self._holds.find(self._some(self._known.holds, 3)))
        self._post(
            [
                capture(
                    hold.hold_id,
                    self._random.randint(1, max(hold.remaining_minor, 1) + 20),
                    account_id=hold.account_id,
                    final=self._random.random() < 0.3,
                )
                for hold in found
            ]
        )

    def _place(self) -> None:
        requests = [self._new_hold() for _ in range(self._random.randint(1, 4))]
        for result in self._again(lambda: self._holds.place(requests)):
            if result.outcome is HoldOutcome.REFUSED:
                self._known.refusals.append(result.reason or ReasonCode.INVALID_VALUE)
            else:
                self._known.holds.append(result.hold_id)

    def _new_hold(self) -> PlaceHold:
        return place_request(
            self._random.choice(CUSTOMERS),
            self._random.randint(1, 4_000),
            tolerance_minor=self._random.choice([0, 50]),
            kind=self._random.choice(list(HoldKind)),
            expires_at=NOW + timedelta(hours=self._random.randint(-5, 5)),
        )

    def _change(self) -> None:
        requests = [
            extend_request(each, self._random.randint(1, 500))
            if self._random.random() < 0.5
            else release_request(each, self._random.choice([None, self._random.randint(1, 500)]))
            for each in self._some(self._known.holds, 3)
        ]
        self._again(lambda: self._holds.change(requests))

    def _reverse(self) -> None:
        chosen = self._some(self._known.payments, 2)
        for original in chosen:
            for result in self._again(
                lambda original=original: self._reversals.reverse([original], reason="test", occurred_at=NOW, ids=IDS)
            ):
                if result.transaction_id is not None:
                    self._known.reversals.append(result.transaction_id)

    def _expire(self) -> None:
        self._again(lambda: self._holds.expire(NOW, limit=self._random.randint(1, 10)))

    def _guard(self) -> None:
        """Freeze and thaw, or move a limit, which may be refused."""
        name = self._random.choice(CUSTOMERS)
        if self._random.random() < 0.5:
            self._again(lambda: self._accounts.set_status(name, AccountStatus.FROZEN))
            self._again(lambda: self._accounts.set_status(name, AccountStatus.OPEN))
            return
        limit = self._random.choice([0, 500, 1_000])
        try:
            self._again(lambda: self._accounts.set_overdraft_limit(name, limit))
        except Permanent as refusal:
            self._known.refusals.append(refusal.reason)

    def _some(self, known: Sequence[str], most: int) -> list[str]:
        recent = known[-40:]
        return self._random.sample(recent, min(len(recent), self._random.randint(1, most)))


def check_books(database: Database, acknowledged: Acknowledged) -> None:
    """Everything acknowledged is there, nothing else, nothing twice, and every sum is right."""
    kept = {
        kind: [
            row["transaction_id"]
            for row in database.fetch(
                "SELECT transaction_id FROM ledger.journal WHERE kind = $1 ORDER BY transaction_id", kind
            )
        ]
        for kind in ("payment", "reversal")
    }
    assert kept["payment"] == sorted(acknowledged.payments)
    assert kept["reversal"] == sorted(set(acknowledged.reversals))
    rows = database.fetch("SELECT hold_id FROM ledger.hold_list ORDER BY hold_id")
    assert [row["hold_id"] for row in rows] == sorted(acknowledged.holds)
    check_holds(database)
    report = verify(database)
    assert report.clean, report
