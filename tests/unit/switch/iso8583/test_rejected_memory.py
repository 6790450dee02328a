"""What was wrong with a message keeps nothing of the message alive: no bytes, no card number, no connection."""

import gc

import pytest
from tests.unit.switch.iso8583.samples import purchase

from switch.iso8583.dialect import load_dialect
from switch.iso8583.framing import FramingKind
from switch.iso8583.wire import Rejected, Wire, WireReader

WIRE = Wire(load_dialect("iso8583-1993-ascii"), FramingKind.BINARY_2)


class Peer:
    """Holds a reader and what came last, as a connection does."""

    def __init__(self) -> None:
        self.reader: WireReader = WIRE.reader()
        self.last: object = None

    def take(self, data: bytes) -> None:
        received = self.reader.feed(data)
        self.last = received[0] if received else None


def body() -> bytes:
    return WIRE.encode(purchase())[2:]


@pytest.mark.parametrize(
    "spoiled",
    [body()[:3], b"X" + body()[1:], body() + b"!", body().replace(b"000000012345", b"00000001234X"), body()[:-3]],
    ids=["no head", "no type", "trailing bytes", "bad amount", "cut off"],
)
def test_a_refused_message_is_forgotten_without_the_collector(spoiled: bytes) -> None:
    """Errors that remember their calls make circles, which live until the collector comes by."""
    peer = Peer()
    framed = len(spoiled).to_bytes(2, "big") + spoiled
    gc.collect()
    gc.disable()
    try:
        peer.take(framed)
        assert isinstance(peer.last, Rejected)
        error = peer.last.error
        assert (error.__traceback__, error.__context__, error.__cause__) == (None, None, None)
        del error
        peer.last = None
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_broken_stream_is_forgotten_with_its_reader() -> None:
    """The fault of a frame stands in its reader for as long as there is one, and all that came must not."""
    peer = Peer()
    gc.collect()
    gc.disable()
    try:
        peer.take(b"\xff\xff" + bytes(60_000))
        assert peer.reader.broken is not None
        assert peer.reader.broken.__traceback__ is None
        del peer
        assert gc.collect() == 0
    finally:
        gc.enable()
