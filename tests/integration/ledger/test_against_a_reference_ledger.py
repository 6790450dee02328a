"""Whatever is asked of the ledger, it answers as the reference ledger does, and its books are right."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from tests.integration.conftest import PostgresServer
from tests.integration.ledger.hold_support import check_holds
from tests.integration.ledger.reference_ledger import Account, Order, ReferenceLedger, RefHold
from tests.integration.ledger.support import CLOCK, IDS

from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.holds import PostgresHolds
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.reversals import PostgresReversals
from postrail.adapters.postgres.verify import verify
from postrail.domain.authorization import content_fingerprint
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.hold import ExtendHold, HoldKind, PlaceHold, ReleaseHold
from postrail.domain.ledger import AccountSpec, AccountStatus, AccountType
from postrail.domain.posting import Direction, Leg, Posting
from postrail.ports import HoldOutcome, HoldResult, PostingOrder

OPENED = {"ada": 1_000, "ben": 500, "cara": 0, "settlement": 0, "fees": 0, "euro": 0}
"""The accounts of one example and what they begin with."""
HUGE = 2**62
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""No shrinking: it would run against the database for minutes. What failed is printed as it was."""
_examples = count(1)

customers = st.sampled_from(["ada", "ben", "cara"])
names = st.sampled_from(["ada", "ben", "cara", "settlement", "fees"])
odd_names = st.sampled_from(["ada", "ben", "settlement", "euro", "nobody"])
amounts = st.one_of(st.integers(1, 400), st.integers(1, 40), st.just(HUGE))
signed = st.builds(lambda amount, sign: amount * sign, amounts, st.sampled_from([-1, -1, 1]))
key_numbers = st.integers(0, 12)
hold_numbers = st.integers(0, 9)
hours = st.integers(0, 48)


@st.composite
def legs(draw: st.DrawFn) -> tuple[tuple[str, int], ...]:
    """Some legs, and one that balances them; once in a while off by one, or on an odd account."""
    some = draw(st.lists(st.tuples(names, signed), min_size=1, max_size=4))
    odd = draw(st.integers(0, 19))
    if odd == 0:
        some[0] = (draw(odd_names), some[0][1])
    rest = -sum(amount for _, amount in some) + (odd == 1)
    limit = 2**63 - 1
    last = draw(names)
    if rest == 0 or abs(rest) > limit:
        return (("ada", -7), (last, 7))
    return (*some, (last, rest))


seldom = st.sampled_from([False, False, False, True])
plans = st.tuples(legs(), key_numbers, st.one_of(st.none(), st.none(), hold_numbers), st.booleans(), seldom)
captures = st.tuples(
    hold_numbers,
    st.sampled_from(["part", "all", "over"]),
    st.integers(1, 250),
    st.integers(0, 400),
    st.booleans(),
    st.booleans(),
)


