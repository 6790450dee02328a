"""What a link's end needs: messages of ISO 8583:1993 on the inside, framed bytes of a peer's dialect on the outside.

A state machine without a socket: bytes go in, messages come out. One message that cannot be read is a `Rejected` among
its neighbours, with the answer that it gets; only a frame whose length cannot be believed ends the stream.
"""

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from typing import Final

from switch.iso8583.codec import Codec
from switch.iso8583.dialect import Dialect, load_dialect
from switch.iso8583.framing import TPDU_BYTES, FrameReader, Framing, FramingKind
from switch.iso8583.mac import Mac
from switch.iso8583.message import Fault, Message, MessageInvalid, is_request, is_response, response_mti
from switch.iso8583.versions import to_1987, to_1993

MESSAGE_BYTES_MAX: Final = 8192
FORMAT_ERROR: Final = "904"
MAC_INCORRECT: Final = "916"
_ECHOED: Final[tuple[int, ...]] = (3, 4, 7, 11, 12, 32, 37, 41, 42, 49)
"""What the answer to a message that cannot be read tells of it: nothing of the card."""
_WITHOUT_DATES: Final[tuple[int, ...]] = (3, 11, 32, 37, 41, 42)
_STAN: Final = 11
_MTI_1993 = re.compile("1[1-8][0-4][0-5]")
_ZERO_MAC: Final = "0" * 16
DEFAULT_TPDU: Final = bytes.fromhex("6000000000")
"""The transport header of a request that came with none: its kind, to whom, from whom."""


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """A frame of no length: the peer is there."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that is not believed. `answer`, when there is one, is ready to be sent back: DE 39 is 904, or 916."""

    error: MessageInvalid
    answer: Message | None


Received = Message | Rejected | KeepAlive


