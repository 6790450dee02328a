"""Measures how fast messages are written and read in each dialect that ships: framing, checks, translation included.

One process, one core. The message is an authorization request of the size that terminals send; what was written is read
back and compared before any time counts.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from statistics import median
from typing import Any, Final

from postrail.domain.errors import PostrailError
from switch.iso8583.dialect import list_dialects, load_dialect
from switch.iso8583.framing import FramingKind
from switch.iso8583.mac import Mac, MacKind
from switch.iso8583.message import Message
from switch.iso8583.wire import Wire

_RUNS: Final = 7
_MESSAGES_PER_RUN: Final = 2000
_TODAY: Final = date(2026, 11, 21)
"""The day of the message: 1987 leaves years out, and they are guessed from the day of reading."""
_REQUEST: Final = Message(
    "1100",
    {
        2: "4761340000000019",
        3: "000000",
        4: "000000012345",
        7: "1121010203",
        11: "000001",
        12: "261121010203",
        14: "2912",
        22: "510101500304",
        24: "100",
        26: "5411",
        32: "900001",
        37: "632501000001",
        41: "TERM0001",
        42: "MERCHANT0000001",
        49: "826",
    },
)


class CodecCheckFailed(PostrailError):
    """A message was not read as it was written: the times of such a run mean nothing."""


@dataclass(frozen=True, slots=True)
class CodecRate:
    """One dialect: messages a second, and microseconds for one, medians over the runs."""

    dialect: str
    mac: str | None
    message_bytes: int
    encode_per_s: int
    decode_per_s: int
    encode_us: float
    decode_us: float


def measure_codec(*, runs: int = _RUNS, messages: int = _MESSAGES_PER_RUN) -> dict[str, Any]:
    """Write and read `messages` authorization requests, `runs` times for each dialect; JSON-able.

    Keys: `fields` (elements of the message), `runs`, `messages`, and `dialects`, each with those of CodecRate; the last
    has a MAC. Raises CodecCheckFailed.
    """
    wires = [(name, None) for name in list_dialects()]
    rates = [_measure(name, mac, runs, messages) for name, mac in [*wires, ("iso8583-1993-binary", MacKind.CMAC)]]
    return {
        "fields": len(_REQUEST.fields),
        "runs": runs,
        "messages": messages,
        "dialects": [asdict(rate) for rate in rates],
    }


def _measure(name: str, mac: MacKind | None, runs: int, messages: int) -> CodecRate:
    key = Mac(mac, bytes(range(16))) if mac else None
    wire = Wire(load_dialect(name), FramingKind.BINARY_2, mac=key, today=lambda: _TODAY)
    written = wire.encode(_REQUEST)
    reader = wire.reader()
    if reader.feed(written) != [_REQUEST]:
        raise CodecCheckFailed(f"{name}: what was written was not read again")
    encode_us = _microseconds(lambda: wire.encode(_REQUEST), runs, messages)
    decode_us = _microseconds(lambda: reader.feed(written), runs, messages)
    return CodecRate(
        dialect=name,
        mac=mac.value if mac else None,
        message_bytes=len(written),
        encode_per_s=round(1e6 / encode_us),
        decode_per_s=round(1e6 / decode_us),
        encode_us=round(encode_us, 2),
        decode_us=round(decode_us, 2),
    )


def _microseconds(work: Callable[[], object], runs: int, messages: int) -> float:
    """Microseconds of one call, the median over the runs."""
    times = []
    for _ in range(runs):
        started = time.perf_counter_ns()
        for _ in range(messages):
            work()
        times.append((time.perf_counter_ns() - started) / 1000 / messages)
    return median(times)
