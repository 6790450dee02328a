"""Message authentication codes: DE 64, or 128 when there is a secondary bitmap (ISO 8583:1993, 4.4.14)."""

import hmac
from enum import StrEnum
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from switch.iso8583.elements import MAC_BYTES

_DES_BLOCK: Final = 8
_DES_KEY: Final = 8


class MacKind(StrEnum):
    """The algorithms: ISO/IEC 9797-1 algorithm 3 with DES ("retail MAC"), and CMAC with AES (algorithm 5)."""

    RETAIL = "retail"
    CMAC = "cmac"


class MacPadding(StrEnum):
    """How the last block is filled for algorithm 3 (ISO/IEC 9797-1, 6.3): method 1 with zeros, 2 with a bit first."""

    METHOD_1 = "method_1"
    METHOD_2 = "method_2"


class Mac:
    """Makes and checks codes of 8 bytes under one key.

    `key` has 16 bytes for RETAIL (both halves differ), 16, 24 or 32 for CMAC, whose code is cut to its first 8 bytes.
    Raises ValueError for another length.
    """

    def __init__(self, kind: MacKind, key: bytes, *, padding: MacPadding = MacPadding.METHOD_1) -> None:
        self.kind = kind
        self._padding = padding
        if kind is MacKind.CMAC:
            self._aes = AES(key)
            return
        if len(key) != 2 * _DES_KEY:
            raise ValueError("a key of the retail MAC has 16 bytes")
        # single DES is triple DES with one key three times over
        self._chain = TripleDES(key[:_DES_KEY] * 3)
        self._last = TripleDES(key + key[:_DES_KEY])

    def __repr__(self) -> str:
        """The kind alone: the key must not be printed."""
        return f"Mac({self.kind.value})"

    def code(self, data: bytes) -> bytes:
        """The code over `data`: 8 bytes."""
        if self.kind is MacKind.CMAC:
            cmac = CMAC(self._aes)
            cmac.update(data)
            return cmac.finalize()[:MAC_BYTES]
        return self._retail(data)

    def fits(self, data: bytes, code: bytes) -> bool:
        """Whether `code` is the one over `data`. Takes equally long wherever they differ."""
        return hmac.compare_digest(self.code(data), code)

    def _retail(self, data: bytes) -> bytes:
        """ISO/IEC 9797-1, 7.3: DES in CBC under the first half, the last block decrypted and encrypted once more."""
        padded = self._pad(data)
        chained = b"\x00" * _DES_BLOCK
        if len(padded) > _DES_BLOCK:
            encryptor = Cipher(self._chain, modes.CBC(b"\x00" * _DES_BLOCK)).encryptor()
            chained = encryptor.update(padded[:-_DES_BLOCK])[-_DES_BLOCK:]
        # E(K1, D(K2, E(K1, last block + chain))) is one encryption with two-key triple DES
        return Cipher(self._last, modes.CBC(chained)).encryptor().update(padded[-_DES_BLOCK:])

    def _pad(self, data: bytes) -> bytes:
        if self._padding is MacPadding.METHOD_2:
            data += b"\x80"
        elif not data:
            return b"\x00" * _DES_BLOCK
        return data + b"\x00" * (-len(data) % _DES_BLOCK)
