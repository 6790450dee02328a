"""A stand-in for a hardware security module, on one machine and in tests.

Keys are in the memory of this process, and a PIN is clear in it while a block is opened: in production PINs belong into
a real module (`switch.hsm.payment_cryptography`).
"""

from typing import Final

from postrail.domain.errors import Permanent, ReasonCode
from switch.hsm import verification_values
from switch.hsm.key_ring import Key, KeyKind, KeyRing, asked_for_pins
from switch.hsm.pin_blocks import open_block, seal_block

VERIFICATION_KEY: Final = "pin-verification"
"""The name of the issuer's key for PIN verification values."""
_INDEXES: Final = range(1, 7)


class SoftwareHsm:
    """Fills `switch.hsm.ports.Hsm` from a ring of keys that are given as bytes.

    `verification_key` names the issuer's key for PIN verification values, `verification_index` tells its generation.
    """

    def __init__(self, keys: KeyRing, *, verification_key: str = VERIFICATION_KEY, verification_index: int = 1) -> None:
        if verification_index not in _INDEXES:
            raise Permanent(ReasonCode.INVALID_VALUE, "the index of a verification key is 1 to 6")
        self._keys = keys
        self._verification_key = verification_key
        self._verification_index = verification_index

    async def translate_pin(self, block: str, pan: str, *, from_key: str, to_key: str) -> str:
        """The block under another zone key, in the format of that key's kind. See the port.

        The card number stays the same, so that a PIN cannot be moved to another card (ISO 9564-1, 9.5).
        """
        with asked_for_pins(), open_block(block, pan, self._keys.find(from_key)) as pin:
            return seal_block(pin, pan, self._keys.find(to_key))

    async def verify_pin(self, block: str, pan: str, *, key: str, reference: str) -> bool:
        """Whether the block holds the PIN of the reference. See the port."""
        with asked_for_pins(), open_block(block, pan, self._keys.find(key)) as pin:
            verification = self._find_verification_key()
            return verification_values.matches(pin, pan, key=verification, reference=reference)

    async def make_pin_reference(self, block: str, pan: str, *, key: str) -> str:
        """The reference of a new PIN. See the port."""
        with asked_for_pins(), open_block(block, pan, self._keys.find(key)) as pin:
            verification = self._find_verification_key()
            return verification_values.make_reference(pin, pan, key=verification, index=self._verification_index)

    async def mac_key(self, name: str) -> bytes:
        """The bytes of a key. See the port."""
        return self._keys.find(name).need_material()

    def _find_verification_key(self) -> Key:
        key = self._keys.find(self._verification_key)
        if key.kind is not KeyKind.TDES:
            raise Permanent(ReasonCode.INVALID_VALUE, f"key {key.name}: PIN verification values need a key for TDES")
        return key