class Wire:
    """Writes and reads the messages of one kind of peer. Holds no state of a connection: that is in its readers."""

    def __init__(
        self,
        dialect: Dialect,
        framing: FramingKind,
        *,
        tpdu: bool = False,
        mac: Mac | None = None,
        message_bytes_max: int = MESSAGE_BYTES_MAX,
        today: Callable[[], date] | None = None,
    ) -> None:
        self.dialect = dialect
        self._codec = dialect.codec
        self._framing = Framing(framing, message_bytes_max + (TPDU_BYTES if tpdu else 0))
        self._tpdu = tpdu
        self._mac = mac
        self._today = today or _utc_today
        self._old = dialect.version == 1987

    @property
    def keep_alive(self) -> bytes:
        """A frame of no length."""
        return self._framing.write(b"")

    def encode(self, message: Message) -> bytes:
        """One framed message. Raises MessageInvalid when the dialect cannot say it."""
        written = self._write(message)
        if self._tpdu:
            written = _outgoing_tpdu(message) + written
        return self._framing.write(written)

    def _write(self, message: Message) -> bytes:
        if self._old:
            message = self._in_old_terms(message)
        if self._mac is None:
            return self._codec.encode(message)
        fields = {number: value for number, value in message.fields.items() if number not in {64, 128}}
        fields[128 if max(fields, default=0) > 64 else 64] = _ZERO_MAC
        written = self._codec.encode(Message(message.mti, fields))[: -self._codec.mac_width]
        return written + self._codec.write_mac(self._mac.code(written))

    def reader(self) -> "WireReader":
        """A reader for one connection."""
        return WireReader(self, FrameReader(self._framing))

    def read_frame(self, body: bytes) -> Received:
        """What one frame holds. Raises nothing: what cannot be read is a Rejected."""
        if not body:
            return KeepAlive()
        header = b""
        if self._tpdu:
            if len(body) < TPDU_BYTES:
                return Rejected(MessageInvalid(Fault.TOO_SHORT, "h", "the message ends within its TPDU"), None)
            header, body = body[:TPDU_BYTES], body[TPDU_BYTES:]
        try:
            message = self._read(body)
        except MessageInvalid as error:
            return Rejected(_alone(error), self._answer_to(error, header))
        message.header = header
        return message

    def _read(self, written: bytes) -> Message:
        if self._mac is not None:
            self._check_mac(written)
        message = self._codec.decode(written)
        if self._mac is not None:
            # it has done its work here, and another link has another key
            message.fields.pop(64, None)
            message.fields.pop(128, None)
        if self._old:
            message = self._in_new_terms(message)
        return message

    def _in_old_terms(self, message: Message) -> Message:
        if not isinstance(message.mti, str) or _MTI_1993.fullmatch(message.mti) is None:
            raise MessageInvalid(Fault.BAD_MTI, "t", "no message type of 1993")
        _standard_1993().check_values(message)
        return to_1987(message)

    def _in_new_terms(self, message: Message) -> Message:
        try:
            translated = to_1993(message, self._today())
            _standard_1993().check_values(translated)
        except MessageInvalid as error:
            error.partial = message
            raise
        except (ValueError, IndexError) as error:
            # only a dialect of a user's own lets through what the standard's formats do not
            detail = "an element cannot be told in terms of 1993"
            raise MessageInvalid(Fault.BAD_CONTENT, "", detail, message) from error
        return translated

    def _check_mac(self, written: bytes) -> None:
        """Before anything of the message is believed. Raises MessageInvalid."""
        parts = self._codec.split_mac(written)
        if self._mac is None or parts is None:
            raise self._distrust(written, "64", "there is no MAC, and every message here has one")
        data, code = parts
        if not hmac.compare_digest(self._codec.write_mac(self._mac.code(data)), code):
            raise self._distrust(written, "64", "the MAC is not that of the message")

    def _distrust(self, written: bytes, path: str, detail: str) -> MessageInvalid:
        """The error of a MAC; the message is read for its answer's sake alone."""
        try:
            partial: Message | None = self._codec.decode(written)
        except MessageInvalid as error:
            partial = error.partial
        return MessageInvalid(Fault.MAC_INVALID, path, detail, partial)

    def _answer_to(self, error: MessageInvalid, header: bytes) -> Message | None:
        """The answer, when a request was recognised and its STAN tells the peer which."""
        partial = error.partial
        if partial is None or not is_request(partial.mti) or _STAN not in partial.fields:
            return None
        echoed = (*_ECHOED, 13) if self._old else _ECHOED
        fields: dict[int, str] = {number: partial.fields[number] for number in echoed if number in partial.fields}
        fields[39] = MAC_INCORRECT if error.fault is Fault.MAC_INVALID else FORMAT_ERROR
        answer = Message(response_mti(partial.mti), fields, header)
        try:
            if self._old:
                answer = self._answer_in_new_terms(answer)
            self._write(answer)
        except MessageInvalid:
            # a dialect of a user's own may ask more of answers than a bad message can give
            return None
        return answer

    def _answer_in_new_terms(self, answer: Message) -> Message:
        """What of it cannot be said in 1993 is left out, all but the STAN. Raises MessageInvalid."""
        code = answer.fields.pop(39)
        try:
            told = self._in_new_terms(answer)
        except MessageInvalid:
            kept = {number: answer.fields[number] for number in _WITHOUT_DATES if number in answer.fields}
            told = self._in_new_terms(Message(answer.mti, kept, answer.header))
        told.fields[39] = code
        return told


class WireReader:
    """Reads one connection."""

    def __init__(self, wire: Wire, frames: FrameReader) -> None:
        self._wire = wire
        self._frames = frames

    @property
    def broken(self) -> MessageInvalid | None:
        """Why nothing more can be read from this connection; None while all is well."""
        return self._frames.broken

    @property
    def mid_frame(self) -> bool:
        """Whether a part of a message has come and its rest has not."""
        return self._frames.mid_frame

    def feed(self, data: bytes) -> list[Received]:
        """What has come with these bytes; nothing more once the stream is broken."""
        return [self._wire.read_frame(body) for body in self._frames.feed(data)]

    def finish(self) -> None:
        """The peer sends no more: within a frame that sets `broken`."""
        self._frames.finish()


def _alone(error: MessageInvalid) -> MessageInvalid:
    """The error without the calls that it came from: they hold the message, and whoever has it, in a circle."""
    error.__context__ = error.__cause__ = None
    return error.with_traceback(None)


def _outgoing_tpdu(message: Message) -> bytes:
    """The transport header: an answer goes back to the address that its request came from."""
    header = message.header
    if len(header) != TPDU_BYTES:
        return DEFAULT_TPDU
    if is_response(message.mti):
        return header[:1] + header[3:5] + header[1:3]
    return header


@cache
def _standard_1993() -> Codec:
    return load_dialect("iso8583-1993-ascii").codec


def _utc_today() -> date:
    return datetime.now(UTC).date()
