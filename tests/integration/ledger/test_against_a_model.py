"""Random deliveries of parts, judged by a model that is small enough to be believed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.conftest import PostgresServer
from tests.integration.ledger.support import SETTLEMENT, Part, account, balance, make_parts, open_accounts, run_engine

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.verify import verify
from postrail.domain.errors import ReasonCode
from postrail.domain.ledger import AccountStatus

PAYERS = ("ada", "ben", "closed")


@dataclass(frozen=True)
class Plan:
    """A payment to come: who pays, the amounts of its parts, and which of a few keys it carries."""

    payer: str
    amounts: tuple[int, ...]
    key: int


@dataclass(frozen=True)
class Delivery:
    """One part of one plan, as planned or with its amount changed by one."""

    plan: int
    part: int
    contradicts: bool


@dataclass
class Model:
    """What must come of the deliveries, one after the other."""

    moved: dict[str, int] = field(default_factory=dict)
    keys: dict[int, tuple[int, ...]] = field(default_factory=dict)
    kept: dict[int, dict[int, bool]] = field(default_factory=dict)
    closed: dict[int, ReasonCode | None] = field(default_factory=dict)

    def receive(self, deliveries: Sequence[Delivery], plans: Sequence[Plan]) -> None:
        """One batch: parts are judged first, then the sequences that are complete are posted."""
        touched = sorted({delivery.plan for delivery in deliveries if delivery.plan not in self.closed})
        for delivery in deliveries:
            if delivery.plan in self.closed:
                continue
            kept = self.kept.setdefault(delivery.plan, {})
            if kept.setdefault(delivery.part, delivery.contradicts) != delivery.contradicts:
                self.closed[delivery.plan] = ReasonCode.SEQUENCE_INCONSISTENT
        for number in touched:
            if number not in self.closed and len(self.kept[number]) == len(plans[number].amounts):
                self._post(number, plans[number])

    def _post(self, number: int, plan: Plan) -> None:
        content = (*plan.amounts,)
        amounts = [amount + self.kept[number][place] for place, amount in enumerate(plan.amounts)]
        if plan.key in self.keys:
            same = self.keys[plan.key] == content
            self.closed[number] = ReasonCode.ALREADY_POSTED if same else ReasonCode.POSTING_CONFLICT
        elif plan.payer == "closed":
            self.closed[number] = ReasonCode.ACCOUNT_NOT_OPEN
        else:
            self.closed[number] = None
            self.keys[plan.key] = content
            self.moved[plan.payer] = self.moved.get(plan.payer, 0) - sum(amounts)


@pytest.fixture(scope="module")
def shared_ledger(postgres_server: PostgresServer, module_database: str) -> Iterator[Database]:
    """One database for all examples."""
    with Database(postgres_server.owner_dsn_of(module_database)) as database:
        yield database


@st.composite
def scenarios(draw: st.DrawFn) -> tuple[list[Plan], list[list[Delivery]]]:
    """Some plans, and batches of deliveries of their parts: shuffled, repeated, some contradicting."""
    plan = st.builds(
        Plan,
        payer=st.sampled_from(PAYERS),
        amounts=st.lists(st.integers(1, 50), min_size=1, max_size=3).map(tuple),
        key=st.integers(0, 3),
    )
    plans = draw(st.lists(plan, min_size=1, max_size=5))
    places = [(number, part) for number, one in enumerate(plans) for part in range(len(one.amounts))]
    delivery = st.builds(
        lambda place, odd: Delivery(*place, contradicts=odd == 0), st.sampled_from(places), st.integers(0, 9)
    )
    return plans, draw(st.lists(st.lists(delivery, min_size=1, max_size=6), min_size=1, max_size=8))


@dataclass(frozen=True)
class World:
    """Accounts, payments and keys of one example: no two examples share any, so all can share a database."""

    number: int

    def account(self, payer: str) -> str:
        return f"customer:{payer}-{self.number}:gbp"

    def payment(self, plan: int) -> str:
        return f"pay_{self.number:016x}{plan:016x}"

    def open_accounts(self, database: Database) -> None:
        statuses = {"closed": AccountStatus.CLOSED}
        specs = [account(self.account(payer), statuses.get(payer, AccountStatus.OPEN)) for payer in PAYERS]
        open_accounts(database, [*specs, account(SETTLEMENT)])

    def part(self, plan: Plan, delivery: Delivery) -> Part:
        payer = self.account(plan.payer)
        planned = make_parts([(payer, SETTLEMENT, amount) for amount in plan.amounts])
        amounts = [amount + (delivery.contradicts and at == delivery.part) for at, amount in enumerate(plan.amounts)]
        parts = make_parts(
            [(payer, SETTLEMENT, amount) for amount in amounts],
            payment=self.payment(delivery.plan),
            key=f"key:{self.number}-{plan.key}",
            fingerprint=planned[0].data.fingerprint,
            correlation_id=self.run,
        )
        return parts[delivery.part]

    @property
    def run(self) -> str:
        return f"run-of-example-{self.number}"


_numbers = count(1)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenario=scenarios())
def test_whatever_arrives_the_ledger_does_what_the_model_says(
    shared_ledger: Database, scenario: tuple[list[Plan], list[list[Delivery]]]
) -> None:
    plans, batches = scenario
    world, model = World(next(_numbers)), Model()
    world.open_accounts(shared_ledger)
    for batch in batches:
        model.receive(batch, plans)
        run_engine(PostgresLedger(shared_ledger), [world.part(plans[one.plan], one) for one in batch])
    rows = shared_ledger.fetch(
        "SELECT payment_id, status, reason FROM ledger.posting_sequences WHERE correlation_id = $1 ORDER BY payment_id",
        world.run,
    )
    assert [tuple(row) for row in rows] == [
        (
            world.payment(plan),
            "waiting" if plan not in model.closed else "refused" if model.closed[plan] else "posted",
            model.closed.get(plan),
        )
        for plan in sorted(model.kept)
    ]
    for payer in PAYERS:
        assert balance(shared_ledger, world.account(payer)) == model.moved.get(payer, 0)
    assert verify(shared_ledger).clean
