"""PIN verification values by the Visa method (PVV): what an issuer keeps in place of a PIN.

Four digits under a TDES key pair, from the card number and the first four digits of the PIN. A reference, as this
switch keeps it, is the digit of the key's index and the value: `12345`, as both stand on a card's magnetic stripe.
"""

import hmac
import re
from typing import Final

from postrail.domain.errors import Permanent, ReasonCode
from switch.hsm.key_ring import Key
from switch.hsm.pin_blocks import cipher_of, wipe

_PAN_DIGITS: Final = 11
_PIN_DIGITS: Final = 4
_VALUE_DIGITS: Final = 4
_REFERENCE: Final = re.compile(r"[1-6][0-9]{4}")


def make_reference(pin: bytearray, pan: str, *, key: Key, index: int) -> str:
    """The reference of a PIN under the verification key of this index, 1 to 6."""
    return f"{index}{_value(pin, pan, key, index)}"


def matches(pin: bytearray, pan: str, *, key: Key, reference: str) -> bool:
    """Whether a reference is this PIN's. Takes as long whichever digit differs.

    Raises Permanent when the text is no reference.
    """
    index, value = split_reference(reference)
    return hmac.compare_digest(_value(pin, pan, key, index), value)


def split_reference(reference: str) -> tuple[int, str]:
    """Key index and verification value. Raises Permanent when the text is no reference; it is not shown."""
    if not _REFERENCE.fullmatch(reference):
        raise Permanent(ReasonCode.INVALID_VALUE, "a PIN reference is a key index, 1 to 6, and four digits")
    return int(reference[0]), reference[1:]


def _value(pin: bytearray, pan: str, key: Key, index: int) -> str:
    digits = bytearray([*map(int, pan[-_PAN_DIGITS - 1 : -1]), index, *pin[:_PIN_DIGITS]])
    clear = bytearray(digits[place] << 4 | digits[place + 1] for place in range(0, len(digits), 2))
    try:
        scrambled = cipher_of(key).encryptor().update(clear).hex()
    finally:
        wipe(digits)
        wipe(clear)
    # First the digits that are decimal, from the left; when they do not suffice, the others less ten.
    decimal = [each for each in scrambled if each.isdigit()] + [
        str(int(each, 16) - 10) for each in scrambled if not each.isdigit()
    ]
    return "".join(decimal[:_VALUE_DIGITS])
