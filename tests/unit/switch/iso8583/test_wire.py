"""A link's end: framed bytes and messages, answers to what cannot be believed, MACs, transport headers."""

from pathlib import Path

import pytest
import yaml
from tests.unit.switch.iso8583.samples import DIALECTS, DIALECTS_1987, TODAY, approval, echo, purchase, reversal

from switch.iso8583.dialect import load_dialect
from switch.iso8583.framing import FramingKind
from switch.iso8583.mac import Mac, MacKind
from switch.iso8583.message import Fault, Message, MessageInvalid
from switch.iso8583.wire import KeepAlive, Received, Rejected, Wire

TPDU = bytes.fromhex("6012345678")
MACS = [Mac(MacKind.CMAC, bytes(range(16))), Mac(MacKind.RETAIL, bytes(range(16)))]
ASCII = "iso8583-1993-ascii"


def _wire(
    dialect: str = ASCII, framing: FramingKind = FramingKind.BINARY_2, *, tpdu: bool = False, mac: Mac | None = None
) -> Wire:
    return Wire(load_dialect(dialect), framing, tpdu=tpdu, mac=mac, today=lambda: TODAY)


def _received(wire: Wire, data: bytes) -> Received:
    (received,) = wire.reader().feed(data)
    return received


def _rejected(wire: Wire, data: bytes) -> Rejected:
    received = _received(wire, data)
    assert isinstance(received, Rejected)
    return received


def _framed(body: bytes) -> bytes:
    return len(body).to_bytes(2, "big") + body


@pytest.mark.parametrize("tpdu", [False, True])
@pytest.mark.parametrize("mac", [None, *MACS], ids=["no MAC", "CMAC", "retail"])
@pytest.mark.parametrize("framing", list(FramingKind))
@pytest.mark.parametrize("dialect", DIALECTS)
def test_messages_pass_every_kind_of_wire(dialect: str, framing: FramingKind, mac: Mac | None, tpdu: bool) -> None:
    wire = _wire(dialect, framing, tpdu=tpdu, mac=mac)
    stream = b"".join(wire.encode(message) for message in (purchase(), approval(), reversal(), echo()))
    reader = wire.reader()
    received = [each for place in range(0, len(stream), 7) for each in reader.feed(stream[place : place + 7])]
    wanted = [purchase(), approval(), reversal(), echo()]
    for message in wanted:
        message.header = bytes.fromhex("6000000000") if tpdu else b""
    assert received == wanted
    assert b"".join(wire.encode(message) for message in wanted) == stream


def test_a_bad_message_is_answered_904_and_its_neighbours_live() -> None:
    wire = _wire()
    bad = wire.encode(purchase()).replace(b"000000012345", b"00000001234x")
    before, rejected, after = wire.reader().feed(wire.encode(echo()) + bad + wire.encode(reversal()))
    assert before == echo()
    assert after == reversal()
    assert isinstance(rejected, Rejected)
    assert (rejected.error.fault, rejected.error.path) == (Fault.BAD_CONTENT, "4")
    assert rejected.answer is not None
    assert rejected.answer.mti == "1110"
    assert rejected.answer[39] == "904"
    assert rejected.answer[11] == purchase()[11]
    assert rejected.answer[41] == purchase()[41]


def test_the_answer_to_a_bad_message_tells_nothing_of_the_card_and_can_be_sent() -> None:
    wire = _wire()
    rejected = _rejected(wire, _framed(wire.encode(purchase())[2:] + b"more"))
    assert rejected.answer is not None
    assert not {2, 14, 35, 52, 55} & rejected.answer.fields.keys()
    assert _received(wire, wire.encode(rejected.answer)) == rejected.answer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"11",
        b"1100",
        b"\x00" * 40,
        b"GET / HTTP/1.1\r\nHost: switch\r\n\r\n",
        b"9100" + b"F" * 200,
        b"1110" + b"0020000002000000" + b"000001" + b"80x",
        b"1100" + b"4000000000000000" + b"164761340000000019",
    ],
)
def test_what_names_no_request_gets_no_answer(body: bytes) -> None:
    """Neither garbage, nor answers, nor a request without a STAN: nobody could tell what the answer is to."""
    received = _received(_wire(), _framed(body))
    if body:
        assert isinstance(received, Rejected)
        assert received.answer is None
    else:
        assert received == KeepAlive()


