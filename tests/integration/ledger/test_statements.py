"""Statements and past balances of a real ledger against sums that Python makes from the journal's rows."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.builders.payments import CARD_TOKEN, make_approved, make_authorization
from tests.integration.conftest import PostgresServer
from tests.integration.ledger.support import (
    ACCOUNTS,
    ADA,
    BEN,
    IDS,
    MARKUP,
    SETTLEMENT,
    credit,
    debit,
    make_order,
    open_accounts,
    post_orders,
    with_posting,
)

from postrail.adapters.postgres import statements as reader_module
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.statements import PostgresStatements
from postrail.batch.documents import pack_documents, write_document
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.posting import Leg, pair
from postrail.domain.statement import Period, StatementLine, TimeBasis
from postrail.iso20022.camt054 import CardPayment
from postrail.ports import PostingOrder, PostStatus

OCCURRED_FROM = datetime(2026, 9, 1, tzinfo=UTC)
PAYMENTS = 60
ALWAYS = Period(datetime(2020, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC))


@dataclass(frozen=True)
class Row:
    """One entry as it stands in the journal."""

    account_id: str
    amount_minor: int
    occurred_at: datetime
    recorded_at: datetime

    def at(self, by: TimeBasis) -> datetime:
        return self.recorded_at if by is TimeBasis.RECORDED else self.occurred_at


@dataclass(frozen=True)
class Books:
    """A ledger with payments in it, and all its entries."""

    statements: PostgresStatements
    rows: list[Row]

    def lines(
        self, account_id: str, period: Period, by: TimeBasis, known_at: datetime | None = None
    ) -> list[StatementLine]:
        with self.statements.statement(account_id, period, by, known_at=known_at) as statement:
            return list(statement.lines())


def draw_legs(source: random.Random) -> tuple[Leg, ...]:
    """A purchase, a refund, or a purchase with a fee beside it."""
    customer, amount = source.choice([ADA, BEN]), source.randrange(1, 5_000)
    shape = source.randrange(3)
    if shape == 0:
        return pair(SETTLEMENT, customer, amount, "GBP")
    fee = pair(customer, MARKUP, source.randrange(1, 50), "GBP") if shape == 1 else ()
    return (*pair(customer, SETTLEMENT, amount, "GBP"), *fee)


@pytest.fixture(scope="module")
def books(postgres_server: PostgresServer, module_database: str) -> Iterator[Books]:
    """Sixty payments of three weeks, in the order in which they came in, which is not that in which they happened."""
    source = random.Random(20_261_120)
    with Database(postgres_server.owner_dsn_of(module_database)) as database:
        open_accounts(database)
        ledger = PostgresLedger(database)
        for _ in range(PAYMENTS // 4):
            orders = []
            for _ in range(4):
                # Whole days, so that several entries happen at the very same instant.
                at = OCCURRED_FROM + timedelta(days=source.randrange(21))
                orders.append(
                    with_posting(make_order(*draw_legs(source)), occurred_at_us=int(at.timestamp() * 1_000_000))
                )
            assert all(result.status is PostStatus.POSTED for result in post_orders(ledger, *orders))
        rows = [
            Row(row["account_id"], row["amount_minor"], row["occurred_at"], row["recorded_at"])
            for row in database.fetch("SELECT * FROM ledger.journal_entries")
        ]
        yield Books(PostgresStatements(database), rows)


accounts = st.sampled_from([spec.account_id for spec in ACCOUNTS])
bases = st.sampled_from(TimeBasis)
checked = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def instants(draw: st.DrawFn, books: Books) -> datetime:
    """An instant that means something to the journal: one of its own, one just beside it, or any."""
    row = draw(st.sampled_from(books.rows))
    own = draw(st.sampled_from([row.occurred_at, row.recorded_at]))
    return own + timedelta(microseconds=draw(st.sampled_from([-1, 0, 0, 1, 3_600_000_000])))


@checked
@given(data=st.data(), account_id=accounts)
def test_a_past_balance_is_the_sum_of_the_entries_up_to_then(
    books: Books, data: st.DataObject, account_id: str
) -> None:
    """On either time, on both, on none; the instant itself counts."""
    occurred = data.draw(st.none() | instants(books))
    recorded = data.draw(st.none() | instants(books))
    found = books.statements.balance_at(account_id, occurred_until=occurred, recorded_until=recorded)
    expected = [
        row.amount_minor
        for row in books.rows
        if row.account_id == account_id
        and (occurred is None or row.occurred_at <= occurred)
        and (recorded is None or row.recorded_at <= recorded)
    ]
    assert (found.total_minor, found.entry_count) == (sum(expected), len(expected))


@pytest.mark.parametrize("by", TimeBasis)
def test_an_instant_is_included_in_what_is_known_and_balanced_at_it(books: Books, by: TimeBasis) -> None:
    """At every instant of an entry, and a microsecond before it."""
    own = [row for row in books.rows if row.account_id == ADA]
    option = "recorded_until" if by is TimeBasis.RECORDED else "occurred_until"
    for instant in {row.at(by) for row in own}:
        for at in (instant, instant - timedelta(microseconds=1)):
            expected = sum(row.amount_minor for row in own if row.at(by) <= at)
            assert books.statements.balance_at(ADA, **{option: at}).total_minor == expected
            if by is TimeBasis.RECORDED:
                with books.statements.statement(ADA, ALWAYS, known_at=at) as statement:
                    assert statement.closing_minor == sum(line.entry.amount_minor for line in statement.lines())
                    assert statement.closing_minor == expected


@checked
@given(data=st.data(), account_id=accounts, by=bases)
def test_a_statement_is_the_entries_of_its_period(
    books: Books, data: st.DataObject, account_id: str, by: TimeBasis
) -> None:
    """Opening is the sum before the period, closing is opening and the lines, the end is excluded."""
    start, end = sorted({data.draw(instants(books)), data.draw(instants(books)) + timedelta(seconds=1)})[:2]
    known_at = data.draw(st.none() | instants(books))
    known = [
        row for row in books.rows if row.account_id == account_id and (known_at is None or row.recorded_at <= known_at)
    ]
    with books.statements.statement(account_id, Period(start, end), by, known_at=known_at) as statement:
        lines = list(statement.lines())
    assert statement.opening_minor == sum(row.amount_minor for row in known if row.at(by) < start)
    assert statement.closing_minor == sum(row.amount_minor for row in known if row.at(by) < end)
    inside = sorted((row.at(by), row.amount_minor) for row in known if start <= row.at(by) < end)
    assert sorted((_at(line, by), line.entry.amount_minor) for line in lines) == inside
    assert [_at(line, by) for line in lines] == sorted(_at(line, by) for line in lines)


@checked
@given(data=st.data(), account_id=accounts, by=bases)
def test_two_periods_put_together_are_the_period_of_both(
    books: Books, data: st.DataObject, account_id: str, by: TimeBasis
) -> None:
    """[a, b) and [b, c) are [a, c), line by line, balances included."""
    drawn = st.lists(instants(books), min_size=3, max_size=3, unique=True)
    start, middle, end = sorted(data.draw(drawn))
    whole = books.lines(account_id, Period(start, end), by)
    parts = [books.lines(account_id, period, by) for period in (Period(start, middle), Period(middle, end))]
    assert [*parts[0], *parts[1]] == whole


def _at(line: StatementLine, by: TimeBasis) -> datetime:
    return line.entry.recorded_at if by is TimeBasis.RECORDED else line.entry.occurred_at


def test_every_line_names_its_counter_account(books: Books) -> None:
    """A fee beside a purchase has the account of the fee."""
    for line in books.lines(ADA, ALWAYS, TimeBasis.RECORDED):
        expected = {"opening": {"equity:opening:gbp"}}.get(line.entry.kind, {SETTLEMENT, MARKUP})
        assert len(line.entry.counter_accounts) == 1
        assert set(line.entry.counter_accounts) <= expected


def test_a_statement_of_many_pages_is_whole(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of seven lines give what one page gives."""
    whole = books.lines(SETTLEMENT, ALWAYS, TimeBasis.OCCURRED)
    small = {**reader_module._SQL, "fetch_lines": "FETCH FORWARD 7 FROM statement_lines"}
    monkeypatch.setattr(reader_module, "_SQL", small)
    assert len(whole) > 14
    assert books.lines(SETTLEMENT, ALWAYS, TimeBasis.OCCURRED) == whole


