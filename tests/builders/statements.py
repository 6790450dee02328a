"""Makes statements for tests: entries on one account, and Hypothesis strategies of the same."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from tests.builders.strategies import currencies, instants

from postrail.domain.ids import format_uuid7
from postrail.domain.ledger import AccountType
from postrail.domain.statement import (
    Period,
    Statement,
    StatementAccount,
    StatementEntry,
    TimeBasis,
    turnover_of,
)

PERIOD = Period(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
CUSTOMER = StatementAccount("customer:000123:gbp", AccountType.CUSTOMER, "GBP", "Ada Lovelace")


def make_entry(**overrides: Any) -> StatementEntry:
    """A purchase of 21.93 on the second of October."""
    fields: dict[str, Any] = {
        "transaction_id": "txn_0197f0a0c0de7abc8def0123456789ab",
        "leg_no": 1,
        "kind": "payment",
        "payment_id": "pay_0197f0a0c0de7abc8def0123456789ff",
        "reverses": None,
        "transaction_type": "00",
        "counter_accounts": ("settlement:scheme:gbp",),
        "description": "Cafe Central, Paris",
        "occurred_at": datetime(2026, 10, 2, 9, 15, 31, tzinfo=UTC),
        "recorded_at": datetime(2026, 10, 2, 9, 15, 33, 250_000, tzinfo=UTC),
        "amount_minor": -2_193,
    }
    return StatementEntry(**fields | overrides)


def make_statement(entries: Sequence[StatementEntry] = (), **overrides: Any) -> Statement:
    """A customer's statement of October, opening with 1,000.00."""
    fields: dict[str, Any] = {
        "account": CUSTOMER,
        "period": PERIOD,
        "by": TimeBasis.RECORDED,
        "opening_minor": 100_000,
        "turnover": turnover_of(entry.amount_minor for entry in entries),
        "entries": tuple(entries),
    }
    return Statement(**fields | overrides)


def _id(prefix: str) -> st.SearchStrategy[str]:
    return st.builds(format_uuid7, st.just(prefix), st.integers(0, 2**48 - 1), st.integers(0, 2**80 - 1))


account_ids = st.from_regex(r"\A[a-z0-9][a-z0-9:_-]{2,63}\Z")
# At most 2^53 a line, so that a statement of some lines stays within 18 digits.
amounts = st.integers(-(2**53), 2**53).filter(bool)
entries = st.builds(
    StatementEntry,
    transaction_id=_id("txn"),
    leg_no=st.integers(1, 62),
    kind=st.sampled_from(["payment", "opening", "reversal", "adjustment"]),
    payment_id=st.none() | _id("pay"),
    reverses=st.none() | _id("txn"),
    transaction_type=st.sampled_from([None, "00", "01", "09", "20"]),
    counter_accounts=st.lists(account_ids, max_size=3, unique=True).map(tuple),
    description=st.text(max_size=600),
    occurred_at=instants,
    recorded_at=instants,
    amount_minor=amounts,
)


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    """Any statement: any account, currency and period, up to eight entries."""
    made = draw(st.lists(entries, max_size=8))
    start = draw(instants)
    return Statement(
        account=StatementAccount(
            draw(account_ids),
            draw(st.sampled_from(AccountType)),
            draw(currencies),
            draw(st.text(max_size=90)),
            draw(st.none() | st.just("GB33BUKB20201555555555")),
        ),
        period=Period(start, start + draw(st.timedeltas(timedelta(microseconds=1), timedelta(days=400)))),
        by=draw(st.sampled_from(TimeBasis)),
        opening_minor=draw(amounts),
        turnover=turnover_of(entry.amount_minor for entry in made),
        entries=tuple(made),
    )