def test_a_keep_alive_is_a_frame_of_no_length() -> None:
    wire = _wire()
    assert wire.keep_alive == b"\x00\x00"
    assert wire.reader().feed(wire.keep_alive + wire.encode(echo()) + wire.keep_alive) == [
        KeepAlive(),
        echo(),
        KeepAlive(),
    ]


def test_after_a_fault_of_framing_the_reader_gives_nothing_more() -> None:
    wire = _wire(framing=FramingKind.ASCII_4)
    reader = wire.reader()
    assert reader.feed(wire.encode(echo()) + b"00x1" + wire.encode(echo())) == [echo()]
    assert isinstance(reader.broken, MessageInvalid)
    assert reader.feed(wire.encode(echo())) == []


def test_a_message_longer_than_the_wire_allows_is_not_written() -> None:
    wire = Wire(load_dialect(ASCII), FramingKind.BINARY_2, message_bytes_max=100)
    with pytest.raises(MessageInvalid) as refused:
        wire.encode(purchase())
    assert refused.value.fault is Fault.TOO_LONG


def test_an_answer_goes_back_to_the_address_that_the_request_came_from() -> None:
    wire = _wire(tpdu=True)
    request = purchase()
    request.header = TPDU
    arrived = _received(wire, wire.encode(request))
    assert isinstance(arrived, Message)
    assert arrived.header == TPDU
    sent_back = wire.encode(arrived.answer(approval().fields))
    assert sent_back[2:7] == bytes.fromhex("6056781234")


def test_the_answer_to_a_bad_message_finds_its_way_back_too() -> None:
    wire = _wire(tpdu=True)
    request = purchase()
    request.header = TPDU
    rejected = _rejected(wire, wire.encode(request).replace(b"TERM0001", b"TERM\x00001"))
    assert rejected.answer is not None
    assert wire.encode(rejected.answer)[2:7] == bytes.fromhex("6056781234")


def test_a_frame_shorter_than_its_transport_header_is_rejected() -> None:
    rejected = _rejected(_wire(tpdu=True), _framed(b"\x60\x00"))
    assert (rejected.error.fault, rejected.error.path) == (Fault.TOO_SHORT, "h")


