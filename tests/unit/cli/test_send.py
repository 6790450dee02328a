"""The two doors: batches, what is sent again, and the pace."""

import json
from itertools import pairwise

import pytest

from postrail.cli.failures import CommandError
from postrail.cli.inputs import Payment, sampled_payments
from postrail.cli.send import BusDoor, TableDoor, refuse_known, send_all
from postrail.contracts.events import Event, PaymentAuthorized


def _payments(count):
    return [Payment(f"pay_{number}", {"payment_id": f"pay_{number}", "number": number}) for number in range(count)]


class FakeTime:
    """A clock that moves by sleeping, and by `cost` with every call that a door makes."""

    def __init__(self):
        self.now = 1_000.0

    def wall(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class FakeDoor:
    def __init__(self, time, *, batch_max=25, cost=0.0):
        self.time, self.batch_max, self.cost, self.calls = time, batch_max, cost, []

    def send(self, payments):
        self.calls.append((self.time.now, [payment.payment_id for payment in payments]))
        self.time.now += self.cost
        return {}


class FakeEvents:
    """PutEvents that refuses chosen details a number of times."""

    def __init__(self, refusals):
        self.refusals, self.requests, self.taken = refusals, [], []

    def put_events(self, Entries):  # noqa: N803 - boto3's spelling
        self.requests.append(Entries)
        answers = []
        for entry in Entries:
            number = json.loads(entry["Detail"])["data"]["authorization"]["number"]
            if self.refusals.get(number, 0) > 0:
                self.refusals[number] -= 1
                answers.append({"ErrorCode": "ThrottlingException"})
            else:
                self.taken.append(number)
                answers.append({"EventId": "x"})
        return {"FailedEntryCount": sum("ErrorCode" in answer for answer in answers), "Entries": answers}


class FakeDynamo:
    """BatchWriteItem that takes `capacity` items a call."""

    def __init__(self, capacity):
        self.capacity, self.items = capacity, []

    def batch_write_item(self, RequestItems):  # noqa: N803 - boto3's spelling
        (table, requests), *_ = RequestItems.items()
        self.items += requests[: self.capacity]
        left = requests[self.capacity :]
        return {"UnprocessedItems": {table: left} if left else {}}


def test_the_table_door_writes_the_row_that_the_stream_carries_on(graph, aws):
    payments = _payments(30)
    door = TableDoor(graph.client("dynamodb"), graph.table("authorizations"), "run_1")
    log = send_all(payments, door)
    items = aws.client("dynamodb").scan(TableName=graph.table("authorizations"))["Items"]
    assert len(items) == len(log.sent_at) == 30
    item = next(each for each in items if each["payment_id"]["S"] == "pay_7")
    assert item["action_code"] == {"S": "000"}
    assert item["correlation_id"] == {"S": "run_1"}
    assert json.loads(item["authorization"]["S"]) == payments[7].body
    assert int(item["expires_at"]["N"]) > log.sent_at["pay_7"] + 86_400


def test_items_without_capacity_are_sent_again_and_nothing_else():
    dynamo = FakeDynamo(capacity=10)
    refused = TableDoor(dynamo, "t", "run_1", sleep=lambda _: None).send(_payments(25))
    assert refused == {}
    assert len(dynamo.items) == 25


def test_a_table_that_stays_throttled_names_the_payments_not_taken():
    refused = TableDoor(FakeDynamo(capacity=0), "t", "run_1", sleep=lambda _: None).send(_payments(2))
    assert set(refused) == {"pay_0", "pay_1"}


def test_rows_that_the_table_has_already_are_refused(graph):
    door = TableDoor(graph.client("dynamodb"), graph.table("authorizations"), "run_1")
    send_all(_payments(120), door)
    with pytest.raises(CommandError, match="120 of these payments"):
        refuse_known(door, _payments(120))
    refuse_known(door, [Payment("pay_new", {})])


def test_the_bus_door_puts_events_that_the_contract_accepts():
    events = FakeEvents({})
    payments = sampled_payments(
        count=12, seed=1, duplicates=0, malformed=0, accounts=5, accounts_seed=1, run_id="run_12345678"
    )
    for number, payment in enumerate(payments):
        payment.body["number"] = number
    send_all(payments, BusDoor(events, "payments", "run_12345678"))
    assert [len(entries) for entries in events.requests] == [10, 2]
    entry = events.requests[0][0]
    assert (entry["EventBusName"], entry["DetailType"], entry["Source"]) == (
        "payments",
        "PaymentAuthorized",
        "postrail.inject",
    )
    detail = json.loads(entry["Detail"])
    del detail["data"]["authorization"]["number"]
    event = Event[PaymentAuthorized].model_validate_json(json.dumps(detail))
    assert event.metadata.correlation_id == "run_12345678"


def test_only_failed_entries_are_put_again():
    events = FakeEvents({3: 2})
    assert BusDoor(events, "b", "run_1", sleep=lambda _: None).send(_payments(10)) == {}
    assert [len(entries) for entries in events.requests] == [10, 1, 1]
    assert sorted(events.taken) == list(range(10))


def test_an_entry_that_the_bus_never_takes_is_named():
    events = FakeEvents({3: 99})
    assert BusDoor(events, "b", "run_1", sleep=lambda _: None).send(_payments(4)) == {"pay_3": "ThrottlingException"}


def test_large_events_are_put_in_several_requests():
    events = FakeEvents({})
    payments = [Payment(f"pay_{n}", {"number": n, "name": "X" * 50_000}) for n in range(10)]
    BusDoor(events, "b", "run_1").send(payments)
    assert len(events.requests) > 1
    assert all(len(json.dumps(entries)) < 256_000 for entries in events.requests)


def test_an_open_loop_keeps_its_pace():
    time = FakeTime()
    door = FakeDoor(time, cost=0.004)
    log = send_all(_payments(100), door, rate=20, wall=time.wall, sleep=time.sleep)
    times = [at for at, _ in door.calls]
    assert all(later - earlier == pytest.approx(0.05) for earlier, later in pairwise(times))
    assert max(log.sent_at.values()) - log.first_at == pytest.approx(99 / 20)


def test_what_became_due_during_a_slow_call_leaves_together():
    time = FakeTime()
    door = FakeDoor(time, batch_max=10, cost=0.25)
    send_all(_payments(40), door, rate=20, wall=time.wall, sleep=time.sleep)
    assert [len(ids) for _, ids in door.calls[:4]] == [1, 5, 5, 5]
    assert [id_ for _, ids in door.calls for id_ in ids] == [f"pay_{number}" for number in range(40)]


def test_the_injection_time_is_taken_before_the_call():
    time = FakeTime()
    log = send_all(_payments(2), FakeDoor(time, batch_max=1, cost=5), wall=time.wall, sleep=time.sleep)
    assert log.sent_at == {"pay_0": 1_000.0, "pay_1": 1_005.0}
