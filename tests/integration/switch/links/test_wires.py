"""Every way to write a message, over real sockets: dialects, length headers, transport headers, MACs, keep-alives."""

import asyncio

import pytest
from tests.integration.switch.links.peers import (
    PATIENCE_SECONDS,
    WIRE,
    connected,
    linked,
    make_answer,
    make_request,
    run,
    serving,
)

from switch.iso8583.dialect import load_dialect
from switch.iso8583.framing import FramingKind
from switch.iso8583.mac import Mac, MacKind
from switch.iso8583.message import Message
from switch.iso8583.wire import Wire
from switch.links.connection import Connection

ASCII = "iso8583-1993-ascii"
CMAC = Mac(MacKind.CMAC, bytes(range(16)))
RETAIL = Mac(MacKind.RETAIL, bytes(range(16)))
ECHO = Message("1804", {7: "1121010203", 11: "000902", 12: "261121010203", 24: "831"})


def agree(connection: Connection, message: Message) -> None:
    """A service that approves payments and accepts reversals."""
    connection.send(make_answer(message, "400" if message.mti.startswith("14") else "000"))


@pytest.mark.parametrize(
    ("dialect", "framing", "tpdu", "mac"),
    [
        (ASCII, FramingKind.ASCII_4, True, None),
        ("iso8583-1993-binary", FramingKind.BINARY_2_INCLUSIVE, False, RETAIL),
        ("iso8583-1987-ascii", FramingKind.BINARY_4, False, CMAC),
        ("iso8583-1987-binary", FramingKind.BCD_2, True, RETAIL),
    ],
)
def test_a_link_signs_on_and_asks_in_every_dialect(
    dialect: str, framing: FramingKind, tpdu: bool, mac: Mac | None
) -> None:
    """Sign-on, a request and its answer, a reversal and its answer: alike for whoever uses the link."""

    async def test() -> None:
        wire = Wire(load_dialect(dialect), framing, tpdu=tpdu, mac=mac)
        async with serving(agree, wire=wire, require_sign_on=True) as server, linked(server.port, wire=wire) as group:
            answer = await group.request(make_request(), 2.0)
            assert (answer.mti, answer[11], answer[39]) == ("1110", "000001", "000")
            answer = await group.request(make_request("1420"), 2.0)
            assert (answer.mti, answer[11], answer[39]) == ("1430", "000001", "400")
            assert (server.counters.rejected, group.counters.rejected) == (0, 0)

    run(test())


def test_an_answer_carries_the_address_that_its_request_came_from() -> None:
    """The transport header comes back with its two addresses exchanged, each request's own."""

    async def test() -> None:
        wire = Wire(load_dialect(ASCII), FramingKind.BINARY_2, tpdu=True)
        async with serving(wire=wire) as server, connected(server.port) as peer:
            for request, address in ((make_request(), "6000011111"), (ECHO, "6000022222")):
                request.header = bytes.fromhex(address)
                await peer.send_bytes(wire.encode(request))
                length = int.from_bytes(await peer.reader.readexactly(2), "big")
                answer = await peer.reader.readexactly(length)
                assert answer[:5].hex() == f"60{address[6:]}{address[2:6]}"
                assert answer[5:9] == request.answer({}).mti.encode()

    run(test())


def test_a_keep_alive_is_not_answered_and_disturbs_nothing() -> None:
    """Frames of no length around a request: one answer, and nothing is counted as unreadable."""

    async def test() -> None:
        async with serving() as server, connected(server.port) as peer:
            await peer.send_bytes(WIRE.keep_alive * 3 + WIRE.encode(make_request()) + WIRE.keep_alive)
            await peer.send(ECHO)
            assert [(await peer.receive()).mti for _ in range(2)] == ["1110", "1814"]
            assert (server.counters.rx, server.counters.rejected) == (2, 0)

    run(test())


@pytest.mark.parametrize("mac", [CMAC, RETAIL], ids=["CMAC", "retail"])
def test_a_request_with_a_wrong_mac_is_answered_916_and_never_reaches_the_service(mac: Mac) -> None:
    """Its neighbours on the connection are served."""
    reached: list[str] = []

    async def test() -> None:
        wire = Wire(load_dialect(ASCII), FramingKind.BINARY_2, mac=mac)
        spoiled = wire.encode(make_request(stan=1)).replace(b"000000001000", b"000000009000")
        reader = wire.reader()
        async with (
            serving(lambda _, message: reached.append(message[11]), wire=wire) as server,
            connected(server.port) as peer,
        ):
            await peer.send_bytes(spoiled + wire.encode(make_request(stan=2)) + wire.encode(ECHO))
            answers: list[Message] = []
            while len(answers) < 2:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    data = await peer.reader.read(4096)
                assert data, "the server has closed the connection"
                answers += [each for each in reader.feed(data) if isinstance(each, Message)]
            assert [(each.mti, each[11], each[39]) for each in answers] == [
                ("1110", "000001", "916"),
                ("1814", "000902", "800"),
            ]
            assert reached == ["000002"]
            assert server.counters.rejected == 1

    run(test())