@pytest.mark.parametrize("mac", MACS, ids=["CMAC", "retail"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_changed_byte_of_a_message_with_a_mac_is_noticed(dialect: str, mac: Mac) -> None:
    wire = _wire(dialect, mac=mac)
    written = wire.encode(reversal())
    for place in range(2, len(written), 3):
        changed = written[:place] + bytes([written[place] ^ 1]) + written[place + 1 :]
        assert isinstance(_received(wire, changed), Rejected), place


@pytest.mark.parametrize("mac", MACS, ids=["CMAC", "retail"])
def test_a_wrong_mac_is_answered_916_under_our_own(mac: Mac) -> None:
    wire = _wire(mac=mac)
    written = wire.encode(purchase()).replace(b"000000012345", b"000000912345")
    rejected = _rejected(wire, written)
    assert rejected.error.fault is Fault.MAC_INVALID
    assert rejected.answer is not None
    assert rejected.answer[39] == "916"
    assert _received(wire, wire.encode(rejected.answer)) == rejected.answer


def test_a_missing_mac_is_answered_916_where_every_message_has_one() -> None:
    rejected = _rejected(_wire(mac=MACS[0]), _wire().encode(purchase()))
    assert rejected.error.fault is Fault.MAC_INVALID
    assert rejected.answer is not None
    assert rejected.answer[39] == "916"


def test_a_mac_of_another_key_is_not_believed() -> None:
    other = Mac(MacKind.CMAC, b"k" * 16)
    assert _rejected(_wire(mac=MACS[0]), _wire(mac=other).encode(purchase())).error.fault is Fault.MAC_INVALID


def test_the_mac_is_checked_before_the_content_is_believed() -> None:
    """Content that is bad as well does not change the answer: nothing of the message is ours to judge."""
    wire = _wire(mac=MACS[0])
    written = wire.encode(purchase()).replace(b"000000012345", b"00000001234x")
    assert _rejected(wire, written).error.fault is Fault.MAC_INVALID


def test_a_mac_stays_on_its_link() -> None:
    """A message that came with a MAC leaves on another link without it, or with that link's own."""
    first, second = _wire(mac=MACS[0]), _wire(mac=MACS[1])
    arrived = _received(first, first.encode(reversal()))
    assert isinstance(arrived, Message)
    assert not {64, 128} & arrived.fields.keys()
    assert _received(second, second.encode(arrived)) == arrived


@pytest.mark.parametrize("dialect", DIALECTS_1987)
def test_the_1987_end_of_a_link_answers_30_for_a_format_error_and_91_when_the_issuer_is_silent(dialect: str) -> None:
    wire, plain = _wire(dialect), load_dialect(dialect)
    spoiled = wire.encode(purchase()).replace(b"TERM0001", b"TERM\x00001")
    rejected = _rejected(wire, spoiled)
    assert rejected.answer is not None
    assert rejected.answer[39] == "904"
    assert plain.decode(wire.encode(rejected.answer)[2:])[39] == "30"
    silent = approval()
    silent.fields[39] = "911"
    written = plain.decode(wire.encode(silent)[2:])
    assert (written.mti, written[39]) == ("0110", "91")


def test_a_day_that_no_year_has_is_a_format_error_with_an_answer() -> None:
    """The 1987 local date passes as digits, and only the calendar tells that 2026 has no 29 February."""
    wire = _wire("iso8583-1987-ascii")
    written = wire.encode(purchase()).replace(b"0202031121", b"0202030229")
    rejected = _rejected(wire, written)
    assert (rejected.error.fault, rejected.error.path) == (Fault.BAD_CONTENT, "13")
    assert rejected.answer is not None
    assert rejected.answer[11] == purchase()[11]
    assert isinstance(_received(wire, wire.encode(rejected.answer)), Message)


@pytest.mark.parametrize("message", [Message("0100", {}), Message("1100", {4: "x"}), Message("1804", {24: "899"})])
def test_what_1987_cannot_say_is_refused_when_writing(message: Message) -> None:
    with pytest.raises(MessageInvalid):
        _wire("iso8583-1987-ascii").encode(message)


def test_a_network_message_of_1987_with_an_impossible_date_is_answered_without_it() -> None:
    """Local time, which 1987 leaves out there, would come from DE 7: an answer must not stumble over it again."""
    rejected = _rejected(
        _wire("iso8583-1987-ascii"),
        _framed(b"0800" + b"8220000000000000" + b"0400000000000000" + b"0229010203" + b"000002" + b"301"),
    )
    assert (rejected.error.fault, rejected.error.path) == (Fault.BAD_CONTENT, "7")
    assert rejected.answer == Message("1814", {11: "000002", 39: "904"})


def test_an_answer_that_a_dialect_of_ones_own_cannot_say_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        yaml.safe_dump({"extends": ASCII, "name": "own", "messages": {"1110": {"mandatory": [11, 39, 48]}}}),
        encoding="utf-8",
    )
    wire = _wire(str(path))
    rejected = _rejected(wire, _framed(wire.encode(purchase())[2:] + b"more"))
    assert rejected.answer is None
