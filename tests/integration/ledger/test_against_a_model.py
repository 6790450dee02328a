"""Random deliveries of parts, judged by a model that is small enough to be believed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.integration.conftest import PostgresServer
from tests.integration.ledger.support import ADA, BEN, CLOSED, SETTLEMENT, Part, make_parts, open_accounts, run_engine

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.verify import verify
from postrail.domain.errors import ReasonCode

PAYERS = (ADA, BEN, CLOSED)


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
        elif plan.payer == CLOSED:
            self.closed[number] = ReasonCode.ACCOUNT_NOT_OPEN
        else:
            self.closed[number] = None
            self.keys[plan.key] = content
            self.moved[plan.payer] = self.moved.get(plan.payer, 0) - sum(amounts)


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


def _part(plan: Plan, delivery: Delivery, payment: str, place: str) -> Part:
    amounts = [amount + (delivery.contradicts and at == delivery.part) for at, amount in enumerate(plan.amounts)]
    planned = make_parts([(plan.payer, SETTLEMENT, amount) for amount in plan.amounts])
    parts = make_parts(
        [(plan.payer, SETTLEMENT, amount) for amount in amounts],
        payment=payment,
        key=f"key:{place}-{plan.key}",
        fingerprint=planned[0].data.fingerprint,
    )
    return parts[delivery.part]


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(scenario=scenarios())
def test_whatever_arrives_the_ledger_does_what_the_model_says(
    postgres_server: PostgresServer, migrated_template: str, scenario: tuple[list[Plan], list[list[Delivery]]]
) -> None:
    plans, batches = scenario
    name = postgres_server.create_database(migrated_template)
    try:
        with Database(postgres_server.owner_dsn_of(name)) as database:
            _play(database, plans, batches)
    finally:
        postgres_server.drop_database(name)


def _play(database: Database, plans: Sequence[Plan], batches: Sequence[Sequence[Delivery]]) -> None:
    open_accounts(database)
    ledger, model = PostgresLedger(database), Model()
    payments = [f"pay_{number:032x}" for number in range(1, len(plans) + 1)]
    for batch in batches:
        model.receive(batch, plans)
        run_engine(ledger, [_part(plans[one.plan], one, payments[one.plan], "run") for one in batch])
    rows = database.fetch("SELECT payment_id, status, reason FROM ledger.posting_sequences ORDER BY payment_id")
    expected = [
        (
            payments[number],
            "waiting" if number not in model.closed else "refused" if model.closed[number] else "posted",
            model.closed.get(number),
        )
        for number in sorted(model.kept)
    ]
    assert [tuple(row) for row in rows] == expected
    balances = database.fetch(
        "SELECT account_id, sum(amount_minor)::bigint AS moved FROM ledger.entries JOIN ledger.journal_transactions"
        " USING (transaction_id) WHERE kind = 'payment' AND amount_minor < 0 GROUP BY account_id"
    )
    assert {row["account_id"]: row["moved"] for row in balances} == model.moved
    assert verify(database).clean
