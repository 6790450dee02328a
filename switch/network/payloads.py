"""What is kept of a message until its bank has it: sealed, and never its PIN, track or chip data."""

import os
from typing import Final, Protocol

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from postrail.domain.errors import Permanent, ReasonCode
from switch.iso8583.message import Message

NEVER_KEPT: Final = frozenset({35, 36, 45, 52, 53, 55, 64, 96, 128})
"""Track data, PIN block, security control data, chip data (it repeats the track), codes, keys: of use only online."""
_NONCE_BYTES: Final = 12
_FORMAT: Final = b"\x01"


class PayloadCipher(Protocol):
    """Seals what rests in the database. `context` is bound to it: it opens under the same context alone."""

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Encrypt and authenticate."""
        ...

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """What was sealed. Raises Permanent when it was changed, or sealed under another key or context."""
        ...


class AesGcmCipher:
    """`PayloadCipher` by AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces, under a key of this process.

    A key may seal 2**32 times (section 8.3): at a thousand timeouts a second that is seven weeks without a pause.
    """

    def __init__(self, key: bytes) -> None:
        """`key` has 32 bytes; raises ValueError otherwise."""
        if len(key) != 32:
            msg = f"a sealing key has 32 bytes, this one has {len(key)}"
            raise ValueError(msg)
        self._aes = AESGCM(key)

    def __repr__(self) -> str:
        """No key."""
        return "AesGcmCipher()"

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """One byte of format, the nonce, the ciphertext with its tag."""
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT + nonce + self._aes.encrypt(nonce, plain, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """See the port."""
        if sealed[:1] != _FORMAT:
            raise Permanent(ReasonCode.INVALID_VALUE, "a stored message has an unknown seal")
        body = sealed[1:]
        try:
            return self._aes.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            raise Permanent(ReasonCode.INVALID_VALUE, "the seal of a stored message is broken") from None


def seal_message(cipher: PayloadCipher, message: Message, context: str) -> bytes:
    """A message for the database: sealed, without what must not rest."""
    fields = {str(number): value for number, value in message.fields.items() if number not in NEVER_KEPT}
    return cipher.seal(orjson.dumps({"mti": message.mti, "fields": fields}), context.encode())


def open_message(cipher: PayloadCipher, sealed: bytes, context: str) -> Message:
    """The message again. Raises Permanent."""
    kept = orjson.loads(cipher.open(sealed, context.encode()))
    return Message(kept["mti"], {int(number): value for number, value in kept["fields"].items()})
