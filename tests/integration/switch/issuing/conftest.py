"""Issuing as it is deployed: the functions' own builders on PostgreSQL and moto, and tokens of a key made here."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from moto import mock_aws

from postrail.adapters.aws import clients
from postrail.settings import SwitchSettings
from switch.issuing.api.serve import ApiHandler
from switch.issuing.functions import ScheduledProduction, build_bank_api, build_network_api, build_produce_cards

ROOT = Path(__file__).parents[4]
REGION = "eu-west-2"
ISSUER = "https://tokens.example"
AUDIENCE = "postrail"


class TokenMint:
    """Signs access tokens as the issuer would; every claim and header can be bent."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        algorithm = jwt.get_algorithm_by_name("ES256")
        entry = json.loads(algorithm.to_jwk(self._key.public_key()))
        self.document = json.dumps({"keys": [{**entry, "kid": "one", "alg": "ES256", "use": "sig"}]})

    def token(
        self, scope: Any = "", *, subject: str = "alice", bank_id: str | None = "northgate", **claims: Any
    ) -> str:
        now = int(time.time())
        standard = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 300}
        content = standard | {"scope": scope, "bank_id": bank_id} | claims
        content = {name: value for name, value in content.items() if value is not None}
        return jwt.encode(content, self._key, algorithm="ES256", headers={"kid": "one"})


class Desk:
    """The deployed functions, and what they left behind."""

    def __init__(self, settings: SwitchSettings, mint: TokenMint) -> None:
        self.settings = settings
        self.mint = mint
        self.bank: ApiHandler = build_bank_api(settings)
        self.network: ApiHandler = build_network_api(settings)
        self.production: ScheduledProduction = build_produce_cards(settings)
        self._count = 0

    def call(
        self,
        method: str,
        path: str,
        content: dict[str, Any],
        *,
        token: str | None = None,
        key: str | None = None,
        api: str = "bank",
    ) -> tuple[int, dict[str, Any]]:
        """One request, as API Gateway hands it over; a POST gets a new idempotency key when none is given."""
        answer = self.send(method, path, content, token=token, key=key, api=api)
        assert "json" in answer["headers"]["Content-Type"]
        return answer["statusCode"], json.loads(answer["body"])

    def send(
        self,
        method: str,
        path: str,
        content: dict[str, Any],
        *,
        token: str | None = None,
        key: str | None = None,
        api: str = "bank",
    ) -> dict[str, Any]:
        self._count += 1
        headers = {"authorization": f"Bearer {token}"} if token else {}
        event: dict[str, Any] = {"version": "2.0", "routeKey": f"{method} {path}", "headers": headers}
        if method == "POST":
            headers["idempotency-key"] = key or f"request-{self._count:06d}"
            event["body"] = json.dumps(content)
        else:
            event["rawQueryString"] = "&".join(f"{name}={value}" for name, value in content.items())
        handler = self.bank if api == "bank" else self.network
        return handler.handle(event)

    def open_account(self, subject: str = "alice", *, balance_minor: int = 100_000, bank_id: str = "northgate") -> str:
        """An account that an operator opened for a customer."""
        operator = self.mint.token("account:open bank:operate", subject="desk-7", bank_id=bank_id)
        content = {"name": f"{subject.title()} Example", "subject": subject, "opening_balance_minor": balance_minor}
        status, answer = self.call("POST", "/create-account", content, token=operator)
        assert status == 201, answer
        return str(answer["account_id"])

    def order_card(self, account_id: str, *, subject: str = "alice", bank_id: str = "northgate") -> dict[str, Any]:
        """A card with its number, ordered by its customer."""
        token = self.mint.token("card:order card:number", subject=subject, bank_id=bank_id)
        status, answer = self.call("POST", "/order-card", {"account_id": account_id}, token=token)
        assert status == 201, answer
        return answer

    def notices(self) -> list[dict[str, Any]]:
        """What customers were told since last asked: the SNS envelopes that a subscribed queue got."""
        sqs = boto3.client("sqs", region_name=REGION)
        url = sqs.get_queue_url(QueueName="customers")["QueueUrl"]
        envelopes = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                envelopes.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return envelopes

    def items(self, table: str) -> list[dict[str, Any]]:
        """All items of a table."""
        return boto3.client("dynamodb", region_name=REGION).scan(TableName=table)["Items"]


@pytest.fixture
def mint() -> TokenMint:
    return TokenMint()


@pytest.fixture
def issuing_settings(postrail_cloud: dict[str, str], postgres_dsn: str, mint: TokenMint) -> SwitchSettings:
    return SwitchSettings(
        config_dir=ROOT / "config",
        ledger_dsn=postgres_dsn,
        token_issuer=ISSUER,
        token_audience=AUDIENCE,
        token_keys=mint.document,
        **postrail_cloud,
    )


@pytest.fixture
def desk(issuing_settings: SwitchSettings, mint: TokenMint) -> Desk:
    return Desk(issuing_settings, mint)


@pytest.fixture
def postrail_cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Tables, key and topic in moto; the names as settings."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    kept = (clients.dynamodb, clients.kms, clients.sns, clients.secrets_manager, clients._session)
    with mock_aws():
        for client in kept:
            client.cache_clear()
        dynamodb = boto3.client("dynamodb", region_name=REGION)
        for table in ("card-vault", "reference"):
            dynamodb.create_table(
                TableName=table,
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        topic_arn = boto3.client("sns", region_name=REGION).create_topic(Name="notifications")["TopicArn"]
        sqs = boto3.client("sqs", region_name=REGION)
        queue_url = sqs.create_queue(QueueName="customers")["QueueUrl"]
        queue_arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        boto3.client("sns", region_name=REGION).subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn)
        yield {
            "card_vault_table": "card-vault",
            "card_vault_key_arn": boto3.client("kms", region_name=REGION).create_key()["KeyMetadata"]["Arn"],
            "reference_table": "reference",
            "notifications_topic_arn": topic_arn,
        }
    for client in kept:
        client.cache_clear()
