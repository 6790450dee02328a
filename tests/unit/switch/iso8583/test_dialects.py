"""Dialect files: those that ship say what the standard says, and a user's own are read or refused with a place."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.unit.switch.iso8583.samples import DIALECTS, messages_of

from postrail.domain.errors import ConfigInvalid
from switch.iso8583.dialect import DIALECTS_DIR, build_dialect, list_dialects, load_dialect
from switch.iso8583.elements import (
    BinaryEncoding,
    FormatInvalid,
    LengthEncoding,
    NumberEncoding,
    Padding,
    TextEncoding,
    parse_format,
)
from switch.iso8583.message import Fault, Message, MessageInvalid

ELEMENTS_CSV = Path(__file__).parents[5] / "shared" / "iso8583" / "iso8583_de_1987_1993.csv"
CommandLine = Callable[..., tuple[int, str, str]]
DEVIATIONS = {
    (1987, 44): "padded with spaces in the field",
    (1987, 45): "a track 1 has ^ and /, which an does not allow",
    (1993, 45): "a track 1 has ^ and /, which an does not allow",
    (1987, 54): "as 1993, so that balances pass",
    (1993, 54): "written in capitals and signs by the field's own layout",
    (1987, 55): "chip data came into 1987 by practice, in binary",
    (1987, 37): "anp: padded with spaces",
    (1993, 37): "anp: padded with spaces",
    (1987, 38): "anp: padded with spaces",
    (1993, 38): "anp: padded with spaces",
}


def _standard_rows() -> list[dict[str, str]]:
    if not ELEMENTS_CSV.is_file():
        pytest.skip(f"the table of data elements is not here: {ELEMENTS_CSV}")
    with ELEMENTS_CSV.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("version", [1987, 1993])
def test_every_element_has_the_format_of_the_standard(version: int) -> None:
    elements = load_dialect(f"iso8583-{version}-ascii").elements
    wrong = {}
    for row in _standard_rows():
        number = int(row["de"])
        if number == 65 or (version, number) in DEVIATIONS:
            continue
        wanted = parse_format(row[f"{version} format"].replace("xn", "x+n"))
        have = elements[number].format
        found = (have.content, have.length_digits, have.length_max)
        if found != (wanted.content, wanted.length_digits, wanted.length_max):
            wrong[number] = (found, row[f"{version} format"])
    assert not wrong


@pytest.mark.parametrize("version", [1987, 1993])
def test_elements_that_deviate_from_the_table_keep_its_lengths(version: int) -> None:
    elements = load_dialect(f"iso8583-{version}-ascii").elements
    rows = {int(row["de"]): row for row in _standard_rows()}
    for deviating_version, number in DEVIATIONS:
        if deviating_version != version or number == 55:
            continue
        wanted = parse_format(rows[number][f"{version} format"])
        have = elements[number].format
        assert (have.length_digits, have.length_max) == (wanted.length_digits, wanted.length_max), number


def test_four_dialects_ship() -> None:
    assert list_dialects() == sorted(DIALECTS)


@pytest.mark.parametrize("name", DIALECTS)
def test_what_would_tell_a_card_is_sensitive_in_every_dialect(name: str) -> None:
    elements = load_dialect(name).elements
    assert {2, 34, 35, 36, 45, 52, 55} <= {number for number, each in elements.items() if each.sensitive}


@pytest.mark.parametrize("name", DIALECTS)
def test_both_encodings_of_a_version_have_the_same_elements_and_messages(name: str) -> None:
    dialect, ascii_one = load_dialect(name), load_dialect(name.replace("binary", "ascii"))
    assert dialect.messages == ascii_one.messages
    formats = {number: (each.name, each.format) for number, each in dialect.elements.items()}
    assert formats == {number: (each.name, each.format) for number, each in ascii_one.elements.items()}


def _own(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({"extends": "iso8583-1993-ascii", "name": "own", **changes}), encoding="utf-8")
    return path


def test_a_dialect_of_ones_own_tells_only_what_differs(tmp_path: Path) -> None:
    """An element is changed in one part, another taken away, a third written in EBCDIC."""
    path = _own(
        tmp_path,
        elements={48: {"format": "ans ...255"}, 59: None, 42: {"text": "cp500"}},
        messages={"1100": {"mandatory": [11, 42]}},
    )
    dialect = load_dialect(path)
    assert dialect.elements[48].format.length_max == 255
    assert dialect.elements[48].name == "Additional data, private"
    assert 59 not in dialect.elements
    message = Message("1100", {11: "000001", 42: "MERCHANT0000001", 48: "x"})
    raw = dialect.encode(message)
    assert "MERCHANT0000001".encode("cp500") in raw
    assert dialect.decode(raw) == message


def test_a_dialect_may_extend_a_file_beside_it_and_be_json(tmp_path: Path) -> None:
    _own(tmp_path, elements={48: {"format": "ans ...20"}})
    path = tmp_path / "further.json"
    path.write_text(json.dumps({"extends": "own.yaml", "name": "further", "elements": {"60": None}}), encoding="utf-8")
    dialect = load_dialect(path)
    assert dialect.elements[48].format.length_max == 20
    assert 60 not in dialect.elements


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_all_in_ebcdic_reads_what_it_writes(tmp_path: Path, name: str) -> None:
    path = tmp_path / "ebcdic.yaml"
    path.write_text(
        yaml.safe_dump({"extends": name, "name": "ebcdic", "encoding": {"text": "cp500"}}), encoding="utf-8"
    )
    dialect = load_dialect(path)
    for message in messages_of(name):
        raw = dialect.encode(message)
        assert dialect.decode(raw) == message
        assert dialect.encode(dialect.decode(raw)) == raw


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"elements": {48: {"format": "ans"}}}, "elements.48"),
        ({"elements": {48: {"format": "ans ..999"}}}, "elements.48"),
        ({"elements": {4: {"format": "n 12", "min": 3}}}, "elements.4"),
        ({"elements": {7: {"format": "n 10, MMDDhhmm"}}}, "elements.7"),
        ({"elements": {7: {"format": "n 4, MMXX"}}}, "elements.7"),
        ({"elements": {96: {"binary": "hex"}}}, "elements.96"),
        ({"elements": {65: {"name": "more bits", "format": "b 8"}}}, "elements.65"),
        ({"elements": {129: {"name": "too far", "format": "n 1"}}}, "elements.129"),
        ({"elements": {48: {"colour": "red"}}}, "elements.48.colour"),
        ({"elements": {48: {"text": "utf-8"}}}, "elements.48.text"),
        ({"messages": {"1100": {"mandatory": [65]}}}, "messages.1100.mandatory"),
        ({"messages": {"0100": {"name": "of another version"}}}, "messages.0100"),
        ({"messages": {"11": {"name": "short"}}}, "messages.11"),
        ({"encoding": {"numeric": "roman"}}, "encoding.numeric"),
        ({"version": 2003}, "version"),
        ({"extends": "iso8583-2003-ascii"}, "iso8583-2003-ascii"),
        ({"extends": "own.yaml"}, "extends"),
    ],
)
def test_a_dialect_that_means_nothing_is_refused_with_file_and_place(
    tmp_path: Path, changes: dict[str, object], place: str
) -> None:
    path = _own(tmp_path, **changes)
    with pytest.raises(ConfigInvalid) as refused:
        load_dialect(path)
    assert place in str(refused.value)
    if "extends" not in changes:
        assert str(path) in str(refused.value)


@pytest.mark.parametrize("content", ["", "- a list", "a: [", "\x00", "\xff"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigInvalid, match=r"own\.yaml"):
        load_dialect(path)


def test_a_name_that_is_neither_dialect_nor_file_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigInvalid, match="iso8583-1993-ascii"):
        load_dialect("iso8583-2025")


@pytest.mark.parametrize("text", ["n", "n 0", "n..", "q 3", "n ..100", "n .....5", "x+n 1", "x+n ..9", "n 5 MMDD"])
def test_a_format_that_the_standard_would_not_print_is_refused(text: str) -> None:
    with pytest.raises(FormatInvalid):
        parse_format(text)


def test_an_empty_variable_element_passes_only_where_the_dialect_says_so(tmp_path: Path) -> None:
    message = Message("1110", {11: "000001", 39: "000", 48: ""})
    with pytest.raises(MessageInvalid) as refused:
        load_dialect("iso8583-1993-ascii").encode(message)
    assert (refused.value.fault, refused.value.path) == (Fault.BAD_LENGTH, "48")
    dialect = load_dialect(_own(tmp_path, elements={48: {"min": 0}}))
    assert dialect.decode(dialect.encode(message)) == message


@pytest.mark.parametrize("padding", list(Padding))
@pytest.mark.parametrize("length", list(LengthEncoding))
@pytest.mark.parametrize("binary", list(BinaryEncoding))
@pytest.mark.parametrize("numeric", list(NumberEncoding))
@pytest.mark.parametrize("text", list(TextEncoding))
def test_every_combination_of_encodings_reads_what_it_writes(
    text: TextEncoding, numeric: NumberEncoding, binary: BinaryEncoding, length: LengthEncoding, padding: Padding
) -> None:
    base = yaml.safe_load((DIALECTS_DIR / "iso8583-1993-ascii.yaml").read_text(encoding="utf-8"))
    encoding = {"text": text, "numeric": numeric, "binary": binary, "length": length}
    base["encoding"] = encoding | {"number_padding": padding, "track_padding": padding}
    dialect = build_dialect(base, "a combination")
    for message in messages_of("iso8583-1993-ascii"):
        message.fields |= {27: "6", 96: "00FF", 97: "D0000000000012345"}
        raw = dialect.encode(message)
        assert dialect.decode(raw) == message
        with pytest.raises(MessageInvalid):
            dialect.decode(raw[:-1])
        with pytest.raises(MessageInvalid):
            dialect.decode(raw + b"0")


def test_the_guides_own_dialect_and_its_printed_message_are_true(tmp_path: Path, postrail: CommandLine) -> None:
    guide = (Path(__file__).parents[4] / "docs" / "iso8583.md").read_text(encoding="utf-8")
    (own,) = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    path = tmp_path / "house.yaml"
    path.write_text(own, encoding="utf-8")
    assert load_dialect(path).elements[60].name == "Loyalty points"
    command, wanted = re.findall(r"```\n\$ postrail (.*?[^\\\\])\n(.*?)```", guide, re.DOTALL)[0]
    code, printed, _ = postrail(*command.replace("\\\n", "").split())
    assert code == 0
    assert [line.rstrip() for line in printed.splitlines()] == wanted.splitlines()
