"""Frames in a stream of bytes, of every kind, however the stream arrives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.iso8583.framing import FrameReader, Framing, FramingKind
from switch.iso8583.message import Fault, MessageInvalid

KINDS = list(FramingKind)


@pytest.mark.parametrize(
    ("kind", "header"),
    [
        (FramingKind.BINARY_2, "0102"),
        (FramingKind.BINARY_2_INCLUSIVE, "0104"),
        (FramingKind.BINARY_4, "00000102"),
        (FramingKind.ASCII_4, b"0258".hex()),
        (FramingKind.BCD_2, "0258"),
    ],
)
def test_each_kind_writes_its_own_length(kind: FramingKind, header: str) -> None:
    body = b"x" * 258
    assert Framing(kind, 1000).write(body) == bytes.fromhex(header) + body


@pytest.mark.parametrize("kind", KINDS)
@given(
    bodies=st.lists(st.binary(max_size=300), max_size=6),
    cuts=st.lists(st.integers(min_value=1, max_value=90), min_size=1, max_size=40),
)
def test_frames_come_out_as_they_went_in_wherever_the_stream_is_cut(
    kind: FramingKind, bodies: list[bytes], cuts: list[int]
) -> None:
    framing = Framing(kind, 1000)
    stream = b"".join(framing.write(body) for body in bodies)
    reader = FrameReader(framing)
    found: list[bytes] = []
    place = turn = 0
    while place < len(stream):
        step = cuts[turn % len(cuts)]
        found += reader.feed(stream[place : place + step])
        place, turn = place + step, turn + 1
    assert found == bodies
    assert reader.broken is None
    assert not reader.mid_frame


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_longer_than_allowed_breaks_the_stream_before_it_is_read(kind: FramingKind) -> None:
    header = Framing(kind, 9000).write(b"x" * 101)[: Framing(kind, 9000).header_bytes]
    reader = FrameReader(Framing(kind, 100))
    whole = Framing(kind, 100).write(b"first")
    assert reader.feed(whole + header) == [b"first"]
    assert reader.broken is not None
    assert reader.broken.fault is Fault.TOO_LONG
    assert reader.feed(whole) == []


@pytest.mark.parametrize(
    ("kind", "header"),
    [
        *(
            (FramingKind.ASCII_4, header)
            for header in (b"+010", b" 010", b"-001", b"1_00", b"00a0", b"\xb2\xb2\xb2\xb2")
        ),
        (FramingKind.BCD_2, b"\x0a\x10"),
        (FramingKind.BCD_2, b"\x10\xff"),
        (FramingKind.BINARY_2_INCLUSIVE, b"\x00\x01"),
        (FramingKind.BINARY_2_INCLUSIVE, b"\x00\x00"),
    ],
)
def test_a_length_that_is_no_number_breaks_the_stream(kind: FramingKind, header: bytes) -> None:
    reader = FrameReader(Framing(kind, 9999))
    assert reader.feed(header + b"x" * 20) == []
    assert reader.broken is not None
    assert reader.broken.fault is Fault.BAD_LENGTH


def test_the_greatest_length_of_four_bytes_is_refused_at_once() -> None:
    reader = FrameReader(Framing(FramingKind.BINARY_4, 8192))
    assert reader.feed(b"\xff\xff\xff\xff") == []
    assert reader.broken is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_that_ends_within_a_frame_is_broken_and_one_that_ends_after_it_is_not(kind: FramingKind) -> None:
    framing = Framing(kind, 100)
    whole = framing.write(b"whole")
    reader = FrameReader(framing)
    reader.feed(whole)
    reader.finish()
    assert reader.broken is None
    reader.feed(whole[:-1])
    assert reader.mid_frame
    reader.finish()
    assert reader.broken is not None
    assert reader.broken.fault is Fault.TOO_SHORT


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_that_its_length_cannot_say_is_not_written(kind: FramingKind) -> None:
    with pytest.raises(MessageInvalid) as refused:
        Framing(kind, 100).write(b"x" * 101)
    assert refused.value.fault is Fault.TOO_LONG


def test_four_digits_never_say_more_than_9999() -> None:
    assert Framing(FramingKind.ASCII_4, 100_000).frame_bytes_max == 9999
    assert Framing(FramingKind.BCD_2, 100_000).frame_bytes_max == 9999
    assert Framing(FramingKind.BINARY_2_INCLUSIVE, 100_000).frame_bytes_max == 65_533
