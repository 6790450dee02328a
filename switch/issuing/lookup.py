"""Finds cards by a keyed hash of their number, so that the number itself is neither stored nor compared."""

import hashlib
import hmac
from typing import Final

KEY_BYTES: Final = 32
"""A key as long as the hash's output: the least that RFC 2104 section 3 recommends."""


class HmacPanLookup:
    """`ports.PanLookup`: HMAC-SHA-256 (RFC 2104) of the digits of a card number.

    Card numbers are few enough to try them all, so a plain hash of one hides nothing: the key is what keeps the
    values apart from their numbers, and it is guarded like the vault itself.
    """

    def __init__(self, key: bytes) -> None:
        """`key` has at least 32 bytes; raises ValueError otherwise."""
        if len(key) < KEY_BYTES:
            msg = f"a lookup key has at least {KEY_BYTES} bytes, this one has {len(key)}"
            raise ValueError(msg)
        # Copied for each number: the key's two blocks are hashed once.
        self._keyed = hmac.new(key, digestmod=hashlib.sha256)

    def __repr__(self) -> str:
        """No key."""
        return "HmacPanLookup()"

    def lookup(self, pan: str) -> bytes:
        """The 32 bytes that a card number is found by, the same for ever under one key."""
        keyed = self._keyed.copy()
        keyed.update(pan.encode("ascii"))
        return keyed.digest()