def test_a_statement_is_of_one_instant_while_others_post(postgres_dsn: str) -> None:
    """What is committed between its head and its lines is not in it, and it adds up."""
    with Database(postgres_dsn) as reading, Database(postgres_dsn) as writing:
        open_accounts(writing)
        ledger = PostgresLedger(writing)
        post_orders(ledger, make_order())
        with PostgresStatements(reading).statement(ADA, ALWAYS) as statement:
            post_orders(ledger, make_order())
            lines = list(statement.lines())
        assert len(lines) == 2
        with PostgresStatements(reading).statement(ADA, ALWAYS) as statement:
            assert len(list(statement.lines())) == 3


def test_balances_now_tell_what_is_held(books: Books) -> None:
    """Nothing is held here, so all of it is available."""
    now = books.statements.balance_now(ADA)
    expected = sum(row.amount_minor for row in books.rows if row.account_id == ADA)
    assert (now.total_minor, now.held_minor, now.locked_minor, now.available_minor) == (expected, 0, 0, expected)


def test_a_hot_account_has_one_balance(books: Books) -> None:
    """However many shards it is kept in."""
    expected = sum(row.amount_minor for row in books.rows if row.account_id == SETTLEMENT)
    assert books.statements.balance_now(SETTLEMENT).total_minor == expected


