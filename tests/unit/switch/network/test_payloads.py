"""What is kept of a message until its bank has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrail.domain.errors import Permanent
from switch.iso8583.message import Message
from switch.network.payloads import NEVER_KEPT, AesGcmCipher, open_message, seal_message

CIPHER = AesGcmCipher(b"k" * 32)


@given(st.dictionaries(st.integers(2, 128), st.text(max_size=40)))
def test_a_message_comes_back_without_what_must_not_rest(fields: dict[int, str]) -> None:
    opened = open_message(CIPHER, seal_message(CIPHER, Message("1420", fields), "key"), "key")
    assert opened == Message("1420", {n: value for n, value in fields.items() if n not in NEVER_KEPT})


def test_track_pin_and_chip_data_are_never_kept() -> None:
    assert {35, 36, 45, 52, 55} <= NEVER_KEPT


def test_a_sealed_message_shows_nothing_and_is_never_sealed_alike() -> None:
    message = Message("1420", {2: "4761340000000019"})
    one, two = (seal_message(CIPHER, message, "key") for _ in range(2))
    assert b"4761340000000019" not in one
    assert one != two


def test_it_opens_under_its_own_key_and_context_alone() -> None:
    """A payload that was moved to another row, or changed, or sealed under another key, is refused."""
    sealed = seal_message(CIPHER, Message("1420", {4: "1"}), "key")
    broken = [
        (CIPHER, sealed, "other"),
        (AesGcmCipher(b"x" * 32), sealed, "key"),
        (CIPHER, sealed[:-1] + bytes([sealed[-1] ^ 1]), "key"),
        (CIPHER, sealed[:5], "key"),
        (CIPHER, b"\x02" + sealed[1:], "key"),
        (CIPHER, b"", "key"),
    ]
    for cipher, data, context in broken:
        with pytest.raises(Permanent):
            open_message(cipher, data, context)


def test_a_key_has_32_bytes_and_is_not_shown() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        AesGcmCipher(b"short")
    assert repr(AesGcmCipher(b"k" * 32)) == "AesGcmCipher()"
