"""Reading and writing messages: exact both ways, and one typed error for whatever is wrong."""

from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.switch.iso8583.samples import CHIP_DATA, DIALECTS, PAN, messages_of, purchase

from switch.iso8583.codec import Codec
from switch.iso8583.dialect import load_dialect
from switch.iso8583.elements import Content, Parts
from switch.iso8583.message import Fault, Message, MessageInvalid

ASCII = "iso8583-1993-ascii"
BINARY = "iso8583-1993-binary"
PARTS = {
    Parts.BER_TLV: CHIP_DATA,
    Parts.AMOUNTS: "1002826C000000100000",
    Parts.ORIGINAL_DATA: "110000000126112102020306910001",
}


def _refused(raw: bytes, dialect: str = ASCII) -> MessageInvalid:
    with pytest.raises(MessageInvalid) as refused:
        load_dialect(dialect).decode(raw)
    return refused.value


def _written(message: Message, dialect: str = ASCII) -> bytes:
    return load_dialect(dialect).encode(message)


@pytest.mark.parametrize("name", DIALECTS)
def test_what_is_written_is_read_again(name: str) -> None:
    dialect = load_dialect(name)
    for message in messages_of(name):
        assert dialect.decode(dialect.encode(message)) == message


def test_a_message_lies_on_the_wire_as_the_standard_prints_it() -> None:
    message = Message("1814", {7: "1121010203", 11: "000002", 39: "800"})
    assert _written(message) == b"1814" + b"0220000002000000" + b"1121010203" + b"000002" + b"800"
    assert _written(message, BINARY) == bytes.fromhex("1814" + "0220000002000000" + "1121010203" + "000002" + "0800")


def test_packed_numbers_are_filled_on_the_left_and_tracks_on_the_right() -> None:
    message = Message("1110", {2: "476134000000001", 11: "000002", 35: "476134000000001=2912", 39: "000"})
    raw = _written(message, BINARY)
    assert bytes.fromhex("150476134000000001") in raw
    assert bytes.fromhex("20476134000000001D2912") in raw
    assert bytes.fromhex("21476134000000001D29121F") in _written(
        Message("1110", {11: "000002", 35: "476134000000001=29121", 39: "000"}), BINARY
    )


@st.composite
def _any_message(draw: st.DrawFn, name: str) -> Message:
    """A message with any elements that a dialect knows, holding anything that they may."""
    dialect = load_dialect(name)
    mti = draw(st.sampled_from(sorted(dialect.messages)))
    wanted = draw(st.sets(st.sampled_from(sorted(dialect.elements)), max_size=12))
    fields = {}
    for number in sorted({*wanted, *dialect.messages[mti].mandatory}):
        shape = dialect.elements[number].format
        pattern = shape.check().__self__.pattern  # type: ignore[attr-defined]
        if parts := dialect.elements[number].parts:
            fields[number] = PARTS[parts]
            continue
        value = draw(st.from_regex(pattern, fullmatch=True).filter(str.isascii))
        # a track's separator has two spellings in characters, one when packed
        fields[number] = value.replace("D", "=") if shape.content is Content.TRACK else value
    return Message(mti, fields)


@pytest.mark.parametrize("name", DIALECTS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_message_that_a_dialect_allows_survives_both_ways(name: str, data: st.DataObject) -> None:
    message = data.draw(_any_message(name))
    dialect = load_dialect(name)
    raw = dialect.encode(message)
    assert dialect.decode(raw) == message
    assert dialect.encode(dialect.decode(raw)) == raw


@pytest.mark.parametrize("length", ["+5", " 5", "5 ", "-5", "1_", "_1", "\u06633", "a5", "0x", "5\x00"])
def test_a_length_that_is_not_two_digits_is_refused_though_int_would_take_it(length: str) -> None:
    raw = b"1110" + b"4020000002000000" + length.encode("utf-8") + b"4761340000000019000001000"
    error = _refused(raw)
    assert (error.fault, error.path) == (Fault.BAD_LENGTH, "2")


def test_a_length_above_the_elements_own_is_refused() -> None:
    error = _refused(b"1110" + b"4020000002000000" + b"20" + b"47613400000000190000" + b"000001000")
    assert (error.fault, error.path) == (Fault.BAD_LENGTH, "2")
    error = _refused(bytes.fromhex("1110" + "4020000002000000" + "20" + "47613400000000190000" + "0000010000"), BINARY)
    assert (error.fault, error.path) == (Fault.BAD_LENGTH, "2")


def test_a_packed_length_with_a_letter_in_it_is_refused() -> None:
    error = _refused(bytes.fromhex("1110" + "4020000002000000" + "1A" + "4761340000000019" + "0000010000"), BINARY)
    assert (error.fault, error.path) == (Fault.BAD_LENGTH, "2")


def test_an_element_shorter_than_its_least_length_is_refused() -> None:
    error = _refused(b"1110" + b"4020000002000000" + b"00" + b"000001000")
    assert (error.fault, error.path) == (Fault.BAD_LENGTH, "2")


@pytest.mark.parametrize("spare", ["147", "F47"])
def test_a_spare_half_byte_that_is_not_the_filling_is_refused(spare: str) -> None:
    digits = spare + "6134000000001"
    error = _refused(bytes.fromhex("1110" + "4020000002000000" + "15" + digits + "0000010000"), BINARY)
    assert (error.fault, error.path) == (Fault.BAD_CONTENT, "2")


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (3, "00000A"),
        (4, "00000001234\u0663"),
        (4, "-00000001234"),
        (7, "1321010203"),
        (7, "1132010203"),
        (7, "0631010203"),
        (7, "0230010203"),
        (12, "260931020203"),
        (7, "1121240203"),
        (12, "261121026003"),
        (22, "5101015113 4"),
        (35, "4761340000000019^2912"),
        (37, "63250100000-"),
        (41, "TERM\x00001"),
        (41, "TERM\n001"),
        (52, "0123456789abcdef"),
        (55, "9F26 8"),
        (49, "GBP"),
    ],
)
def test_content_is_checked_against_its_type(number: int, value: str) -> None:
    message = purchase()
    message.fields[number] = value
    with pytest.raises(MessageInvalid) as refused:
        _written(message)
    assert (refused.value.fault, refused.value.path) == (Fault.BAD_CONTENT, str(number))
    assert value not in str(refused.value)


