"""The way of an approval from the bank's database to the table `authorizations`."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from moto import mock_aws
from tests.integration.switch.bank.bank_stage import Books, issue_cards, open_bank, pre_authorisation, purchase, until

from postrail.adapters.aws.messages import Message as StreamMessage
from postrail.adapters.aws.stream_records import read_stream_record
from postrail.domain.errors import Retryable
from postrail.stages.decode import Refusal
from switch.bank.relay import DynamoDbApprovals


@dataclass
class SlowTable:
    """A table that can be away, and throttle."""

    away: bool = False
    refuse: set[str] = field(default_factory=set)
    items: dict[str, dict[str, str]] = field(default_factory=dict)
    writes: int = 0

    def write(self, items: Sequence[Mapping[str, str]]) -> list[str]:
        self.writes += 1
        if self.away:
            raise Retryable("the table is away")
        self.items |= {item["payment_id"]: dict(item) for item in items if item["payment_id"] not in self.refuse}
        return [item["payment_id"] for item in items if item["payment_id"] in self.refuse]


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="eu-west-2")
        client.create_table(
            TableName="authorizations",
            KeySchema=[{"AttributeName": "payment_id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "payment_id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


def test_approvals_reach_the_table_as_its_stream_is_read(postgres_dsn: str, dynamodb: Any) -> None:
    """Sixty approvals in three writes; what the pipeline reads of an item is the authorization that was approved."""
    cards = issue_cards(postgres_dsn, 60)
    books = Books(postgres_dsn)

    async def run() -> None:
        async with open_bank(postgres_dsn, table=DynamoDbApprovals(dynamodb, "authorizations")) as terminal:
            await asyncio.gather(*(terminal.ask(purchase(card)) for card in cards[1:]))
            await terminal.ask(pre_authorisation(cards[0]))
            await until(lambda: books.items() == [])

    asyncio.run(run())
    items = dynamodb.scan(TableName="authorizations")["Items"]
    assert len(items) == 60
    assert sum("capture" in item for item in items) == 1
    record = {"eventID": "1", "dynamodb": {"NewImage": items[0]}}
    read = read_stream_record(StreamMessage(message_id="1", body="", record=record))
    assert not isinstance(read, Refusal)
    assert read[0].authorization.payment_id == items[0]["payment_id"]["S"]
    assert int(items[0]["expires_at"]["N"]) > 0


def test_the_bank_works_while_the_table_is_away(postgres_dsn: str) -> None:
    """Approvals go on and pile up in the database; when the table is back, it gets all of them."""
    cards = issue_cards(postgres_dsn, 5)
    books, table = Books(postgres_dsn), SlowTable(away=True)

    async def run() -> None:
        async with open_bank(postgres_dsn, table=table) as terminal:
            answers = await asyncio.gather(*(terminal.ask(purchase(card)) for card in cards))
            assert {answer[39] for answer in answers} == {"000"}
            await until(lambda: not terminal.bank.details()["relay_is_well"])
            assert await terminal.bank.count_unrelayed() == 5
            await until(lambda: terminal.bank.details()["unrelayed"] == 5)
            assert terminal.bank.well
            table.away = False
            await until(lambda: books.items() == [])

    asyncio.run(run())
    assert len(table.items) == 5


def test_what_the_table_does_not_take_is_sent_again(postgres_dsn: str) -> None:
    """A throttled item stays in the database; the others are not sent twice."""
    cards = issue_cards(postgres_dsn, 3)
    books, table = Books(postgres_dsn), SlowTable()

    async def prepare() -> None:
        async with open_bank(postgres_dsn) as terminal:
            await asyncio.gather(*(terminal.ask(purchase(card)) for card in cards))

    asyncio.run(prepare())
    stubborn = books.items()[1]["payment_id"]
    table.refuse = {stubborn}

    async def run() -> None:
        async with open_bank(postgres_dsn, table=table):
            await until(lambda: len(books.items()) == 1)
            table.refuse = set()
            await until(lambda: books.items() == [])

    asyncio.run(run())
    assert len(table.items) == 3


def test_what_a_dead_process_had_claimed_is_relayed_when_its_lease_is_over(postgres_dsn: str) -> None:
    """And not before: another may be at work on it."""
    (card,) = issue_cards(postgres_dsn)
    books, table = Books(postgres_dsn), SlowTable()

    async def prepare() -> None:
        async with open_bank(postgres_dsn) as terminal:
            await terminal.ask(purchase(card))

    asyncio.run(prepare())
    books.execute("UPDATE bank.approvals_to_relay SET leased_until = now() + interval '1 hour'")

    async def run() -> None:
        async with open_bank(postgres_dsn, table=table) as terminal:
            assert await terminal.bank._relay.relay_some(table) == 0
            books.execute("UPDATE bank.approvals_to_relay SET leased_until = now() - interval '1 second'")
            await until(lambda: books.items() == [])

    asyncio.run(run())
    assert len(table.items) == 1