@pytest.mark.parametrize("name", ["balance_now", "balance_at"])
def test_an_unknown_account_is_refused(books: Books, name: str) -> None:
    with pytest.raises(Permanent) as caught:
        getattr(books.statements, name)("customer:nobody:gbp")
    assert caught.value.reason is ReasonCode.ACCOUNT_NOT_FOUND


def test_a_notification_goes_to_the_customer_with_what_the_booking_tells(
    ledger: PostgresLedger, database: Database
) -> None:
    """By payment or by transaction; the IBAN comes from the booking's message."""
    open_accounts(database)
    order = make_order(*pair(ADA, SETTLEMENT, 2_193, "GBP"), *pair(ADA, MARKUP, 60, "GBP"))
    (result,) = post_orders(ledger, order)
    reader = PostgresStatements(database)
    by_payment = reader.notification(order.posting.payment_id)
    assert by_payment == reader.notification(str(result.transaction_id))
    (notice,) = by_payment.notices
    assert notice.account.account_id == ADA
    assert notice.account.iban is not None
    assert [(entry.amount_minor, entry.counter_accounts) for entry in notice.entries] == [
        (-2_193, (SETTLEMENT,)),
        (-60, (MARKUP,)),
    ]
    assert notice.entries[0].transaction_type == "00"
    assert by_payment.payment is not None
    assert by_payment.payment.authorization.card.token == CARD_TOKEN