@pytest.mark.parametrize(("number", "value"), [(4, "123"), (2, "4" * 20), (41, "TERM"), (52, "00"), (43, "x" * 100)])
def test_values_of_another_length_are_refused_when_writing(number: int, value: str) -> None:
    message = purchase()
    message.fields[number] = value
    with pytest.raises(MessageInvalid) as refused:
        _written(message)
    assert (refused.value.fault, refused.value.path) == (Fault.BAD_LENGTH, str(number))


def test_what_is_no_text_is_refused_when_writing() -> None:
    message = purchase()
    message.fields[4] = 12345  # type: ignore[assignment]
    with pytest.raises(MessageInvalid) as refused:
        _written(message)
    assert (refused.value.fault, refused.value.path) == (Fault.BAD_CONTENT, "4")


@pytest.mark.parametrize("number", [0, 1, 65, 129, 192, -3])
def test_elements_that_no_dialect_has_cannot_be_written(number: int) -> None:
    message = purchase()
    message.fields[number] = "0"
    with pytest.raises(MessageInvalid) as refused:
        _written(message)
    assert (refused.value.fault, refused.value.path) == (Fault.UNKNOWN_FIELD, str(number))


@pytest.mark.parametrize(
    "mti", ["0100", "2100", "110", "11000", "1900", "1150", "1106", "11x0", "", "\u0661\u0661\u0660\u0660"]
)
def test_message_types_that_the_version_does_not_have_are_refused(mti: str) -> None:
    with pytest.raises(MessageInvalid) as refused:
        _written(Message(mti, {11: "000001"}))
    assert (refused.value.fault, refused.value.path) == (Fault.BAD_MTI, "t")
    if len(mti) == 4 and mti.isascii():
        assert _refused(mti.encode() + b"0020000000000000000001").fault is Fault.BAD_MTI


@pytest.mark.parametrize("number", [3, 11, 49])
def test_a_message_without_a_mandatory_element_is_refused_both_ways(number: int) -> None:
    message = purchase()
    del message.fields[number]
    with pytest.raises(MessageInvalid) as refused:
        _written(message)
    assert (refused.value.fault, refused.value.path) == (Fault.MISSING_FIELD, str(number))
    raw = bytearray(b"1100" + b"0020000000000000" + b"000001")
    assert _refused(bytes(raw)).fault is Fault.MISSING_FIELD


def test_a_message_of_a_type_that_the_dialect_does_not_list_is_read_without_demands() -> None:
    message = Message("1340", {11: "000001"})
    assert load_dialect(ASCII).decode(_written(message)) == message


def test_a_missing_element_does_not_hide_what_can_be_read_for_the_answer() -> None:
    error = _refused(b"1804" + b"0220000000000000" + b"1121010203" + b"000001")
    assert (error.fault, error.path) == (Fault.MISSING_FIELD, "12")
    assert error.partial == Message("1804", {7: "1121010203", 11: "000001"})


@pytest.mark.parametrize("name", [ASCII, BINARY])
def test_every_cut_of_a_message_is_too_short_and_says_where(name: str) -> None:
    raw = _written(purchase(), name)
    paths = set()
    for end in range(len(raw)):
        error = _refused(raw[:end], name)
        assert error.fault is Fault.TOO_SHORT, (end, error)
        paths.add(error.path)
    assert paths == {"t", "p", *map(str, purchase().fields)}


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("extra", [b"\x00", b"0", b" ", b"1100"])
def test_bytes_after_the_last_element_are_refused(name: str, extra: bytes) -> None:
    for message in messages_of(name):
        error = _refused(_written(message, name) + extra, name)
        assert error.fault is Fault.TRAILING_BYTES
        assert error.partial is not None
        assert error.partial.fields.keys() == message.fields.keys()


