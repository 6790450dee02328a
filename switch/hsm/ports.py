"""What is asked of a hardware security module. Clear PINs and keys never enter our process through it."""

from typing import Final, Protocol

INVALID_BLOCK: Final = "126"
KEY_UNUSABLE: Final = "128"


class PinRefused(Exception):
    """The PIN block cannot be used; `action_code` says why (ISO 8583:1993 DE 39).

    INVALID_BLOCK: it holds no PIN of this card under this key. KEY_UNUSABLE: there is no such key, the module does not
    let us use it, or the card's reference is none; nobody can try a PIN until somebody corrects that.
    """

    def __init__(self, action_code: str, detail: str) -> None:
        super().__init__(detail)
        self.action_code = action_code


class Hsm(Protocol):
    """PIN blocks in and out, under keys known by name.

    Blocks are upper-case hex (DE 52), ISO 9564-1 formats 0 and 4.
    """

    async def translate_pin(self, block: str, pan: str, *, from_key: str, to_key: str) -> str:
        """The block under another zone key. Raises PinRefused, and Retryable when the module cannot be asked."""
        ...

    async def verify_pin(self, block: str, pan: str, *, key: str, reference: str) -> bool:
        """Whether the block holds the PIN that `reference` (the issuer's PIN verification value) stands for.

        Raises as translate_pin does.
        """
        ...

    async def make_pin_reference(self, block: str, pan: str, *, key: str) -> str:
        """The PIN verification value of a new PIN, for the issuer to keep. Raises as translate_pin does."""
        ...

    async def mac_key(self, name: str) -> bytes:
        """A message authentication key that links use at speed. Raises Permanent when there is none of this name."""
        ...
