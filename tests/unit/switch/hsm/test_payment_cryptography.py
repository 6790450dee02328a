"""The module in AWS: what is asked, and what its answers and errors mean."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ConnectTimeoutError
from botocore.stub import Stubber

from postrail.domain.errors import Permanent, Retryable
from switch.hsm.key_ring import parse_keys
from switch.hsm.payment_cryptography import PaymentCryptographyHsm
from switch.hsm.ports import PinRefused

ARN = "arn:aws:payment-cryptography:eu-west-2:111122223333:key/"
KEYS = parse_keys(
    json.dumps(
        {
            "acquirer-pin": f"{ARN}acquirer00000000",
            "issuer-pin": f"aes:{ARN}issuer0000000000",
            "pin-verification": f"{ARN}pvk0000000000000",
            "issuer-mac": "aes:0F0E0D0C0B0A09080706050403020100",
        }
    )
)
PAN = "4761340000000019"
BLOCK = "28B41FDDD29B743E"
ABOUT = {"PrimaryAccountNumber": PAN}
CHECKS = {
    "VerificationKeyArn": f"{ARN}pvk0000000000000",
    "VerificationKeyCheckValue": "D1E2F3",
    "EncryptionKeyArn": f"{ARN}acquirer00000000",
    "EncryptionKeyCheckValue": "A1B2C3",
}
VERIFY = {
    "VerificationKeyIdentifier": f"{ARN}pvk0000000000000",
    "EncryptionKeyIdentifier": f"{ARN}acquirer00000000",
    "VerificationAttributes": {"VisaPin": {"PinVerificationKeyIndex": 1, "VerificationValue": "8523"}},
    "EncryptedPinBlock": BLOCK,
    "PrimaryAccountNumber": PAN,
    "PinBlockFormat": "ISO_FORMAT_0",
}


@pytest.fixture
def client() -> Any:
    """A client that reaches nobody; botocore checks each request against the service's own model."""
    return boto3.client(
        "payment-cryptography-data",
        region_name="eu-west-2",
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def stub(client: Any) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def hsm(client: Any) -> Iterator[PaymentCryptographyHsm]:
    opened = PaymentCryptographyHsm(client, KEYS)
    yield opened
    opened.close()


def test_a_block_is_translated_to_the_format_of_the_other_key(stub: Stubber, hsm: PaymentCryptographyHsm) -> None:
    stub.add_response(
        "translate_pin_data",
        {"PinBlock": "28b41fddd29b743e93124bd8e32d921e", "KeyArn": f"{ARN}issuer0000000000", "KeyCheckValue": "A1B2C3"},
        {
            "IncomingKeyIdentifier": f"{ARN}acquirer00000000",
            "OutgoingKeyIdentifier": f"{ARN}issuer0000000000",
            "IncomingTranslationAttributes": {"IsoFormat0": ABOUT},
            "OutgoingTranslationAttributes": {"IsoFormat4": ABOUT},
            "EncryptedPinBlock": BLOCK,
        },
    )
    translated = asyncio.run(hsm.translate_pin(BLOCK, PAN, from_key="acquirer-pin", to_key="issuer-pin"))
    assert translated == "28B41FDDD29B743E93124BD8E32D921E"


def test_a_right_pin_is_verified(stub: Stubber, hsm: PaymentCryptographyHsm) -> None:
    stub.add_response("verify_pin_data", CHECKS, VERIFY)
    assert asyncio.run(hsm.verify_pin(BLOCK, PAN, key="acquirer-pin", reference="18523"))


def test_a_wrong_pin_is_no_error(stub: Stubber, hsm: PaymentCryptographyHsm) -> None:
    stub.add_client_error(
        "verify_pin_data",
        "VerificationFailedException",
        http_status_code=400,
        expected_params=VERIFY,
        modeled_fields={"Reason": "INVALID_PIN", "Message": "no"},
    )
    assert asyncio.run(hsm.verify_pin(BLOCK, PAN, key="acquirer-pin", reference="18523")) is False


@pytest.mark.parametrize(
    ("code", "fields", "expected"),
    [
        ("VerificationFailedException", {"Reason": "INVALID_VALIDATION_DATA", "Message": "no"}, "126"),
        ("ValidationException", {}, "126"),
        ("AccessDeniedException", {}, "128"),
        ("ResourceNotFoundException", {}, "128"),
        ("ThrottlingException", {}, None),
        ("InternalServerException", {}, None),
    ],
)
def test_what_an_error_means_is_told_without_what_was_sent(
    stub: Stubber, hsm: PaymentCryptographyHsm, code: str, fields: dict[str, str], expected: str | None
) -> None:
    """A message of AWS may repeat the request."""
    stub.add_client_error("verify_pin_data", code, f"cannot use {PAN} {BLOCK}", modeled_fields=fields or None)
    with pytest.raises(PinRefused if expected else Retryable) as raised:
        asyncio.run(hsm.verify_pin(BLOCK, PAN, key="acquirer-pin", reference="18523"))
    assert getattr(raised.value, "action_code", None) == expected
    assert PAN not in str(raised.value)
    assert BLOCK not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_a_module_that_cannot_be_reached_may_be_asked_again(
    client: Any, hsm: PaymentCryptographyHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise ConnectTimeoutError(endpoint_url="https://nowhere")

    monkeypatch.setattr(client, "translate_pin_data", fail)
    with pytest.raises(Retryable, match="ConnectTimeoutError"):
        asyncio.run(hsm.translate_pin(BLOCK, PAN, from_key="acquirer-pin", to_key="issuer-pin"))


def test_a_new_pin_is_turned_into_a_reference(stub: Stubber, hsm: PaymentCryptographyHsm) -> None:
    stub.add_response(
        "generate_pin_data",
        {
            "GenerationKeyArn": f"{ARN}pvk0000000000000",
            "GenerationKeyCheckValue": "D1E2F3",
            "EncryptionKeyArn": f"{ARN}acquirer00000000",
            "EncryptionKeyCheckValue": "A1B2C3",
            "EncryptedPinBlock": BLOCK,
            "PinData": {"VerificationValue": "8523"},
        },
        {
            "GenerationKeyIdentifier": f"{ARN}pvk0000000000000",
            "EncryptionKeyIdentifier": f"{ARN}acquirer00000000",
            "GenerationAttributes": {
                "VisaPinVerificationValue": {"EncryptedPinBlock": BLOCK, "PinVerificationKeyIndex": 1}
            },
            "PrimaryAccountNumber": PAN,
            "PinBlockFormat": "ISO_FORMAT_0",
        },
    )
    assert asyncio.run(hsm.make_pin_reference(BLOCK, PAN, key="acquirer-pin")) == "18523"


def test_calls_do_not_hold_up_the_event_loop(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two calls wait for each other: in the loop's own thread the first would never end."""
    both = threading.Barrier(2, timeout=10)

    def meet(**_: object) -> dict[str, str]:
        both.wait()
        return {"PinBlock": BLOCK}

    monkeypatch.setattr(client, "translate_pin_data", meet)
    hsm = PaymentCryptographyHsm(client, KEYS)

    async def two() -> list[str]:
        calls = [hsm.translate_pin(BLOCK, PAN, from_key="acquirer-pin", to_key="issuer-pin") for _ in range(2)]
        return await asyncio.gather(*calls)

    assert asyncio.run(two()) == [BLOCK, BLOCK]
    hsm.close()


def test_the_key_of_a_link_is_given_as_bytes_and_one_of_the_module_stays_there(hsm: PaymentCryptographyHsm) -> None:
    assert len(asyncio.run(hsm.mac_key("issuer-mac"))) == 16
    with pytest.raises(Permanent, match="stays in its module"):
        asyncio.run(hsm.mac_key("issuer-pin"))


@pytest.mark.parametrize("key", ["nobody", "issuer-mac"])
def test_a_key_that_the_module_does_not_have_refuses_the_pin(hsm: PaymentCryptographyHsm, key: str) -> None:
    """The cardholder gets an answer, and 128 tells the operator where to look."""
    for asked in (
        hsm.translate_pin(BLOCK, PAN, from_key=key, to_key="issuer-pin"),
        hsm.translate_pin(BLOCK, PAN, from_key="issuer-pin", to_key=key),
        hsm.verify_pin(BLOCK, PAN, key=key, reference="18523"),
        hsm.verify_pin(BLOCK * 2, PAN, key="issuer-pin", reference="none"),
        hsm.make_pin_reference(BLOCK, PAN, key=key),
    ):
        with pytest.raises(PinRefused) as refused:
            asyncio.run(asked)
        assert refused.value.action_code == "128"


@pytest.mark.parametrize(
    ("block", "pan"), [("", PAN), (BLOCK[:-1], PAN), (BLOCK * 2, PAN), (BLOCK.lower(), PAN), (BLOCK, "1")]
)
def test_what_cannot_be_a_block_is_not_sent(hsm: PaymentCryptographyHsm, block: str, pan: str) -> None:
    """The client would take it for a fault of ours, and the request would be tried again."""
    for asked in (
        hsm.translate_pin(block, pan, from_key="acquirer-pin", to_key="issuer-pin"),
        hsm.verify_pin(block, pan, key="acquirer-pin", reference="18523"),
        hsm.make_pin_reference(block, pan, key="acquirer-pin"),
    ):
        with pytest.raises(PinRefused) as refused:
            asyncio.run(asked)
        assert refused.value.action_code == "126"
