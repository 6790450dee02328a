"""DE 55: objects in, objects out, byte for byte; bounds on everything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.switch.iso8583.samples import CHIP_DATA, PAN

from switch.iso8583.emv_tags import EMV_TAGS, SENSITIVE_TAGS
from switch.iso8583.message import Fault, MessageInvalid
from switch.iso8583.tlv import DEPTH_MAX, OBJECTS_MAX, Tlv, build_tlv, find_tlv, parse_tlv


def _refused(text: str) -> MessageInvalid:
    with pytest.raises(MessageInvalid) as refused:
        parse_tlv(text)
    return refused.value


def test_the_objects_of_a_chip_payment_are_found_by_tag() -> None:
    objects = parse_tlv(CHIP_DATA)
    assert [each.tag for each in objects] == ["9F26", "9F27", "9F10", "9F37", "9F36", "95"]
    cryptogram = find_tlv(objects, "9F26")
    assert cryptogram is not None
    assert cryptogram.value.hex() == "1122334455667788"
    assert find_tlv(objects, "5A") is None
    assert build_tlv(objects) == CHIP_DATA


def test_constructed_objects_are_taken_apart() -> None:
    (template,) = parse_tlv("700B" + "5F2403291231" + "9C0100" + "5000")
    assert [each.tag for each in template.children] == ["5F24", "9C", "50"]
    found = find_tlv((template,), "9C")
    assert found is not None
    assert found.value == b"\x00"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9F3600",
        "8181" + "02" + "ABCD",
        "81" + "820002" + "ABCD",
        "81" + "83000002" + "ABCD",
        "DF8101" + "01" + "00",
        "7000",
        "708182" + "9F6E7F" + "00" * 127,
    ],
)
def test_whatever_can_be_read_is_written_alike(text: str) -> None:
    assert build_tlv(parse_tlv(text)) == text


@pytest.mark.parametrize(
    ("text", "fault", "path"),
    [
        ("9F", Fault.TOO_SHORT, "55"),
        ("9F26", Fault.TOO_SHORT, "55.9F26"),
        ("9F2608112233", Fault.TOO_SHORT, "55.9F26"),
        ("9F2682", Fault.TOO_SHORT, "55.9F26"),
        ("9F268200", Fault.TOO_SHORT, "55.9F26"),
        ("9F268011220000", Fault.BAD_LENGTH, "55.9F26"),
        ("9F26840000000111", Fault.BAD_LENGTH, "55.9F26"),
        ("9F26FF", Fault.BAD_LENGTH, "55.9F26"),
        ("9F2683FFFFFF00", Fault.TOO_SHORT, "55.9F26"),
        ("0000", Fault.BAD_CONTENT, "55"),
        ("9C0100FF", Fault.BAD_CONTENT, "55"),
        ("DF8181818101", Fault.BAD_CONTENT, "55"),
        ("9C01009C0101", Fault.BAD_CONTENT, "55.9C"),
        ("70059F260211", Fault.TOO_SHORT, "55.70"),
        ("70049F260211", Fault.TOO_SHORT, "55.70.9F26"),
        ("9c0100", Fault.BAD_CONTENT, "55"),
        ("9C 01 00", Fault.BAD_CONTENT, "55"),
        ("9C010", Fault.BAD_CONTENT, "55"),
    ],
)
def test_what_is_no_tlv_is_refused_with_its_path(text: str, fault: Fault, path: str) -> None:
    error = _refused(text)
    assert (error.fault, error.path) == (fault, path)


def test_nesting_is_bounded() -> None:
    text = ""
    for _ in range(DEPTH_MAX + 1):
        text = f"70{len(text) // 2:02X}{text}"
    assert _refused(text).path.startswith("55.70.70")
    assert parse_tlv(text[4:])


def test_the_number_of_objects_is_bounded() -> None:
    text = "".join(f"DF81{number:02X}00" for number in range(128)) + "".join(
        f"DF82{number:02X}00" for number in range(128)
    )
    assert len(parse_tlv(text)) == OBJECTS_MAX
    assert _refused(text + "9C0100").fault is Fault.BAD_CONTENT


@given(data=st.binary(max_size=80))
def test_any_bytes_are_read_exactly_or_refused(data: bytes) -> None:
    text = data.hex().upper()
    try:
        objects = parse_tlv(text)
    except MessageInvalid as error:
        path = error.path
    else:
        path = "55"
        assert build_tlv(objects) == text
    assert path.startswith("55")


@pytest.mark.parametrize("tag", ["", "9F", "9C00", "XX", "0", "00", "DF81818101"])
def test_a_tag_that_is_none_is_not_written(tag: str) -> None:
    with pytest.raises(MessageInvalid):
        build_tlv([Tlv(tag, b"")])


def test_a_length_grows_with_what_is_built() -> None:
    assert build_tlv([Tlv("50", b"x" * 127)]).startswith("507F")
    assert build_tlv([Tlv("50", b"x" * 128)]).startswith("508180")
    assert build_tlv([Tlv("50", b"x" * 256)]).startswith("50820100")


def test_values_are_not_printed() -> None:
    assert PAN not in repr(parse_tlv(f"5A08{PAN}"))


def test_what_tells_a_card_is_named_and_sensitive() -> None:
    assert set(EMV_TAGS) >= SENSITIVE_TAGS
    assert {"57", "5A"} <= SENSITIVE_TAGS
