"""The HSM that settings ask for."""

import asyncio
import json
from typing import Any

import boto3
import pytest
from moto import mock_aws

from postrail.adapters.aws import clients
from postrail.domain.errors import ConfigInvalid, Retryable
from postrail.settings import SwitchSettings
from switch.hsm.keys import build_hsm, load_keys
from switch.hsm.payment_cryptography import PaymentCryptographyHsm
from switch.hsm.software import SoftwareHsm

DOCUMENT = json.dumps({"northgate-mac": "0F0E0D0C0B0A09080706050403020100"})


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Nobody's account, in memory."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    with mock_aws():
        fresh = boto3.client("secretsmanager")
        monkeypatch.setattr(clients, "secrets_manager", lambda: fresh)
        yield fresh


def test_the_stand_in_has_the_keys_of_the_setting() -> None:
    hsm = build_hsm(SwitchSettings(hsm="software", hsm_keys=DOCUMENT))
    assert isinstance(hsm, SoftwareHsm)
    assert len(asyncio.run(hsm.mac_key("northgate-mac"))) == 16


def test_the_module_in_aws_has_its_own_client(aws: Any) -> None:
    hsm = build_hsm(SwitchSettings(hsm="payment_cryptography", hsm_keys=DOCUMENT))
    assert isinstance(hsm, PaymentCryptographyHsm)
    hsm.close()


def test_keys_may_lie_in_a_secret(aws: Any) -> None:
    arn = aws.create_secret(Name="keys", SecretString=DOCUMENT)["ARN"]
    assert repr(load_keys(arn)) == "KeyRing(northgate-mac)"


def test_a_secret_that_cannot_be_read_may_be_read_later(aws: Any) -> None:
    with pytest.raises(Retryable, match="ResourceNotFoundException"):
        load_keys("arn:aws:secretsmanager:eu-west-2:123456789012:secret:nothing-AAAAAA")


def test_keys_that_are_none_are_told_at_the_start() -> None:
    with pytest.raises(ConfigInvalid, match="northgate-mac"):
        build_hsm(SwitchSettings(hsm="software", hsm_keys='{"northgate-mac": "short"}'))
