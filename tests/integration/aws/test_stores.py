"""What every dedup store, velocity book, reference book and parking lot must do, in memory and on AWS alike."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.builders.payments import CARD_TOKEN, make_account_details
from tests.fakes.system import NOON, FakeClock
from tests.integration.aws.conftest import Cloud

from postrail.adapters.aws.dedup_table import DedupTable
from postrail.adapters.aws.parking_lot import ParkedEventsBucket
from postrail.adapters.aws.reference_table import ReferenceTable
from postrail.adapters.aws.velocity_table import VelocityTable
from postrail.adapters.memory import MemoryDedupStore, MemoryParkingLot, MemoryReferenceBook, MemoryVelocityBook
from postrail.contracts.payment import AccountDetails
from postrail.domain.errors import Permanent, ReasonCode, Retryable
from postrail.ports import (
    CardUse,
    Claim,
    ClaimStatus,
    DedupStore,
    ExchangeRate,
    Marker,
    ParkedEvent,
    ParkingLot,
    ReferenceBook,
    VelocityBook,
)

IMPLEMENTATIONS = ["memory", "aws"]
MakeStore = Callable[[FakeClock], DedupStore]


def claim(key: str, owner: str = "a", fingerprint: str = "f") -> Claim:
    return Claim(payment_key=key, owner=owner, fingerprint=fingerprint, payment_id=f"pay-{owner}")


# --- dedup stores --------------------------------------------------------------------------------------------------


@pytest.fixture(params=IMPLEMENTATIONS)
def make_store(request: pytest.FixtureRequest, cloud: Cloud) -> MakeStore:
    """Stores that share what they remember, as functions share a table; a window of one hour."""
    if request.param == "memory":
        kept: list[DedupStore] = []

        def in_memory(clock: FakeClock) -> DedupStore:
            kept[:] = kept or [MemoryDedupStore(clock=clock, window_hours=1)]
            return kept[0]

        return in_memory
    table = cloud.table("dedup", "payment_key")
    return lambda clock: DedupTable(cloud.client("dynamodb"), table, clock=clock, window_hours=1)


def statuses(store: DedupStore, *claims: Claim) -> list[str]:
    return [result.status.value for result in store.claim(claims)]


def test_free_keys_are_new_and_then_held(make_store: MakeStore) -> None:
    """By owner and fingerprint a held key is a retry, a duplicate or a conflict."""
    clock = FakeClock()
    store = make_store(clock)
    assert statuses(store, claim("key-1"), claim("key-2")) == ["new", "new"]
    again = (claim("key-1"), claim("key-1", owner="b"), claim("key-1", fingerprint="g"), claim("key-2", "b", "g"))
    assert statuses(store, *again) == ["retry", "duplicate", "conflict", "conflict"]


def test_the_marker_that_stands_is_the_first_ones(make_store: MakeStore) -> None:
    """A duplicate is told what came first, and when."""
    clock = FakeClock()
    make_store(clock).claim([claim("key-1")])
    clock.advance(timedelta(minutes=1))
    (result,) = make_store(clock).claim([claim("key-1", owner="b")])
    assert result.marker == Marker("key-1", "a", "f", "pay-a", NOON)


def test_losers_do_not_keep_their_neighbours_from_winning(make_store: MakeStore) -> None:
    """Whatever a batch mixes, each claim gets its own verdict, and what won is held afterwards."""
    store = make_store(FakeClock())
    store.claim([claim("key-1"), claim("key-3")])
    batch = [claim(f"key-{number}", owner="b") for number in range(5)]
    assert statuses(store, *batch) == ["new", "duplicate", "new", "duplicate", "new"]
    assert statuses(store, *batch) == ["retry", "duplicate", "retry", "duplicate", "retry"]


def test_one_key_many_times_in_a_batch_is_judged_in_order(make_store: MakeStore) -> None:
    """The first of the batch leaves its marker to the rest, also the very same claim."""
    store = make_store(FakeClock())
    one = claim("key-1")
    batch = (one, one, claim("key-1", "b"), claim("key-1", "b", "g"), claim("key-1"))
    assert statuses(store, *batch) == ["new", "retry", "duplicate", "conflict", "retry"]


def test_an_expired_key_is_free_though_it_was_not_swept(make_store: MakeStore) -> None:
    """TTL deletes late, by days: the condition does not wait for it."""
    clock = FakeClock()
    store = make_store(clock)
    store.claim([claim("key-1")])
    clock.advance(timedelta(minutes=59))
    assert statuses(store, claim("key-1", "b")) == ["duplicate"]
    clock.advance(timedelta(minutes=2))
    assert statuses(store, claim("key-1", "b")) == ["new"]
    assert statuses(store, claim("key-1", "a")) == ["duplicate"]


def test_batches_may_be_empty_or_larger_than_a_transaction(make_store: MakeStore) -> None:
    """DynamoDB takes a hundred items at a time; callers need not know."""
    store = make_store(FakeClock())
    assert store.claim([]) == []
    many = [claim(f"key-{number}") for number in range(230)]
    assert {result.status for result in store.claim(many)} == {ClaimStatus.NEW}
    assert {result.status for result in store.claim(many)} == {ClaimStatus.RETRY}


class BusyDynamoDB:
    """A client whose transactions collide with somebody else's, a number of times."""

    def __init__(self, client: Any, collisions: int) -> None:
        self._client = client
        self._collisions = collisions
        self.exceptions = client.exceptions

    def transact_write_items(self, **request: Any) -> Any:
        if self._collisions:
            self._collisions -= 1
            response = {
                "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
                "CancellationReasons": [{"Code": "TransactionConflict"} for _ in request["TransactItems"]],
            }
            raise self.exceptions.TransactionCanceledException(response, "TransactWriteItems")
        return self._client.transact_write_items(**request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_colliding_claims_are_made_again_a_bounded_number_of_times(cloud: Cloud) -> None:
    """Two functions may claim one key at one moment: neither lost, both ask again; for ever is too long."""
    table, pauses = cloud.table("dedup", "payment_key"), list[float]()
    busy = BusyDynamoDB(cloud.client("dynamodb"), collisions=2)
    store = DedupTable(busy, table, clock=FakeClock(), window_hours=1, sleep=pauses.append)  # type: ignore[arg-type]
    assert statuses(store, claim("key-1")) == ["new"]
    assert len(pauses) == 2
    jammed = BusyDynamoDB(cloud.client("dynamodb"), collisions=1000)
    store = DedupTable(jammed, table, clock=FakeClock(), window_hours=1, sleep=pauses.append)  # type: ignore[arg-type]
    with pytest.raises(Retryable):
        store.claim([claim("key-2")])


def test_a_table_that_is_missing_is_retryable(cloud: Cloud) -> None:
    """The input is not at fault."""
    store = DedupTable(cloud.client("dynamodb"), "no-such-table", clock=FakeClock(), window_hours=1)
    with pytest.raises(Retryable, match="ResourceNotFound"):
        store.claim([claim("key-1")])


# --- velocity books ------------------------------------------------------------------------------------------------


@pytest.fixture(params=IMPLEMENTATIONS)
def velocity(request: pytest.FixtureRequest, cloud: Cloud) -> VelocityBook:
    if request.param == "memory":
        return MemoryVelocityBook()
    return VelocityTable(cloud.client("dynamodb"), cloud.table("velocity", "pk"))


def use(payment: str, at: datetime = NOON, token: str = CARD_TOKEN) -> CardUse:
    return CardUse(card_token=token, payment_id=payment, at=at)


def test_uses_are_counted_by_card_and_clock_hour(velocity: VelocityBook) -> None:
    """All uses of the batch are recorded before any is counted."""
    later = NOON + timedelta(minutes=60)
    batch = [use("p1"), use("p2"), use("p3", later), use("p4", token="9999990000000019")]
    assert velocity.observe(batch) == [2, 2, 1, 1]
    assert velocity.observe([use("p5", NOON + timedelta(minutes=59))]) == [3]


def test_a_payment_observed_again_is_not_counted_again(velocity: VelocityBook) -> None:
    """Redelivery must not push a card over its limit."""
    assert velocity.observe([use("p1"), use("p1")]) == [1, 1]
    assert velocity.observe([use("p1"), use("p2")]) == [2, 2]


def test_velocity_batches_may_be_empty_or_large(velocity: VelocityBook) -> None:
    assert velocity.observe([]) == []
    many = [use(f"p{number}", token=f"99999900{number:08d}") for number in range(120)]
    assert velocity.observe(many) == [1] * 120


def test_a_hour_is_that_of_utc(velocity: VelocityBook) -> None:
    """13:30 in India is 08:00 UTC: offsets do not make hours of their own."""
    abroad = datetime.fromisoformat("2026-10-01T17:30:00+05:30")
    assert velocity.observe([use("p1"), use("p2", abroad)]) == [2, 2]


def test_colliding_counts_are_recorded_one_by_one(cloud: Cloud) -> None:
    """A transaction that meets another is cancelled whole; single updates wait for each other."""
    busy = BusyDynamoDB(cloud.client("dynamodb"), collisions=1)
    book = VelocityTable(busy, cloud.table("velocity", "pk"))  # type: ignore[arg-type]
    assert book.observe([use("p1"), use("p2")]) == [2, 2]


# --- reference books -----------------------------------------------------------------------------------------------

RATE = ExchangeRate("EUR", "GBP", Decimal("0.8600"), date(2026, 10, 1), "issuer-daily")


def put_reference(cloud: Cloud, table: str, token: str = CARD_TOKEN, account: AccountDetails | None = None) -> None:
    text = (account or make_account_details()).model_dump_json()
    cloud.client("dynamodb").put_item(TableName=table, Item={"pk": {"S": f"CARD#{token}"}, "account": {"S": text}})


def put_rate(cloud: Cloud, table: str) -> None:
    item = {
        "pk": {"S": "RATE#EUR#GBP"},
        "rate": {"S": "0.8600"},
        "day": {"S": "2026-10-01"},
        "publisher": {"S": "issuer-daily"},
    }
    cloud.client("dynamodb").put_item(TableName=table, Item=item)


@pytest.fixture(params=IMPLEMENTATIONS)
def reference(request: pytest.FixtureRequest, cloud: Cloud) -> ReferenceBook:
    """A book that knows one card and one rate."""
    if request.param == "memory":
        return MemoryReferenceBook({CARD_TOKEN: make_account_details()}, [RATE])
    table = cloud.table("reference", "pk")
    put_reference(cloud, table)
    put_rate(cloud, table)
    return ReferenceTable(cloud.client("dynamodb"), table, cache_seconds=60)


def test_known_cards_and_rates_are_found_and_unknown_ones_absent(reference: ReferenceBook) -> None:
    """Also when asked again, from the cache; and the absent stay absent."""
    for _ in range(2):
        assert reference.accounts_by_token([CARD_TOKEN, "9999990000000019"]) == {CARD_TOKEN: make_account_details()}
        assert reference.rates([("EUR", "GBP"), ("GBP", "EUR")]) == {("EUR", "GBP"): RATE}
    assert reference.accounts_by_token([]) == {}
    assert reference.rates([]) == {}


def test_more_keys_than_a_request_takes(reference: ReferenceBook) -> None:
    """BatchGetItem takes a hundred keys."""
    tokens = [f"99999900{number:08d}" for number in range(150)]
    assert reference.accounts_by_token([*tokens, CARD_TOKEN]).keys() == {CARD_TOKEN}


def test_answers_are_kept_for_their_time_and_absence_for_less(cloud: Cloud) -> None:
    """A card that was just opened must work within seconds; an account that changed, within the cache's time."""
    table, now = cloud.table("reference", "pk"), [0.0]
    book = ReferenceTable(cloud.client("dynamodb"), table, cache_seconds=60, monotonic=lambda: now[0])
    assert book.accounts_by_token([CARD_TOKEN]) == {}
    put_reference(cloud, table)
    assert book.accounts_by_token([CARD_TOKEN]) == {}
    now[0] = 6.0
    assert CARD_TOKEN in book.accounts_by_token([CARD_TOKEN])
    put_reference(cloud, table, account=make_account_details(status="closed"))
    now[0] = 65.0
    assert book.accounts_by_token([CARD_TOKEN])[CARD_TOKEN].status == "open"
    now[0] = 67.0
    assert book.accounts_by_token([CARD_TOKEN])[CARD_TOKEN].status == "closed"


def test_the_cache_is_bounded(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function lives for hours and sees millions of cards."""
    monkeypatch.setattr("postrail.adapters.aws.reference_table._CACHE_ENTRIES_MAX", 10)
    book = ReferenceTable(cloud.client("dynamodb"), cloud.table("reference", "pk"), cache_seconds=60)
    book.accounts_by_token([f"99999900{number:08d}" for number in range(150)])
    assert len(book._cache) == 10


def test_an_entry_that_cannot_be_read_says_so_without_the_card(cloud: Cloud) -> None:
    """It belongs to one payment, which goes to the dead letters; its neighbours do not."""
    table = cloud.table("reference", "pk")
    item = {"pk": {"S": f"CARD#{CARD_TOKEN}"}, "account": {"S": "{}"}}
    cloud.client("dynamodb").put_item(TableName=table, Item=item)
    book = ReferenceTable(cloud.client("dynamodb"), table, cache_seconds=60)
    with pytest.raises(Permanent) as caught:
        book.accounts_by_token([CARD_TOKEN])
    assert CARD_TOKEN not in str(caught.value)


class PartialDynamoDB:
    """A client that leaves the last key of each BatchGetItem unprocessed, a number of times."""

    def __init__(self, client: Any, times: int) -> None:
        self._client = client
        self._times = times
        self.exceptions = client.exceptions

    def batch_get_item(self, **request: Any) -> Any:
        ((table, wanted),) = request["RequestItems"].items()
        if not self._times:
            return self._client.batch_get_item(**request)
        self._times -= 1
        done, left = wanted["Keys"][:-1], wanted["Keys"][-1:]
        rest = {"UnprocessedKeys": {table: wanted | {"Keys": left}}}
        if not done:
            return {"Responses": {table: []}} | rest
        return self._client.batch_get_item(RequestItems={table: wanted | {"Keys": done}}) | rest

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_unprocessed_keys_are_asked_for_again_a_bounded_number_of_times(cloud: Cloud) -> None:
    """A throttled table answers in part; the rest must not look like unknown cards."""
    table, pauses = cloud.table("reference", "pk"), list[float]()
    put_reference(cloud, table)
    partial = PartialDynamoDB(cloud.client("dynamodb"), times=2)
    book = ReferenceTable(partial, table, cache_seconds=60, sleep=pauses.append)  # type: ignore[arg-type]
    assert CARD_TOKEN in book.accounts_by_token(["9999990000000019", CARD_TOKEN])
    assert len(pauses) == 2
    jammed = PartialDynamoDB(cloud.client("dynamodb"), times=1000)
    book = ReferenceTable(jammed, table, cache_seconds=60, sleep=pauses.append)  # type: ignore[arg-type]
    with pytest.raises(Retryable):
        book.accounts_by_token([CARD_TOKEN])


# --- parking lots --------------------------------------------------------------------------------------------------


@pytest.fixture(params=IMPLEMENTATIONS)
def parking_lot(request: pytest.FixtureRequest, cloud: Cloud) -> ParkingLot:
    if request.param == "memory":
        return MemoryParkingLot()
    return ParkedEventsBucket(cloud.client("s3"), cloud.bucket("parked-events"))


def parked(owner: str = "b", minutes: int = 1) -> ParkedEvent:
    return ParkedEvent(
        payment_id="pay_2",
        owner=owner,
        reason=ReasonCode.DUPLICATE,
        body=b'{"a": 1}',
        first=Marker("key-1", "a", "f", "pay_1", NOON),
        parked_at=NOON + timedelta(minutes=minutes),
    )


def test_parking_twice_keeps_one(parking_lot: ParkingLot) -> None:
    """Also when midnight lies between; another owner's copy is another event."""
    (first,) = parking_lot.park([parked()])
    assert parking_lot.park([parked(minutes=24 * 60)]) == [first]
    assert parking_lot.park([parked(owner="c")]) != [first]


def test_the_parked_document_tells_reason_first_marker_and_body(cloud: Cloud) -> None:
    """What a person needs to decide."""
    bucket = cloud.bucket("parked-events")
    (uri,) = ParkedEventsBucket(cloud.client("s3"), bucket).park([parked()])
    key = uri.removeprefix(f"s3://{bucket}/")
    assert key.startswith("DUPLICATE/2026/10/01/pay_2-")
    document = json.loads(cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    assert (document["reason"], document["first"]["payment_id"], document["body"]) == ("DUPLICATE", "pay_1", '{"a": 1}')
    assert datetime.fromisoformat(document["first"]["seen_at"]) == NOON.astimezone(UTC)
