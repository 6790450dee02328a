"""Thousands of spoiled messages: each is read exactly or refused with the one error, and its neighbours live."""

from collections import Counter

import pytest
from tests.unit.switch.iso8583.mutations import corpus
from tests.unit.switch.iso8583.samples import CHIP_DATA, DIALECTS, PAN, TODAY, echo

from postrail.bench.mutations import mutants
from switch.iso8583.dialect import load_dialect
from switch.iso8583.framing import Framing, FramingKind
from switch.iso8583.mac import Mac, MacKind
from switch.iso8583.message import Fault, Message, MessageInvalid
from switch.iso8583.tlv import build_tlv, parse_tlv
from switch.iso8583.wire import Rejected, Wire

SEED = 8583
MUTANTS = 3000


@pytest.mark.parametrize("name", DIALECTS)
def test_a_spoiled_message_is_read_exactly_or_refused(name: str) -> None:
    dialect = load_dialect(name)
    found: Counter[str] = Counter()
    said: set[str] = set()
    for mutant in mutants(SEED, MUTANTS, corpus([name])):
        try:
            message = dialect.decode(mutant)
        except MessageInvalid as error:
            found[error.fault] += 1
            said.add(str(error))
        else:
            assert dialect.encode(message) == mutant
            found["read"] += 1
    assert PAN not in " ".join(said)
    # the mutations reach every check that a codec without a key has
    assert set(found) >= set(Fault) - {Fault.MAC_INVALID, Fault.TOO_LONG, Fault.UNKNOWN_FIELD}


@pytest.mark.parametrize("mac", [None, Mac(MacKind.CMAC, bytes(16))], ids=["no MAC", "CMAC"])
@pytest.mark.parametrize("name", DIALECTS)
def test_a_wire_answers_a_spoiled_message_and_reads_its_neighbours(name: str, mac: Mac | None) -> None:
    wire = Wire(load_dialect(name), FramingKind.BINARY_2, mac=mac, message_bytes_max=60_000, today=lambda: TODAY)
    framing = Framing(FramingKind.BINARY_2, 60_000)
    neighbour = wire.encode(echo())
    for mutant in mutants(SEED + 1, MUTANTS // 3, corpus()):
        reader = wire.reader()
        before, *spoiled, after = reader.feed(neighbour + framing.write(mutant) + neighbour)
        assert before == after == echo()
        assert reader.broken is None
        (received,) = spoiled
        if isinstance(received, Rejected) and received.answer is not None:
            assert PAN not in repr(received)
            assert received.answer[39] in {"904", "916"}
            assert received.answer.mti[2] in "13"
            (read,) = wire.reader().feed(wire.encode(received.answer))
            assert isinstance(read, Message)


def test_spoiled_bytes_of_a_stream_break_it_or_not_but_never_crash() -> None:
    """Framing is spoiled too: what follows may be lost, the process must not be."""
    wire = Wire(load_dialect("iso8583-1993-ascii"), FramingKind.ASCII_4, tpdu=True)
    framed = [Framing(FramingKind.ASCII_4, 9000).write(bytes(5) + raw) for raw in corpus(["iso8583-1993-ascii"])]
    broken = 0
    for mutant in mutants(SEED + 2, MUTANTS, framed):
        reader = wire.reader()
        for place in range(0, len(mutant), 50):
            reader.feed(mutant[place : place + 50])
        reader.finish()
        broken += reader.broken is not None
    assert 0 < broken < MUTANTS


def test_spoiled_chip_data_are_read_exactly_or_refused() -> None:
    read = 0
    for mutant in mutants(SEED + 3, MUTANTS, [bytes.fromhex(CHIP_DATA)]):
        text = mutant.hex().upper()
        try:
            objects = parse_tlv(text)
        except MessageInvalid:
            continue
        assert build_tlv(objects) == text
        read += 1
    assert 0 < read < MUTANTS


def test_the_same_seed_gives_the_same_mutants() -> None:
    assert list(mutants(1, 50, corpus())) == list(mutants(1, 50, corpus()))
    assert list(mutants(1, 50, corpus())) != list(mutants(2, 50, corpus()))