@pytest.mark.parametrize(
    ("bitmaps", "path"),
    [
        (b"022000000200000g", "p"),
        (b"0220 00002000000", "p"),
        (b"022000000200000\xff", "p"),
        (b"022000000a000000", "p"),
        (b"8220000002000000" + b"0000000000000000", "1"),
        (b"8220000002000000" + b"000000000000000x", "1"),
        (b"8220000002000000" + b"8000000000000000", "65"),
    ],
)
def test_bitmaps_that_are_odd_empty_or_announce_a_third_are_refused(bitmaps: bytes, path: str) -> None:
    error = _refused(b"1814" + bitmaps + b"1121010203000002800" + b"0" * 16)
    assert (error.fault, error.path) == (Fault.BAD_BITMAP, path)


def test_a_third_bitmap_does_not_hide_what_stands_before_it() -> None:
    error = _refused(b"1814" + b"8220000002000000" + b"8000000000000000" + b"1121010203000002800" + b"0" * 16)
    assert error.partial == Message("1814", {7: "1121010203", 11: "000002", 39: "800"})


def test_an_unknown_element_is_refused_and_what_stands_before_it_is_read(tmp_path: object) -> None:
    dialect = load_dialect(ASCII)
    known = {number: each for number, each in dialect.elements.items() if number != 48}
    codec = Codec(1993, dialect.elements[3].encoding, known, dialect.messages)
    message = Message("1814", {11: "000002", 39: "800", 48: "x", 49: "826"})
    with pytest.raises(MessageInvalid) as refused:
        codec.decode(dialect.encode(message))
    assert (refused.value.fault, refused.value.path) == (Fault.UNKNOWN_FIELD, "48")
    assert refused.value.partial == Message("1814", {11: "000002", 39: "800"})


def test_bad_content_leaves_the_other_elements_for_the_answer() -> None:
    raw = _written(purchase()).replace(b"000000012345", b"00000001234x")
    error = _refused(raw)
    assert (error.fault, error.path) == (Fault.BAD_CONTENT, "4")
    assert error.partial is not None
    assert 4 not in error.partial.fields
    assert error.partial[11] == "000001"


def test_bytes_that_are_no_characters_are_bad_content() -> None:
    error = _refused(_written(purchase()).replace(b"TERM0001", b"TERM\xff\x80\xfe1"))
    assert (error.fault, error.path) == (Fault.BAD_CONTENT, "41")


def test_neither_messages_nor_errors_print_card_data() -> None:
    message = purchase()
    message.fields[35] = PAN + "^"
    with pytest.raises(MessageInvalid) as refused:
        _written(message)
    assert PAN not in f"{message!r} {message} {refused.value!r} {refused.value} {refused.value.partial!r}"


def test_many_different_bitmaps_do_not_pile_up() -> None:
    """Layouts are kept per bitmap; whoever sends thousands of different ones must not fill the memory."""
    codec = load_dialect(ASCII).codec
    for bits in range(3000):
        with pytest.raises(MessageInvalid):
            codec.decode(b"1814" + b"%016X" % (bits << 5) + b"x")
    assert len(codec._read_layouts) <= 1024
    for number in range(66, 129):
        for other in range(66, number):
            with suppress(MessageInvalid):
                codec.encode(Message("1110", {number: "?", other: "?", 11: "000001", 39: "000"}))
    assert len(codec._write_layouts) <= 1024


@pytest.mark.parametrize(
    ("number", "value", "fault", "path"),
    [
        (55, "9F2608112233", Fault.TOO_SHORT, "55.9F26"),
        (55, "9F2608112233445566770000", Fault.BAD_CONTENT, "55"),
        (54, "1002826C00000010000x", Fault.BAD_CONTENT, "54.1"),
        (56, "110000000126112102020307910001", Fault.BAD_CONTENT, "56"),
    ],
)
def test_an_element_whose_parts_cannot_be_read_is_refused_with_the_part(
    number: int, value: str, fault: Fault, path: str
) -> None:
    message = purchase()
    message.fields[number] = value
    error = _refused(_written(message))
    assert (error.fault, error.path) == (fault, path)
    assert error.partial is not None
    assert error.partial.fields == {other: each for other, each in message.fields.items() if other != number}


def test_parts_on_another_element_are_named_by_that_element(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    elements = {55: {"parts": None}, 60: {"format": "b ...255", "parts": "ber_tlv"}}
    path.write_text(yaml.safe_dump({"extends": BINARY, "name": "own", "elements": elements}), encoding="utf-8")
    message = Message("1110", {11: "000001", 39: "000", 55: "00"})
    assert load_dialect(path).decode(_written(message, str(path))) == message
    message.fields[60] = "9F2601"
    assert _refused(_written(message, str(path)), str(path)).path == "60.9F26"