def test_a_payment_of_a_batch_run_is_told_from_its_chunk(ledger: PostgresLedger, database: Database) -> None:
    """Its booking is no row of the ledger: it lies with the documents of its chunk."""
    pytest.importorskip("zstandard")
    open_accounts(database)
    order = make_order()
    approved = make_approved(make_authorization(payment_id=order.posting.payment_id))
    post_orders(ledger, PostingOrder(order.posting))
    document = write_document(
        {
            "line": 1,
            "payment_id": order.posting.payment_id,
            "transaction_id": order.posting.transaction_id,
            "authorization": approved.authorization.model_dump(mode="json"),
            "message": approved.message,
        }
    )
    packed, size = pack_documents([document])
    run_id = f"run_{'0' * 32}"
    database.execute(
        "INSERT INTO audit.batch_runs (run_id, source, content_sha256, size_bytes, partitions, chunk_size, started_at)"
        " VALUES ($1, 'a test', $2, 1, 1, 1, now())",
        run_id,
        "0" * 64,
    )
    database.execute(
        "INSERT INTO audit.batch_chunks (run_id, partition, chunk_no, first_line, last_line, lines, posted, duplicates,"
        " conflicts, rejected, referred, malformed, failed, batch_id, refused, documents, documents_size_bytes)"
        " SELECT $1, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, max(batch_id), '[]', $2, $3 FROM ledger.batches",
        run_id,
        packed,
        size,
    )
    found = PostgresStatements(database).notification(order.posting.payment_id)
    assert found.payment == CardPayment.of(approved.authorization, approved.message)
    assert found.notices[0].account.iban == found.payment.iban


def test_a_notification_of_another_account_is_that_account_alone(ledger: PostgresLedger, database: Database) -> None:
    open_accounts(database)
    order = make_order()
    post_orders(ledger, order)
    reader = PostgresStatements(database)
    (notice,) = reader.notification(order.posting.payment_id, SETTLEMENT).notices
    assert (notice.account.account_id, notice.entries[0].amount_minor) == (SETTLEMENT, 1_000)
    with pytest.raises(Permanent) as caught:
        reader.notification(order.posting.payment_id, BEN)
    assert caught.value.reason is ReasonCode.ACCOUNT_NOT_FOUND


def test_a_payment_that_was_reversed_is_notified_with_its_reversal(ledger: PostgresLedger, database: Database) -> None:
    open_accounts(database)
    order = make_order()
    (result,) = post_orders(ledger, order)
    database.fetch(
        "SELECT * FROM ledger.reverse(ARRAY[$1::text::uuid], ARRAY[$2::text::uuid], ARRAY['Taken back'],"
        " ARRAY[now()], 'run')",
        str(result.transaction_id)[4:],
        IDS.new_id("txn")[4:],
    )
    (notice,) = PostgresStatements(database).notification(order.posting.payment_id).notices
    assert [(entry.kind, entry.amount_minor, entry.reverses) for entry in notice.entries] == [
        ("payment", -1_000, None),
        ("reversal", 1_000, result.transaction_id),
    ]


def test_an_internal_transfer_notifies_every_account(ledger: PostgresLedger, database: Database) -> None:
    """There is no customer whom it touched."""
    open_accounts(database)
    order = make_order(debit(SETTLEMENT, 70), credit(MARKUP, 70))
    post_orders(ledger, order)
    notices = PostgresStatements(database).notification(order.posting.payment_id).notices
    assert [notice.account.account_id for notice in notices] == sorted([SETTLEMENT, MARKUP])


@pytest.mark.parametrize(
    ("identifier", "reason"),
    [
        ("pay_" + "0" * 32, ReasonCode.TRANSACTION_NOT_FOUND),
        ("txn_" + "0" * 32, ReasonCode.TRANSACTION_NOT_FOUND),
        ("seq_" + "0" * 32, ReasonCode.INVALID_VALUE),
        ("pay_", ReasonCode.INVALID_VALUE),
        ("", ReasonCode.INVALID_VALUE),
    ],
)
def test_what_is_not_in_the_journal_cannot_be_notified(books: Books, identifier: str, reason: ReasonCode) -> None:
    with pytest.raises(Permanent) as caught:
        books.statements.notification(identifier)
    assert caught.value.reason is reason
