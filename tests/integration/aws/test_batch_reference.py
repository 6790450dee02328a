"""A batch worker finds cards and rates in the reference table, as the functions do."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import orjson
import pytest
from moto import mock_aws

from postrail.adapters.aws import clients
from postrail.adapters.aws.reference_table import card_item
from postrail.batch.chunks import RawChunk
from postrail.batch.worker import WorkerTask
from postrail.bootstrap import BatchPlaces, SettingMissing, build_workshop
from postrail.cli.seed import rate_item
from postrail.sampling.accounts import sample_accounts
from postrail.sampling.day import sample_day
from postrail.sampling.rates import load_rates

ACCOUNTS = sample_accounts(1, 30)
CONFIG = Path(__file__).resolve().parents[3] / "config"
TASK = WorkerTask("run_" + "0" * 32, 0, 1, (), 1.0)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A reference table in moto with the sample accounts."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "eu-west-2",
        "AWS_DEFAULT_REGION": "eu-west-2",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ENDPOINT_URL", "POSTRAIL_REFERENCE_TABLE"):
        monkeypatch.delenv(name, raising=False)
    _forget_clients()
    with mock_aws():
        dynamodb: Any = boto3.client("dynamodb")
        dynamodb.create_table(
            TableName="reference",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        for account in ACCOUNTS:
            dynamodb.put_item(TableName="reference", Item=card_item(account.card_token, account.details))
        for rate in load_rates(CONFIG / "reference" / "rates.yaml"):
            dynamodb.put_item(TableName="reference", Item=rate_item(rate))
        yield "reference"
    _forget_clients()


def _forget_clients() -> None:
    clients.dynamodb.cache_clear()
    clients._session.cache_clear()


@pytest.mark.parametrize("by_setting", [True, False])
def test_cards_and_rates_come_from_the_table(table: str, monkeypatch: pytest.MonkeyPatch, by_setting: bool) -> None:
    if by_setting:
        monkeypatch.setenv("POSTRAIL_REFERENCE_TABLE", table)
    places = BatchPlaces(ledger_dsn="postgresql://nobody@127.0.0.1:1/none", reference_table="" if by_setting else table)
    rows = [
        orjson.dumps(body)
        for body in sample_day(1, 200, accounts=ACCOUNTS, day=date(2026, 10, 1), duplicates=0, malformed=0)
    ]
    chunk = build_workshop(places, TASK).road.prepare(RawChunk(0, list(range(1, 201)), rows))
    assert len(chunk.orders) > 150
    assert any(b'"rate":"' in document for document in chunk.documents), "some payments were converted"


def test_a_worker_without_reference_data_says_what_it_lacks(table: str) -> None:
    with pytest.raises(SettingMissing, match="POSTRAIL_REFERENCE_TABLE"):
        build_workshop(BatchPlaces(ledger_dsn="postgresql://nobody@127.0.0.1:1/none"), TASK)
