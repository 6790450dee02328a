"""PIN blocks against published vectors, and everything that must not pass for one."""

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from hypothesis import given
from hypothesis import strategies as st

from switch.hsm import pin_blocks
from switch.hsm.key_ring import Key, KeyKind
from switch.hsm.pin_blocks import open_block, seal_block
from switch.hsm.ports import PinRefused

DOUBLE = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
TDES = Key("zone", KeyKind.TDES, DOUBLE)
AES = Key("zone-aes", KeyKind.AES, bytes.fromhex("00112233445566778899AABBCCDDEEFF"))
PAN = "4761340000000019"

pins = st.lists(st.integers(0, 9), min_size=4, max_size=12)
pans = st.text("0123456789", min_size=13, max_size=19)


def _digits(pin: str) -> bytearray:
    return bytearray(map(int, pin))


def _opened(block: str, pan: str, key: Key) -> str:
    with open_block(block, pan, key) as pin:
        return "".join(map(str, pin))


def test_the_clear_block_of_format_0_is_that_of_the_standards_example() -> None:
    """PIN 1234, card 43219876543210987: 0412AC89ABCDEF67, as in the literature on ISO 9564-1."""
    block = seal_block(_digits("1234"), "43219876543210987", TDES)
    clear = Cipher(TripleDES(DOUBLE + DOUBLE[:8]), modes.ECB()).decryptor().update(bytes.fromhex(block))
    assert clear.hex().upper() == "0412AC89ABCDEF67"


@pytest.mark.parametrize(
    ("pin", "pan", "block"),
    [
        ("1234", "1234567890123456789", "28B41FDDD29B743E93124BD8E32D921E"),
        ("1234", "1234567890123456", "52DB178C6EDCE52E3A70F7FBC8E9C758"),
        ("123456", "123456789012345678", "847A0209C659E4C4A79CA6A2A2217D31"),
    ],
)
def test_published_blocks_of_format_4_open(pin: str, pan: str, block: str) -> None:
    """Vectors of the open libraries paysec and psec."""
    assert _opened(block, pan, AES) == pin


def test_a_published_block_of_format_4_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """With eight bytes FF in place of random ones."""
    monkeypatch.setattr(pin_blocks, "token_bytes", lambda count: b"\xff" * count)
    assert seal_block(_digits("1234"), "1234567890123456789", AES) == "28B41FDDD29B743E93124BD8E32D921E"


@pytest.mark.parametrize("key", [TDES, AES, Key("triple", KeyKind.TDES, DOUBLE + bytes(range(8)))])
@given(pin=pins, pan=pans)
def test_what_was_sealed_opens(key: Key, pin: list[int], pan: str) -> None:
    with open_block(seal_block(bytearray(pin), pan, key), pan, key) as opened:
        assert list(opened) == pin


def test_a_block_of_format_4_is_another_each_time_and_one_of_format_0_the_same() -> None:
    assert seal_block(_digits("1234"), PAN, AES) != seal_block(_digits("1234"), PAN, AES)
    assert seal_block(_digits("1234"), PAN, TDES) == seal_block(_digits("1234"), PAN, TDES)


@pytest.mark.parametrize("key", [TDES, AES])
def test_the_block_of_another_card_does_not_open_to_the_pin(key: Key) -> None:
    """A PIN cannot be moved to another card: the number is mixed in."""
    block = seal_block(_digits("1234"), PAN, key)
    try:
        opened = _opened(block, "4761349999999919", key)
    except PinRefused as refused:
        opened = refused.action_code
    assert opened != "1234"


@pytest.mark.parametrize("key", [TDES, AES])
def test_a_block_under_another_key_is_no_pin(key: Key) -> None:
    block = seal_block(_digits("1234"), PAN, key)
    other = Key("other", key.kind, bytes(range(16)))
    with pytest.raises(PinRefused) as refused:
        _opened(block, PAN, other)
    assert refused.value.action_code == "126"


@pytest.mark.parametrize(
    "block",
    [
        "",
        "0",
        "28b41fddd29b743e",
        "28B41FDDD29B743",
        "28B41FDDD29B743G",
        "28B41FDDD29B743E93124BD8E32D921E",
        "\u0663" * 16,
    ],
)
def test_what_is_no_block_is_refused(block: str) -> None:
    with pytest.raises(PinRefused) as refused:
        _opened(block, PAN, TDES)
    assert refused.value.action_code == "126"


@pytest.mark.parametrize(
    "field",
    [
        "143412FFFFFFFFFF",  # format 1
        "0312345FFFFFFFFF",  # three digits
        "0D12341234123412",  # thirteen
        "04123AFFFFFFFFFF",  # no decimal digit
        "0412345FFFFFFFFF",  # no fill behind the PIN
        "041234FFFFFFFFF0",
    ],
)
def test_a_clear_field_that_the_standard_does_not_know_is_refused(field: str) -> None:
    account = bytes.fromhex("0000" + PAN[-13:-1])
    clear = bytes(left ^ right for left, right in zip(bytes.fromhex(field), account, strict=True))
    block = Cipher(TripleDES(DOUBLE + DOUBLE[:8]), modes.ECB()).encryptor().update(clear)
    with pytest.raises(PinRefused) as refused:
        _opened(block.hex().upper(), PAN, TDES)
    assert refused.value.action_code == "126"


@pytest.mark.parametrize("pan", ["", "476134000000", "4" * 20, "47613400000000x9", "\u0664" * 16])
def test_a_card_number_of_another_shape_is_refused_and_not_shown(pan: str) -> None:
    with pytest.raises(PinRefused) as refused:
        seal_block(_digits("1234"), pan, TDES)
    assert not pan or pan not in str(refused.value)


@pytest.mark.parametrize("pin", ["123", "1234567890123", ""])
def test_a_pin_has_four_to_twelve_digits(pin: str) -> None:
    with pytest.raises(PinRefused):
        seal_block(_digits(pin), PAN, TDES)


def test_the_digits_are_wiped_when_they_have_been_used() -> None:
    with open_block(seal_block(_digits("9876"), PAN, AES), PAN, AES) as pin:
        assert list(pin) == [9, 8, 7, 6]
    assert list(pin) == [0, 0, 0, 0]


def test_the_digits_are_wiped_when_their_use_failed() -> None:
    kept: list[bytearray] = []

    def use() -> None:
        with open_block(seal_block(_digits("9876"), PAN, TDES), PAN, TDES) as pin:
            kept.append(pin)
            raise LookupError

    with pytest.raises(LookupError):
        use()
    assert list(kept[0]) == [0, 0, 0, 0]
