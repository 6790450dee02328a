"""What is asked of a hardware security module. Clear PINs and keys never enter our process through it."""

from typing import Protocol


class PinRefused(Exception):
    """The PIN block cannot be used; `action_code` says why (ISO 8583:1993 DE 39: 117 wrong, 126 invalid block)."""

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
        """Whether the block holds the PIN that `reference` (the issuer's PIN verification value) stands for."""
        ...

    async def make_pin_reference(self, block: str, pan: str, *, key: str) -> str:
        """The PIN verification value of a new PIN, for the issuer to keep."""
        ...

    async def mac_key(self, name: str) -> bytes:
        """A message authentication key that links use at speed. Raises Permanent when there is none of this name."""
        ...
