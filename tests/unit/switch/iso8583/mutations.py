"""What the tests spoil: valid messages of every dialect."""

from collections.abc import Sequence

from tests.unit.switch.iso8583.samples import DIALECTS, messages_of

from switch.iso8583.dialect import load_dialect


def corpus(dialects: Sequence[str] = DIALECTS) -> list[bytes]:
    """Valid messages of the dialects, without framing."""
    return [load_dialect(name).encode(message) for name in dialects for message in messages_of(name)]