class LedgerAndReference(RuleBasedStateMachine):
    """Does everything twice: to the ledger, and to the reference."""

    database: ClassVar[Database]

    @initialize()
    def open(self) -> None:
        self.number = next(_examples)
        self.epoch = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=100 * self.number)
        self.ledger, self.holds = PostgresLedger(self.database), PostgresHolds(self.database)
        self.accounts, self.reversals = PostgresAccounts(self.database), PostgresReversals(self.database)
        self.reference = ReferenceLedger(
            {
                "ada": Account("GBP", floor=0, total=1_000),
                "ben": Account("GBP", total=500),
                "cara": Account("GBP", floor=-300),
                "settlement": Account("GBP", hot=True),
                "fees": Account("GBP", hot=True),
                "euro": Account("EUR"),
            }
        )
        self.hold_ids: list[str] = []
        self.transactions: list[str] = []
        specs = [
            AccountSpec(
                self._id(name),
                AccountType.SETTLEMENT if account.hot else AccountType.CUSTOMER,
                account.currency,
                AccountStatus.OPEN,
                name,
                None if account.floor is None else -account.floor,
            )
            for name, account in self.reference.accounts.items()
        ]
        openings = {self._id(name): amount for name, amount in OPENED.items()}
        self.accounts.open_accounts(specs, openings=openings, clock=CLOCK, ids=IDS)

    @rule(batch=st.lists(plans, min_size=1, max_size=5))
    def post(self, batch: Sequence[tuple[tuple[tuple[str, int], ...], int, int | None, bool, bool]]) -> None:
        self._post(
            [
                Order(
                    IDS.new_id("txn"),
                    f"k{key}",
                    legs_,
                    hold=None if hold is None else self._hold(hold),
                    final=final,
                    owed=owed,
                )
                for legs_, key, hold, final, owed in batch
            ]
        )

    @rule(batch=st.lists(captures, min_size=1, max_size=3))
    def capture(self, batch: Sequence[tuple[int, str, int, int, bool, bool]]) -> None:
        """Captures of what is held, or a little more, each with a payment of the same account behind it."""
        orders = []
        for number, how, amount, spent, final, owed in batch:
            hold_id = self._hold(number)
            hold = self.reference.holds.get(hold_id)
            payer, remaining = (hold.account, hold.remaining) if hold else ("ada", 0)
            taken = {"part": 1 + amount % max(remaining, 1), "all": max(remaining, 1), "over": remaining + amount}[how]
            legs_ = ((payer, -taken), ("settlement", taken))
            orders.append(Order(new := IDS.new_id("txn"), new, legs_, hold=hold_id, final=final, owed=owed))
            if spent:
                legs_ = ((payer, -spent), ("settlement", spent))
                orders.append(Order(new := IDS.new_id("txn"), new, legs_))
        self._post(orders)

    @rule(
        batch=st.lists(
            st.tuples(st.one_of(customers, customers, odd_names), amounts, st.integers(0, 250), hours, st.booleans()),
            min_size=1,
            max_size=4,
        ),
        key=st.one_of(st.none(), key_numbers),
    )
    def place(self, batch: Sequence[tuple[str, int, int, int, bool]], key: int | None) -> None:
        requests, expected = [], []
        for name, amount, tolerance, expires, dispute in batch:
            hold_id = IDS.new_id("hld")
            kind = HoldKind.DISPUTE if dispute else HoldKind.AUTHORIZATION
            change_key = self._key(hold_id if key is None else f"h{key}")
            request = PlaceHold(
                hold_id, change_key, self._id(name), "GBP", amount, self._at(expires), self.epoch, kind, tolerance
            )
            requests.append(request)
            repeated = change_key in self.reference.changes
            reason = self.reference.place(
                change_key, hold_id, RefHold(name, kind.value, amount, tolerance, expires), "GBP"
            )
            expected.append((_outcome(reason, repeated=repeated), reason))
            if hold_id in self.reference.holds:
                self.hold_ids.append(hold_id)
        self._agree(self.holds.place(requests), expected)

    @rule(
        batch=st.lists(
            st.tuples(
                hold_numbers,
                st.sampled_from(["more", "longer", "part", "all"]),
                st.one_of(st.integers(1, 300), st.just(HUGE)),
                hours,
                st.one_of(st.none(), st.none(), key_numbers),
            ),
            min_size=1,
            max_size=4,
        )
    )
    def change(self, batch: Sequence[tuple[int, str, int, int, int | None]]) -> None:
        requests: list[ExtendHold | ReleaseHold] = []
        expected = []
        for number, what, amount, until, key in batch:
            hold_id = self._hold(number)
            change_key = self._key(IDS.new_id("req") if key is None else f"h{key}")
            repeated = change_key in self.reference.changes
            if what in {"more", "longer"}:
                add, expires = (amount, None) if what == "more" else (0, until)
                at = None if expires is None else self._at(expires)
                requests.append(ExtendHold(hold_id, change_key, self.epoch, add, at))
                reason = self.reference.extend(change_key, hold_id, add, expires)
            else:
                let_go = amount if what == "part" else None
                requests.append(ReleaseHold(hold_id, change_key, self.epoch, let_go))
                reason = self.reference.release(change_key, hold_id, let_go)
            expected.append((_outcome(reason, repeated=repeated), reason))
        self._agree(self.holds.change(requests), expected)

    @rule(hour=hours, limit=st.integers(1, 5))
    def expire(self, hour: int, limit: int) -> None:
        assert self.holds.expire(self._at(hour), limit=limit) == self.reference.expire(hour, limit)

    @rule(chosen=st.lists(st.integers(0, 30), min_size=1, max_size=4, unique=True), owed=seldom)
    def reverse(self, chosen: Sequence[int], owed: bool) -> None:
        originals = dict.fromkeys(
            self.transactions[number % len(self.transactions)] if self.transactions and number else IDS.new_id("txn")
            for number in chosen
        )
        results = self.reversals.reverse(
            list(originals), reason="by mistake", occurred_at=self.epoch, ids=IDS, owed=owed
        )
        new_ids = [result.transaction_id or "none" for result in results]
        before = dict(self.reference.reversals)
        expected = self.reference.reverse(list(zip(originals, new_ids, strict=True)), owed=owed)
        assert [result.reason for result in results] == expected
        for result in results:
            if result.reason is None:
                self.transactions.append(str(result.transaction_id))
            elif result.reason is ReasonCode.ALREADY_POSTED:
                assert result.transaction_id == before[result.original_id]

    @rule(name=customers, status=st.sampled_from(AccountStatus))
    def set_status(self, name: str, status: AccountStatus) -> None:
        self.accounts.set_status(self._id(name), status)
        self.reference.accounts[name].status = status.value

    @rule(name=customers)
    def reopen(self, name: str) -> None:
        """Open accounts are where most can happen."""
        self.set_status(name, AccountStatus.OPEN)

    @rule(name=names, limit=st.one_of(st.none(), st.integers(0, 500)))
    def set_limit(self, name: str, limit: int | None) -> None:
        try:
            self.accounts.set_overdraft_limit(self._id(name), limit)
            reason = None
        except Permanent as refusal:
            reason = refusal.reason
        assert reason == self.reference.set_limit(name, limit)

    @invariant()
    def all_balances_agree(self) -> None:
        ids = {self._id(name): name for name in self.reference.accounts}
        assert {
            ids[row.account_id]: (row.total_minor, row.held_minor, row.locked_minor, row.available_minor)
            for row in self.accounts.read_balances(list(ids))
        } == {name: self.reference.standing(name) for name in self.reference.accounts}
        overdrawn = self.database.fetch(
            "SELECT a.account_id, b.overdrawn_minor FROM ledger.accounts AS a JOIN ledger.balances AS b"
            " ON b.account_no = a.account_no AND b.shard = 0 WHERE a.account_id = ANY ($1)",
            list(ids),
        )
        assert {ids[row["account_id"]]: row["overdrawn_minor"] for row in overdrawn} == {
            name: self.reference.overdrawn(name) for name, account in self.reference.accounts.items() if not account.hot
        }

    def teardown(self) -> None:
        if not hasattr(self, "reference"):
            return
        # Due holds of this example must not stay for the sweeps of the next, even when it failed.
        ended = self.holds.expire(self._at(1_000), limit=1_000)
        assert ended == self.reference.expire(1_000, 1_000)
        for hold in self.holds.find(self.hold_ids):
            known = self.reference.holds[hold.hold_id]
            assert (hold.status, hold.amount_minor, hold.remaining_minor, hold.captured_minor) == (
                known.status,
                known.amount,
                known.remaining,
                known.captured,
            )
        rows = self.database.fetch(
            "SELECT DISTINCT transaction_id FROM ledger.journal_entries WHERE account_id = ANY ($1)"
            " AND transaction_id IN (SELECT transaction_id FROM ledger.journal WHERE kind <> 'opening')",
            [self._id(name) for name in self.reference.accounts],
        )
        assert {row["transaction_id"] for row in rows} == set(self.transactions)
        check_holds(self.database)
        assert verify(self.database).clean

    def _post(self, orders: Sequence[Order]) -> None:
        with self.ledger.session() as session:
            results = session.post([self._posting_order(order) for order in orders])
        assert [result.reason for result in results] == self.reference.post(orders)
        self.transactions += [result.transaction_id for result in results if result.reason is None]

    def _posting_order(self, order: Order) -> PostingOrder:
        legs_ = tuple(
            Leg(self._id(name), Direction.DEBIT if amount < 0 else Direction.CREDIT, abs(amount), order.currency)
            for name, amount in order.legs
        )
        posting = Posting(
            transaction_id=order.transaction,
            sequence_id=IDS.new_id("seq"),
            payment_id=IDS.new_id("pay"),
            payment_key=self._key(order.key),
            fingerprint=content_fingerprint(str(order.legs)),
            legs=legs_,
            occurred_at_us=int(self.epoch.timestamp()) * 1_000_000,
            description="Cafe Central",
        )
        return PostingOrder(posting, hold_id=order.hold, final_capture=order.final, owed=order.owed)

    @staticmethod
    def _agree(results: Sequence[HoldResult], expected: Sequence[tuple[HoldOutcome, ReasonCode | None]]) -> None:
        assert [(result.outcome, result.reason) for result in results] == list(expected)

    def _id(self, name: str) -> str:
        kind = "settlement" if name in {"settlement", "fees"} else "customer"
        return f"{kind}:{name}-{self.number}:gbp"

    def _key(self, key: str) -> str:
        return f"{self.number}:{key}"

    def _hold(self, number: int) -> str:
        return self.hold_ids[-1 - number % len(self.hold_ids)] if self.hold_ids else IDS.new_id("hld")

    def _at(self, hour: int) -> datetime:
        return self.epoch + timedelta(hours=hour)


def _outcome(reason: ReasonCode | None, *, repeated: bool) -> HoldOutcome:
    if reason is not None:
        return HoldOutcome.REFUSED
    return HoldOutcome.REPEATED if repeated else HoldOutcome.DONE


@pytest.fixture(scope="module")
def shared_ledger(postgres_server: PostgresServer, module_database: str) -> Iterator[Database]:
    """One database for all examples: no two share an account, a key or a time."""
    with Database(postgres_server.owner_dsn_of(module_database)) as database:
        yield database


@pytest.mark.timeout(900)
def test_whatever_is_asked_the_ledger_does_what_the_reference_does(shared_ledger: Database) -> None:
    LedgerAndReference.database = shared_ledger
    run_state_machine_as_test(
        LedgerAndReference,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            phases=PHASES,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
