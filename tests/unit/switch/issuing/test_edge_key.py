"""By which key the APIs know that a request came by the edge."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from postrail.domain.errors import Retryable
from switch.issuing.api.routes import GET_BALANCE
from switch.issuing.api.serve import ApiHandler
from switch.issuing.edge_key import EdgeKey
from switch.issuing.local_tokens import AUDIENCE, ISSUER, LocalTokens
from switch.issuing.tokens import FixedKeys, TokenVerifier

FIRST, SECOND, THIRD = (secrets.token_urlsafe(32) for _ in range(3))


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(name="manager")
def _manager() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("secretsmanager", region_name="eu-west-2", aws_access_key_id="x", aws_secret_access_key="x")


@pytest.fixture(name="arn")
def _arn(manager: Any) -> str:
    return str(manager.create_secret(Name="edge-key")["ARN"])


def test_a_secret_that_nobody_filled_admits_nothing(manager: Any, arn: str) -> None:
    """Not even a request without a key."""
    key = EdgeKey(manager, arn)
    assert not key.admits(None)
    assert not key.admits("")
    assert not key.admits(FIRST)


def test_the_key_admits_and_another_does_not(manager: Any, arn: str) -> None:
    """Whole, and without what an editor leaves at its end."""
    manager.put_secret_value(SecretId=arn, SecretString=f"{FIRST}\n")
    key = EdgeKey(manager, arn)
    assert key.admits(FIRST)
    assert not key.admits(SECOND)
    assert not key.admits(FIRST[:-1])
    assert not key.admits(None)


def test_while_the_key_changes_both_admit(manager: Any, arn: str) -> None:
    """The edge learns of the new one at another time than the functions; the one before those is out."""
    clock = Clock()
    manager.put_secret_value(SecretId=arn, SecretString=FIRST)
    key = EdgeKey(manager, arn, monotonic=clock)
    assert key.admits(FIRST)
    manager.put_secret_value(SecretId=arn, SecretString=SECOND)
    clock.now += 60
    assert key.admits(FIRST)
    assert key.admits(SECOND)
    manager.put_secret_value(SecretId=arn, SecretString=THIRD)
    clock.now += 60
    assert not key.admits(FIRST)


def test_a_key_that_could_be_guessed_counts_as_none(manager: Any, arn: str) -> None:
    """Below 32 letters."""
    manager.put_secret_value(SecretId=arn, SecretString="x" * 31)
    assert not EdgeKey(manager, arn).admits("x" * 31)


def test_an_outage_of_the_secret_is_none_of_the_api(manager: Any, arn: str) -> None:
    """As long as a key is known; without one the caller is to try again."""
    clock = Clock()
    manager.put_secret_value(SecretId=arn, SecretString=FIRST)
    key = EdgeKey(manager, arn, monotonic=clock)
    assert key.admits(FIRST)
    manager.delete_secret(SecretId=arn)
    clock.now += 60

    assert key.admits(FIRST)
    assert not key.admits(SECOND)
    with pytest.raises(Retryable, match="InvalidRequest"):
        EdgeKey(manager, arn).admits(FIRST)


def test_a_request_round_the_edge_finds_no_route(manager: Any, arn: str, tmp_path: Path) -> None:
    """Whatever its token is, which is not even looked at."""
    manager.put_secret_value(SecretId=arn, SecretString=FIRST)
    tokens = LocalTokens(tmp_path)
    verifier = TokenVerifier(FixedKeys(tokens.keys), issuer=ISSUER, audience=AUDIENCE)
    api = ApiHandler({GET_BALANCE: _never}, verifier, edge_key=EdgeKey(manager, arn))

    def status(headers: dict[str, str]) -> int:
        return int(api.handle({"routeKey": GET_BALANCE.key, "headers": headers})["statusCode"])

    assert status({"authorization": f"Bearer {tokens.sign('alice', ['balance:read'], bank_id='northgate')}"}) == 404
    assert status({"X-Postrail-Edge": SECOND}) == 404
    assert status({"X-Postrail-Edge": FIRST}) == 401


def _never(ask: Any) -> Any:
    raise AssertionError(ask)
