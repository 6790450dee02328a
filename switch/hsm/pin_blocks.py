"""PIN blocks of ISO 9564-1: format 0 under TDES, format 4 under AES.

What is clear lives in `bytearray`s, which are wiped before a function is left; the digits that `open_block` gives out
are the caller's to wipe. Python may have made copies that nobody can reach: this is a stand-in for a hardware module,
not one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_bytes
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from switch.hsm.key_ring import Key, KeyKind
from switch.hsm.ports import INVALID_BLOCK, PinRefused

PIN_DIGITS_MIN: Final = 4
PIN_DIGITS_MAX: Final = 12
_PAN_DIGITS_MIN: Final = 13
_PAN_DIGITS_MAX: Final = 19
_FILL_0: Final = 0xF
_FILL_4: Final = 0xA
_DOUBLE_KEY: Final = 16
_HEX: Final = frozenset("0123456789ABCDEF")
_BLOCK_BYTES: Final = {KeyKind.TDES: 8, KeyKind.AES: 16}


@contextmanager
def open_block(block: str, pan: str, key: Key) -> Iterator[bytearray]:
    """The digits of the PIN in an encrypted block, one value 0 to 9 each, wiped when the context is left.

    `block` is upper-case hex. Raises PinRefused (126) when it is none, or holds no PIN under this key for this card.
    """
    check_shape(block, pan, key)
    data = bytes.fromhex(block)
    clear = bytearray(len(data))
    pin = bytearray()
    try:
        if key.kind is KeyKind.TDES:
            _decrypt(key, data, clear)
            _mix(clear, _account_field(pan))
            _read_pin_field(clear, control=0, fill=_FILL_0, pin=pin)
        else:
            _decrypt(key, data, clear)
            _mix(clear, _account_field_4(pan))
            _decrypt(key, bytes(clear), clear)
            _read_pin_field(clear[:8], control=4, fill=_FILL_4, pin=pin)
        yield pin
    finally:
        wipe(clear)
        wipe(pin)


def seal_block(pin: bytearray, pan: str, key: Key) -> str:
    """An encrypted block that holds the PIN, upper-case hex: format 0 for a TDES key, format 4 for an AES key."""
    _check_pan(pan)
    is_tdes = key.kind is KeyKind.TDES
    clear = bytearray(_BLOCK_BYTES[key.kind])
    try:
        _write_pin_field(pin, control=0 if is_tdes else 4, fill=_FILL_0 if is_tdes else _FILL_4, field=clear)
        if is_tdes:
            _mix(clear, _account_field(pan))
            return _encrypt(key, clear).hex().upper()
        # ISO 9564-1, 9.3.5: eight random bytes, so that one PIN of one card gives another block each time.
        clear[8:] = token_bytes(8)
        inner = bytearray(_encrypt(key, clear))
        _mix(inner, _account_field_4(pan))
        return _encrypt(key, inner).hex().upper()
    finally:
        wipe(clear)


def check_shape(block: str, pan: str, key: Key) -> None:
    """Raise PinRefused (126) when the block or the card number cannot be one, whatever is in it."""
    digits = 2 * _BLOCK_BYTES[key.kind]
    if len(block) != digits or not set(block) <= _HEX:
        raise PinRefused(INVALID_BLOCK, f"a PIN block under a key for {key.kind} has {digits} digits of hex")
    _check_pan(pan)


def wipe(buffer: bytearray) -> None:
    """Overwrite what was secret."""
    for place in range(len(buffer)):
        buffer[place] = 0


def cipher_of(key: Key) -> Cipher[modes.ECB]:
    """The key's cipher on single blocks."""
    material = key.need_material()
    if key.kind is KeyKind.AES:
        return Cipher(AES(material), modes.ECB())  # noqa: S305 - one block at a time, as the standard has it
    if len(material) == _DOUBLE_KEY:
        material += material[:8]
    return Cipher(TripleDES(material), modes.ECB())  # noqa: S305


def _check_pan(pan: str) -> None:
    if not (pan.isascii() and pan.isdigit() and _PAN_DIGITS_MIN <= len(pan) <= _PAN_DIGITS_MAX):
        raise PinRefused(INVALID_BLOCK, f"a card number has {_PAN_DIGITS_MIN} to {_PAN_DIGITS_MAX} digits")


def _account_field(pan: str) -> bytes:
    """ISO 9564-1, 9.3.2.3: the twelve rightmost digits without the check digit."""
    return bytes.fromhex("0000" + pan[-13:-1])


def _account_field_4(pan: str) -> bytes:
    """ISO 9564-1, 9.3.5.3: how many digits there are beyond twelve, the digits, zeros."""
    return bytes.fromhex(f"{len(pan) - 12}{pan}".ljust(32, "0"))


def _mix(buffer: bytearray, field: bytes) -> None:
    for place, value in enumerate(field):
        buffer[place] ^= value


def _decrypt(key: Key, data: bytes, into: bytearray) -> None:
    decryptor = cipher_of(key).decryptor()
    room = bytearray(2 * len(data))
    try:
        size = decryptor.update_into(data, room)
        into[:] = room[:size]
    finally:
        wipe(room)


def _encrypt(key: Key, data: bytearray) -> bytes:
    return cipher_of(key).encryptor().update(data)


def _read_pin_field(field: bytearray, *, control: int, fill: int, pin: bytearray) -> None:
    """Append the digits to `pin`. Looks at every nibble, whatever the first ones are."""
    nibbles = bytearray(nibble for byte in field for nibble in (byte >> 4, byte & 0xF))
    try:
        length = nibbles[1]
        sound = nibbles[0] == control and PIN_DIGITS_MIN <= length <= PIN_DIGITS_MAX
        for place, nibble in enumerate(nibbles[2:]):
            sound &= nibble <= 9 if place < length else nibble == fill
        if not sound:
            raise PinRefused(INVALID_BLOCK, "the block holds no PIN for this card under this key")
        pin.extend(nibbles[2 : 2 + length])
    finally:
        wipe(nibbles)
        wipe(field)


def _write_pin_field(pin: bytearray, *, control: int, fill: int, field: bytearray) -> None:
    """Write the first eight bytes of `field`."""
    if not PIN_DIGITS_MIN <= len(pin) <= PIN_DIGITS_MAX:
        raise PinRefused(INVALID_BLOCK, f"a PIN has {PIN_DIGITS_MIN} to {PIN_DIGITS_MAX} digits")
    nibbles = bytearray([control, len(pin), *pin, *[fill] * (14 - len(pin))])
    for place in range(8):
        field[place] = nibbles[2 * place] << 4 | nibbles[2 * place + 1]
    wipe(nibbles)
