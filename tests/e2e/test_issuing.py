"""Accounts and cards over the deployed HTTP API: from the first request to a payment of the new card in the ledger."""

import json
import secrets
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.builders.payments import make_authorization
from tests.e2e.conftest import Cloud
from tests.e2e.test_road import wait_for

from postrail.adapters.system import SystemIds
from postrail.domain.card import passes_luhn
from switch.issuing.functions import build_card_vault, build_pan_lookup

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


class Shop:
    """A customer with an account and a card, and the queue that hears what customers are told."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.subject = f"alice-{uuid.uuid4().hex[:8]}"
        self.queue_url, queue_arn = cloud.listening_queue(f"customers-{self.subject}")
        self.subscription = cloud.client("sns").subscribe(
            TopicArn=cloud.outputs["topics"]["notifications"],
            Protocol="sqs",
            Endpoint=queue_arn,
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        self.account = cloud.postrail_json(
            "accounts", "open", "Alice Example", "--for", self.subject, "--balance", "500.00"
        )
        self.card = cloud.postrail_json(
            "cards", "order", self.account["account_id"], "--as", self.subject, "--show-number"
        )

    def status(self) -> str:
        """Of the card, as its customer sees it."""
        return str(self.cloud.postrail_json("cards", "show", self.card["card_token"], "--as", self.subject)["status"])

    def notices(self) -> list[dict[str, Any]]:
        """What customers were told, not taken away."""
        answer = self.cloud.client("sqs").receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]

    def close(self) -> None:
        """Leave the topic as it was."""
        self.cloud.client("sns").unsubscribe(SubscriptionArn=self.subscription)
        self.cloud.client("sqs").delete_queue(QueueUrl=self.queue_url)


@pytest.fixture(scope="module")
def shop(cloud: Cloud) -> Iterator[Shop]:
    made = Shop(cloud)
    yield made
    made.close()


def request(cloud: Cloud, path: str, token: str | None) -> tuple[int, dict[str, Any]]:
    """One GET of the bank's API, as any HTTP client sends it."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    asked = urllib.request.Request(f"{cloud.outputs['api']['bank_url']}{path}", headers=headers)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


def test_a_card_is_produced_by_the_schedule_and_its_customer_told(shop: Shop) -> None:
    """The number is a real one of the bank's range; within a minute the card is ready and the topic says so."""
    assert passes_luhn(shop.card["pan"])
    assert shop.card["pan"].startswith("476134")

    assert wait_for(lambda: shop.status() == "ready", 150)
    envelope = next(notice for notice in wait_for(shop.notices) if shop.card["last_four"] in notice["Message"])
    assert envelope["MessageAttributes"]["customer_id"]["Value"] == shop.account["customer_id"]
    assert shop.card["pan"] not in json.dumps(envelope)


def test_the_api_answers_its_customer_and_nobody_else(shop: Shop) -> None:
    """Over HTTP, with tokens that the command line signed."""
    path = f"/get-balance?account_id={shop.account['account_id']}"
    tokens = {
        subject: shop.cloud.postrail("token", "--subject", subject, "--scope", "account:read").stdout.strip()
        for subject in (shop.subject, "mallory")
    }

    status, balance = request(shop.cloud, path, tokens[shop.subject])
    assert (status, balance["currency"]) == (200, "GBP")
    for token, expected in ((tokens["mallory"], 404), (None, 401), (tokens["mallory"][:-8] + "AAAAAAAA", 401)):
        status, problem = request(shop.cloud, path, token)
        assert (status, problem["status"]) == (expected, expected)


def test_a_payment_of_the_new_card_reaches_the_ledger(shop: Shop, tmp_path: Path) -> None:
    """The pipeline finds the account by the token that the order left in the reference table."""
    base = make_authorization()
    card = base.card.model_copy(update={"token": shop.card["card_token"], "expiry": shop.card["expiry"]})
    payment = base.model_copy(
        update={
            "payment_id": SystemIds().new_id("pay"),
            "card": card,
            "stan": f"{secrets.randbelow(10**6):06d}",
            "rrn": f"{secrets.randbelow(10**12):012d}",
            "amount_minor": 1_250,
            "currency": "GBP",
            "transaction_type": "00",
        }
    )
    lines = tmp_path / "payment.jsonl"
    lines.write_text(payment.model_dump_json() + "\n")

    report = shop.cloud.postrail_json("inject", "--file", str(lines), "--wait")

    assert report["posted"] == 1, report
    balance = shop.cloud.postrail_json("accounts", "balance", shop.account["account_id"], "--as", shop.subject)
    assert balance["total_minor"] == 50_000 - 1_250


def test_the_vault_alone_knows_the_number(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """No item of any other table, no row of the database and no log line holds it; the vault's item is sealed."""
    pan = shop.card["pan"]
    dynamodb, logs = shop.cloud.client("dynamodb"), shop.cloud.client("logs")
    stored = [
        repr(item) for name in dynamodb.list_tables()["TableNames"] for item in dynamodb.scan(TableName=name)["Items"]
    ]
    tables = shop.cloud.sql(
        "SELECT schemaname || '.' || tablename FROM pg_tables"
        " WHERE schemaname IN ('bank', 'network', 'ledger', 'audit')"
    )
    rows = [line for (table,) in tables for (line,) in shop.cloud.sql(f"SELECT t::text FROM {table} AS t")]
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    lines = [event["message"] for group in groups for event in logs.filter_log_events(logGroupName=group)["events"]]

    assert any(shop.card["card_token"] in line for line in lines)
    for text in (*stored, *rows, *lines):
        assert pan not in text

    for name, value in (
        ("AWS_ENDPOINT_URL", shop.cloud.description["endpoint_url"]),
        ("AWS_DEFAULT_REGION", shop.cloud.description["region"]),
        ("AWS_ACCESS_KEY_ID", shop.cloud.description["access_key_id"]),
        ("AWS_SECRET_ACCESS_KEY", shop.cloud.description["secret_access_key"]),
    ):
        monkeypatch.setenv(name, value)
    vault = vault_of(shop.cloud)
    kept = vault.reveal(shop.card["card_token"])
    assert kept is not None
    assert kept.pan == pan


def vault_of(cloud: Cloud) -> Any:
    """The deployed vault, opened from here."""
    from postrail.adapters.aws import clients  # noqa: PLC0415
    from postrail.settings import SwitchSettings  # noqa: PLC0415

    for client in (clients.dynamodb, clients.kms, clients._session):
        client.cache_clear()
    described = cloud.outputs["card_vault"]
    settings = SwitchSettings(card_vault_table=described["table"], card_vault_key_arn=described["key_arn"])
    return build_card_vault(settings, build_pan_lookup(settings))
