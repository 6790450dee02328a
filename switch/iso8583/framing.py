"""How a message's length stands before it on the wire, and how a stream of bytes falls into messages.

Bytes in, messages out; no socket. A frame whose length cannot be believed leaves no way to find the next one, so it
breaks the stream; whatever is wrong within a frame does not.
"""

from enum import StrEnum
from typing import Final

from switch.iso8583.message import Fault, MessageInvalid

TPDU_BYTES: Final = 5


class FramingKind(StrEnum):
    """The kinds of length header. Lengths count the message alone unless said otherwise; a TPDU is part of it."""

    BINARY_2 = "binary_2"
    BINARY_2_INCLUSIVE = "binary_2_inclusive"
    """Counts its own two bytes too."""
    BINARY_4 = "binary_4"
    ASCII_4 = "ascii_4"
    BCD_2 = "bcd_2"


_HEADER_BYTES: Final = {
    FramingKind.BINARY_2: 2,
    FramingKind.BINARY_2_INCLUSIVE: 2,
    FramingKind.BINARY_4: 4,
    FramingKind.ASCII_4: 4,
    FramingKind.BCD_2: 2,
}
_LENGTH_MAX: Final = {
    FramingKind.BINARY_2: 0xFFFF,
    FramingKind.BINARY_2_INCLUSIVE: 0xFFFF - 2,
    FramingKind.BINARY_4: 0xFFFF_FFFF,
    FramingKind.ASCII_4: 9999,
    FramingKind.BCD_2: 9999,
}


class Framing:
    """Writes and reads length headers of one kind. Frames hold at most `frame_bytes_max` after the header."""

    def __init__(self, kind: FramingKind, frame_bytes_max: int) -> None:
        self.kind = kind
        self.header_bytes = _HEADER_BYTES[kind]
        self.frame_bytes_max = min(frame_bytes_max, _LENGTH_MAX[kind])

    def write(self, body: bytes) -> bytes:
        """A frame. An empty body is a keep-alive. Raises MessageInvalid when the body is too long."""
        length = len(body)
        if length > self.frame_bytes_max:
            raise MessageInvalid(Fault.TOO_LONG, "", f"{length} bytes; a frame takes {self.frame_bytes_max}")
        return self._write_length(length) + body

    def _write_length(self, length: int) -> bytes:
        match self.kind:
            case FramingKind.ASCII_4:
                return b"%04d" % length
            case FramingKind.BCD_2:
                return bytes.fromhex(f"{length:04d}")
            case FramingKind.BINARY_2_INCLUSIVE:
                length += 2
        return length.to_bytes(self.header_bytes, "big")

    def read_length(self, header: bytes) -> int:
        """The length of what follows a header. Raises MessageInvalid when it cannot be believed."""
        match self.kind:
            case FramingKind.ASCII_4:
                length = int(header) if header.isdigit() else -1
            case FramingKind.BCD_2:
                digits = header.hex()
                length = int(digits) if digits.isdecimal() else -1
            case FramingKind.BINARY_2_INCLUSIVE:
                length = int.from_bytes(header, "big") - 2
            case _:
                length = int.from_bytes(header, "big")
        if length < 0:
            raise MessageInvalid(Fault.BAD_LENGTH, "", "the frame's length is no number of bytes")
        if length > self.frame_bytes_max:
            raise MessageInvalid(Fault.TOO_LONG, "", f"a frame of {length} bytes; at most {self.frame_bytes_max}")
        return length


class FrameReader:
    """Cuts a stream into frames. Holds at most one frame that is not whole."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._rest = b""
        self._wanted = framing.header_bytes
        self.broken: MessageInvalid | None = None

    @property
    def mid_frame(self) -> bool:
        """Whether the stream stands within a frame."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies of all frames that are whole now, empty ones too. After a fault, `broken` is set and none come."""
        if self.broken is not None:
            return []
        stream = self._rest + bytes(data)
        # a frame that comes byte by byte is not looked at before it is whole
        if len(stream) < self._wanted:
            self._rest = stream
            return []
        return self._cut(stream)

    def _cut(self, stream: bytes) -> list[bytes]:
        header_bytes = self._framing.header_bytes
        bodies: list[bytes] = []
        place, end = 0, len(stream)
        self._wanted = header_bytes
        while end - place >= header_bytes:
            try:
                length = self._framing.read_length(stream[place : place + header_bytes])
            except MessageInvalid as error:
                # without the calls that it came from: they hold all that came with it, for as long as this reader
                self.broken = error.with_traceback(None)
                self._rest = b""
                return bodies
            start = place + header_bytes
            if end - start < length:
                self._wanted = header_bytes + length
                break
            place = start + length
            bodies.append(stream[start:place])
        self._rest = stream[place:]
        return bodies

    def finish(self) -> None:
        """The stream has ended. Within a frame that is a fault: `broken` is set."""
        if self._rest and self.broken is None:
            self.broken = MessageInvalid(Fault.TOO_SHORT, "", "the stream ended within a frame")
            self._rest = b""
