"""ISO 8583 messages on the command line: decode, encode, the dialects there are."""

import io
import json
from types import SimpleNamespace

import pytest
import yaml
from tests.unit.switch.iso8583.samples import DIALECTS, PAN, messages_of, purchase

from switch.iso8583.dialect import load_dialect
from switch.iso8583.framing import Framing, FramingKind

BINARY = "iso8583-1993-binary"


def _hex(message, dialect: str = BINARY) -> str:
    return load_dialect(dialect).encode(message).hex()


@pytest.fixture
def type_in(monkeypatch):
    """Puts bytes on standard input."""

    def put(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))

    return put


@pytest.mark.parametrize("name", DIALECTS)
def test_a_message_in_hex_is_printed_field_by_field(postrail, name):
    code, out, err = postrail("iso8583", "decode", _hex(messages_of(name)[0], name), "--spec", name)
    assert (code, err) == (0, "")
    assert "Primary account number" in out
    assert "476134******0019" in out
    assert PAN not in out
    assert "55.9F26" in out


def test_card_data_are_shown_only_when_asked_for(postrail):
    for option in ((), ("--json",)):
        _, out, _ = postrail("iso8583", "decode", _hex(purchase()), "--spec", BINARY, *option)
        assert PAN not in out
        _, out, _ = postrail("iso8583", "decode", _hex(purchase()), "--spec", BINARY, "--unmask", *option)
        assert PAN in out


def test_what_decode_prints_encode_takes(postrail, type_in):
    written = _hex(purchase()).upper()
    _, out, _ = postrail("iso8583", "decode", written, "--spec", BINARY, "--json", "--unmask")
    type_in(out.encode())
    assert postrail("iso8583", "encode", "--spec", BINARY) == (0, written + "\n", "")


@pytest.mark.parametrize("kind", list(FramingKind))
def test_a_file_of_framed_messages_is_read_message_by_message(postrail, tmp_path, kind):
    """One of them is bad, and a keep-alive stands between: the others are printed all the same."""
    framing = Framing(kind, 9000)
    raw = bytes.fromhex(_hex(purchase()))
    path = tmp_path / "capture.bin"
    path.write_bytes(framing.write(raw) + framing.write(b"") + framing.write(raw[:-1]) + framing.write(raw))
    code, out, _ = postrail(
        "iso8583", "decode", "--raw", "--file", str(path), "--spec", BINARY, "--framing", kind, "--json"
    )
    documents = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [document.get("error", {}).get("fault") for document in documents] == [None, "too_short", None]
    assert documents[1]["error"]["path"] == "55"
    assert documents[1]["fields"]["11"] == purchase()[11]


def test_a_stream_cut_within_a_frame_says_so(postrail, type_in):
    type_in(Framing(FramingKind.BINARY_2, 9000).write(bytes.fromhex(_hex(purchase())))[:-1])
    code, _, err = postrail("iso8583", "decode", "--raw", "--spec", BINARY, "--framing", "binary_2")
    assert code == 1
    assert "too_short" in err


def test_a_transport_header_passes_both_ways(postrail):
    message = json.dumps({"mti": "1814", "fields": {"11": "000001", "39": "800"}, "header": "6012345678"})
    _, out, _ = postrail("iso8583", "encode", message, "--tpdu", "--framing", "bcd_2", "--json")
    written = json.loads(out)
    assert written["bytes"] == 2 + 5 + 4 + 16 + 6 + 3
    _, out, _ = postrail("iso8583", "decode", written["hex"], "--tpdu", "--framing", "bcd_2", "--json")
    assert json.loads(out)["header"] == "6012345678"


def test_bytes_themselves_are_taken_and_given(postrail):
    message = json.dumps({"mti": "1814", "fields": {"11": "000001", "39": "800"}})
    assert postrail("iso8583", "encode", message, "--raw") == (0, "18140020000002000000000001800", "")
    code, out, _ = postrail("iso8583", "decode", "--raw", "18140020000002000000000001800")
    assert code == 0
    assert "accepted" in out


def test_an_argument_that_is_neither_hex_nor_json_names_a_file(postrail, tmp_path):
    """Long hex is wrapped in files; JSON is written over several lines."""
    content = {"mti": "1814", "fields": {"11": "000001", "39": "800"}}
    as_json, as_hex = tmp_path / "message.json", tmp_path / "message.hex"
    as_json.write_text(json.dumps(content, indent=2))
    _, out, _ = postrail("iso8583", "encode", str(as_json))
    as_hex.write_text(f"{out[:20]}\n{out[20:40]} {out[40:]}")
    code, out, _ = postrail("iso8583", "decode", str(as_hex), "--json")
    assert code == 0
    assert json.loads(out)["fields"] == content["fields"]


def test_a_bad_message_is_shown_as_far_as_it_goes_with_the_place_of_the_fault(postrail):
    code, out, err = postrail("iso8583", "decode", _hex(purchase()) + "00", "--spec", BINARY)
    assert code == 1
    assert "476134******0019" in out
    assert err == "trailing_bytes: bytes after the last field: 1\n"


def test_a_dialect_of_ones_own_is_a_file(postrail, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        yaml.safe_dump({"extends": BINARY, "name": "own", "elements": {48: {"name": "House data", "format": "n ..4"}}})
    )
    message = json.dumps({"mti": "1814", "fields": {"11": "000001", "39": "800", "48": "123"}})
    code, out, _ = postrail("iso8583", "encode", message, "--spec", str(path))
    assert code == 0
    code, out, _ = postrail("iso8583", "decode", out.strip(), "--spec", str(path))
    assert "House data" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("decode", "11 00 x"), "not hex"),
        (("decode", "110"), "not hex"),
        (("decode", ""), "no message"),
        (("decode", "00", "--spec", "iso8583-2003"), "no dialect"),
        (("decode", "00", "--file", "x"), "not both"),
        (("decode", "--file", "/nowhere/message"), "no file"),
        (("encode", "{"), "not JSON"),
        (("encode", "[]"), "A message is"),
        (("encode", '{"mti": "1814", "fields": {"x": "1"}}'), "unknown_field: field x"),
        (("encode", '{"mti": "1814", "fields": {"65": "1"}}'), "unknown_field: field 65"),
        (("encode", '{"mti": "1814", "fields": {"11": 1, "39": "800"}}'), "bad_content: field 11"),
        (("encode", '{"mti": "1814", "fields": {"11": "000001"}}'), "missing_field: field 39"),
        (("encode", '{"mti": "1814", "header": "60", "fields": {"11": "000001", "39": "800"}}', "--tpdu"), "5 bytes"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(postrail, arguments, sentence):
    code, out, err = postrail("iso8583", *arguments)
    assert code in {1, 2}
    assert out == ""
    assert sentence in err
    assert err.count("\n") == 1


def test_the_dialects_are_listed_and_each_is_shown(postrail):
    code, out, _ = postrail("iso8583", "dialects")
    assert code == 0
    assert all(name in out for name in DIALECTS)
    _, out, _ = postrail("iso8583", "dialects", BINARY)
    assert "n 10, MMDDhhmmss" in out
    _, out, _ = postrail("iso8583", "dialects", BINARY, "--json")
    shown = json.loads(out)
    assert shown["version"] == 1993
    assert shown["elements"][0] == {
        "element": 2,
        "name": "Primary account number",
        "format": "n ..19",
        "written": "packed digits, length in bcd",
        "sensitive": True,
    }
