"""The software stand-in: translation, verification, references."""

import asyncio
import json

import pytest

from postrail.domain.errors import Permanent
from switch.hsm.key_ring import Key, KeyKind, parse_keys
from switch.hsm.pin_blocks import open_block, seal_block
from switch.hsm.ports import Hsm, PinRefused
from switch.hsm.software import SoftwareHsm
from switch.hsm.verification_values import make_reference, matches

PVK = "0123456789ABCDEFFEDCBA9876543210"
RING = parse_keys(
    json.dumps(
        {
            "acquirer-pin": "1C2D3E4F506172839AABBCCDDEEFF001",
            "issuer-pin": "aes:00112233445566778899AABBCCDDEEFF",
            "issuer-mac": "aes:0F0E0D0C0B0A09080706050403020100",
            "pin-verification": PVK,
        }
    )
)
PAN = "4761340000000019"


@pytest.fixture
def hsm() -> Hsm:
    return SoftwareHsm(RING)


def _block(pin: str, key: str, pan: str = PAN) -> str:
    return seal_block(bytearray(map(int, pin)), pan, RING.find(key))


@pytest.mark.parametrize(
    ("pvki", "pin", "pan", "value"),
    [
        (1, "4524", "1122334455667788", "8523"),
        (2, "1912", "1122334455667788", "3244"),
        (1, "0570", "1122334455667718", "3144"),
        (1, "8299", "1122334455667708", "4422"),
    ],
)
def test_published_verification_values(pvki: int, pin: str, pan: str, value: str) -> None:
    """Vectors of the open library psec; the last ones need letters of the cipher's text."""
    key = Key("pvk", KeyKind.TDES, bytes.fromhex(PVK))
    assert make_reference(bytearray(map(int, pin)), pan, key=key, index=pvki) == f"{pvki}{value}"
    assert matches(bytearray(map(int, pin)), pan, key=key, reference=f"{pvki}{value}")


@pytest.mark.parametrize("pin", ["1234", "123456789012"])
@pytest.mark.parametrize(("source", "target"), [("acquirer-pin", "issuer-pin"), ("issuer-pin", "acquirer-pin")])
def test_a_block_goes_from_one_key_and_format_to_another(hsm: Hsm, pin: str, source: str, target: str) -> None:
    block = asyncio.run(hsm.translate_pin(_block(pin, source), PAN, from_key=source, to_key=target))
    assert len(block) == {"acquirer-pin": 16, "issuer-pin": 32}[target]
    with open_block(block, PAN, RING.find(target)) as opened:
        assert "".join(map(str, opened)) == pin


def test_a_block_of_the_wrong_format_for_its_key_is_refused(hsm: Hsm) -> None:
    with pytest.raises(PinRefused) as refused:
        asyncio.run(hsm.translate_pin(_block("1234", "issuer-pin"), PAN, from_key="acquirer-pin", to_key="issuer-pin"))
    assert refused.value.action_code == "126"


@pytest.mark.parametrize("key", ["acquirer-pin", "issuer-pin"])
def test_the_right_pin_is_verified_and_another_is_not(hsm: Hsm, key: str) -> None:
    reference = asyncio.run(hsm.make_pin_reference(_block("4711", key), PAN, key=key))
    assert len(reference) == 5
    assert asyncio.run(hsm.verify_pin(_block("4711", key), PAN, key=key, reference=reference))
    wrong = [
        asyncio.run(hsm.verify_pin(_block(f"{pin:04}", key), PAN, key=key, reference=reference)) for pin in range(40)
    ]
    assert wrong.count(True) <= 1, "four digits: one PIN in ten thousand has the same value by chance"


def test_the_reference_of_another_card_is_not_this_ones(hsm: Hsm) -> None:
    other = "4761340000000035"
    reference = asyncio.run(hsm.make_pin_reference(_block("4711", "issuer-pin"), PAN, key="issuer-pin"))
    block = _block("4711", "issuer-pin", other)
    assert not asyncio.run(hsm.verify_pin(block, other, key="issuer-pin", reference=reference))


def test_an_old_reference_is_judged_by_its_own_index(hsm: Hsm) -> None:
    """The generation of the key stands in the reference, so that keys can be followed by newer ones."""
    newer = SoftwareHsm(RING, verification_index=2)
    block = _block("4711", "issuer-pin")
    old = asyncio.run(hsm.make_pin_reference(block, PAN, key="issuer-pin"))
    new = asyncio.run(newer.make_pin_reference(block, PAN, key="issuer-pin"))
    assert (old[0], new[0]) == ("1", "2")
    assert asyncio.run(newer.verify_pin(block, PAN, key="issuer-pin", reference=old))


@pytest.mark.parametrize("reference", ["", "1234", "123456", "01234", "71234", "1123x", "1234\u0665"])
def test_what_is_no_reference_is_an_error_and_no_wrong_pin(hsm: Hsm, reference: str) -> None:
    """It would lock a card whose holder did nothing wrong. The reference is not shown."""
    with pytest.raises(PinRefused) as refused:
        asyncio.run(hsm.verify_pin(_block("4711", "issuer-pin"), PAN, key="issuer-pin", reference=reference))
    assert refused.value.action_code == "128"
    assert not reference or reference not in str(refused.value)


def test_a_key_of_a_link_is_given_out_and_an_unknown_one_is_not(hsm: Hsm) -> None:
    assert asyncio.run(hsm.mac_key("issuer-mac")).hex() == "0f0e0d0c0b0a09080706050403020100"
    with pytest.raises(Permanent, match="there is no key nobody"):
        asyncio.run(hsm.mac_key("nobody"))


def test_a_verification_key_of_another_kind_is_told() -> None:
    hsm = SoftwareHsm(RING, verification_key="issuer-mac")
    with pytest.raises(PinRefused, match="issuer-mac"):
        asyncio.run(hsm.make_pin_reference(_block("4711", "issuer-pin"), PAN, key="issuer-pin"))


def test_an_index_is_one_to_six() -> None:
    with pytest.raises(Permanent):
        SoftwareHsm(RING, verification_index=7)


def test_no_error_tells_a_pin_or_a_card_number(hsm: Hsm) -> None:
    """Whatever is wrong with a block: the words are about the block."""
    for block in ("", "0" * 16, "F" * 32, _block("4711", "issuer-pin")):
        with pytest.raises(PinRefused) as refused:
            asyncio.run(hsm.verify_pin(block, PAN, key="acquirer-pin", reference="11234"))
        assert PAN not in str(refused.value)
        assert "4711" not in str(refused.value)


def test_a_key_that_is_not_there_refuses_the_pin(hsm: Hsm) -> None:
    """The cardholder gets an answer, and 128 tells the operator where to look."""
    block = _block("4711", "issuer-pin")
    for asked in (
        hsm.translate_pin(block, PAN, from_key="nobody", to_key="issuer-pin"),
        hsm.translate_pin(block, PAN, from_key="issuer-pin", to_key="nobody"),
        hsm.verify_pin(block, PAN, key="nobody", reference="18523"),
        hsm.make_pin_reference(block, PAN, key="nobody"),
    ):
        with pytest.raises(PinRefused, match="there is no key nobody") as refused:
            asyncio.run(asked)
        assert refused.value.action_code == "128"
