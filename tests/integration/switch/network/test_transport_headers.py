"""Terminals whose messages carry a transport header (TPDU) at a network whose banks have none."""

import pytest
from tests.integration.switch.links.peers import WIRE, run
from tests.integration.switch.network.fake_bank import silent_on
from tests.integration.switch.network.stage import Stage, purchase, reversal, staged

from switch.iso8583.dialect import load_dialect
from switch.iso8583.framing import FramingKind
from switch.iso8583.message import Message
from switch.iso8583.wire import Wire

WITH_HEADER = Wire(load_dialect("iso8583-1993-ascii"), FramingKind.BINARY_2, tpdu=True)


async def ask_from(stage: Stage, address: str, message: Message) -> tuple[str, Message]:
    """Send with this transport header; the header and the message that come back."""
    message.header = bytes.fromhex(address)
    await stage.terminal.send_bytes(WITH_HEADER.encode(message))
    length = await stage.terminal.reader.readexactly(2)
    body = await stage.terminal.reader.readexactly(int.from_bytes(length, "big"))
    (answer,) = WIRE.reader().feed((len(body) - 5).to_bytes(2, "big") + body[5:])
    assert isinstance(answer, Message)
    return body[:5].hex(), answer


@pytest.mark.parametrize(("silent", "code"), [((), "000"), (("110",), "911")])
def test_every_answer_goes_back_to_its_terminal(postgres_dsn: str, silent: tuple[str, ...], code: str) -> None:
    """The bank's answer, the network's own when the bank is silent, a repeated one and that to a reversal."""

    async def test() -> None:
        async with staged(postgres_dsn, terminal_wire=WITH_HEADER) as stage:
            if silent:
                stage.northgate.react = silent_on(*silent)
            header, answer = await ask_from(stage, "6000011234", purchase(1))
            assert (header, answer.mti, answer[39]) == ("6012340001", "1110", code)
            header, answer = await ask_from(stage, "6000015678", purchase(1, mti="1101"))
            assert (header, answer.mti, answer[39]) == ("6056780001", "1110", code)
            header, answer = await ask_from(stage, "6000019abc", reversal(purchase(1)))
            assert (header, answer.mti, answer[39]) == ("609abc0001", "1430", "400")
            assert stage.northgate.received

    run(test())
