"""Authorizations through a network: asked of the bank, or answered without it."""

import pytest
from tests.integration.switch.links.peers import connected, eventually, linked, run
from tests.integration.switch.network.fake_bank import approve, decline, silent_on
from tests.integration.switch.network.stage import (
    CARD,
    HARBOUR_CARD,
    UNKNOWN_CARD,
    make_network,
    purchase,
    reversal,
    staged,
)

from switch.iso8583.dialect import load_dialect
from switch.iso8583.framing import FramingKind
from switch.iso8583.mac import Mac, MacKind
from switch.iso8583.message import Message
from switch.iso8583.wire import Wire
from switch.links.group import LinkGroup


def test_an_approval_of_the_bank_reaches_the_cardholder(postgres_dsn: str) -> None:
    """The request goes to the bank of its range with the network's own DE 7 and 33; the answer echoes the request."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            request = purchase()
            answer = await stage.ask(request)
            assert (answer.mti, answer[39], answer[38]) == ("1110", "000", "A00001")
            assert {number: answer[number] for number in (3, 4, 7, 11, 12, 32, 37, 41, 42, 49)} == {
                number: request[number] for number in (3, 4, 7, 11, 12, 32, 37, 41, 42, 49)
            }
            assert 2 not in answer.fields
            (asked,) = stage.northgate.received
            assert (asked.mti, asked[2], asked[33]) == ("1100", CARD, "900001")
            assert asked[7] != request[7]
            assert not stage.banks["harbour"].received
            assert not await stage.advices()

    run(test())


def test_each_range_leads_to_its_bank(postgres_dsn: str) -> None:
    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            assert (await stage.ask(purchase(1, pan=HARBOUR_CARD)))[39] == "000"
            assert (await stage.ask(purchase(2)))[39] == "000"
            assert [message[11] for message in stage.banks["harbour"].received] == ["000001"]
            assert [message[11] for message in stage.northgate.received] == ["000002"]

    run(test())


def test_a_decline_of_the_bank_is_passed_on_as_it_is(postgres_dsn: str) -> None:
    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            stage.northgate.react = decline("116")
            assert (await stage.ask(purchase()))[39] == "116"

    run(test())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"pan": "4761340000000018"}, "111"),
        ({"pan": "4761350000000018"}, "908"),
        ({"pan": UNKNOWN_CARD}, "118"),
        ({"amount": 0}, "110"),
        ({"de49": "999"}, "110"),
        ({"de3": "300000"}, "115"),
        ({"de24": "108"}, "115"),
        ({"de14": "3911"}, "101"),
        ({"pan": HARBOUR_CARD, "de22": "510150513344"}, "119"),
        ({"de52": "0102030405060708"}, "128"),
        ({"de35": "5413330000000019=39122011234567"}, "904"),
    ],
)
def test_what_the_network_checks_itself_does_not_reach_the_bank(
    postgres_dsn: str, changes: dict[str, str], code: str
) -> None:
    """Check digit, route, card, amount, currency, service, month, PIN without keys, track that names another card."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            assert (await stage.ask(purchase(**changes)))[39] == code
            assert not stage.northgate.received
            assert not stage.banks["harbour"].received

    run(test())


def test_what_the_network_does_not_do_is_said_so(postgres_dsn: str) -> None:
    """A financial request (1200) is answered 1210 with 902; the connection lives on."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            answer = await stage.ask(purchase(1, mti="1200"))
            assert (answer.mti, answer[11], answer[39]) == ("1210", "000001", "902")
            assert (await stage.ask(purchase(2)))[39] == "000"

    run(test())


def test_dialects_meet_in_the_network(postgres_dsn: str) -> None:
    """A terminal of 1987 and a bank of 1993 in binary with a MAC: 00 for 000, 51 for 116, 91 for 911."""
    terminal_wire = Wire(load_dialect("iso8583-1987-ascii"), FramingKind.ASCII_4)
    bank_wire = Wire(load_dialect("iso8583-1993-binary"), FramingKind.BINARY_2, mac=Mac(MacKind.CMAC, bytes(range(16))))

    async def test() -> None:
        async with (
            staged(postgres_dsn, terminal_wire=terminal_wire, bank_wire=bank_wire) as stage,
            linked(stage.server.port, wire=terminal_wire, sign_on=False) as terminal,
        ):
            assert (await terminal.request(purchase(1), 2.0))[39] == "000"
            stage.northgate.react = decline("116")
            assert (await terminal.request(purchase(2), 2.0))[39] == "116"
            stage.northgate.react = silent_on("110")
            paid = purchase(3)
            # 91 on the wire, which is read back as the first of its meanings
            assert (await terminal.request(paid, 2.0))[39] == "907"
            assert stage.service.counters.answers["911"] == 1
            stage.northgate.react = approve
            undone = await terminal.request(reversal(purchase(1)), 2.0)
            assert (undone.mti, undone[39]) == ("1430", "400")
            assert await stage.delivered(2)
            named = [message[56] for message in stage.northgate.of("1420")]
            assert named == ["110000000326112101020306400001", "110000000126112101020306400001"]

    run(test())


def test_the_unforeseen_is_answered_and_undone(postgres_dsn: str) -> None:
    """An error that nobody thought of, after the request has left: 909 to the cardholder, a reversal to the bank."""

    class Broken:
        def __init__(self, group: LinkGroup) -> None:
            self._group = group

        def __getattr__(self, name: str) -> object:
            return getattr(self._group, name)

        async def request(self, message: Message, seconds: float) -> Message:
            answer = await self._group.request(message, seconds)
            if message.mti == "1100":
                raise ArithmeticError
            return answer

    async def test() -> None:
        async with staged(postgres_dsn, links=Broken) as stage:
            assert (await stage.ask(purchase(1)))[39] == "909"
            assert await stage.delivered(1)
            assert stage.northgate.kinds() == {"1100": 1, "1420": 1}

    run(test())


def test_an_answer_for_a_terminal_that_has_gone_is_counted(postgres_dsn: str) -> None:
    """It repeats or reverses when it is back; a repetition finds the answer."""

    async def test() -> None:
        async with staged(postgres_dsn, network=make_network(response_seconds=5)) as stage:
            stage.northgate.late_seconds = 0.2
            async with connected(stage.server.port) as other:
                await other.send(purchase(1))
                assert await eventually(lambda: bool(stage.northgate.received))
            assert await eventually(lambda: stage.service.counters.unanswerable == 1)
            assert (await stage.ask(purchase(1, mti="1101")))[39] == "000"
            assert len(stage.northgate.received) == 1

    run(test())


def test_a_thousand_payments_at_once_are_each_answered_as_their_own(postgres_dsn: str) -> None:
    """Answers find their requests whatever the order."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            stage.northgate.react = lambda message: decline("116" if int(message[11]) % 3 == 0 else "000")(message)
            await stage.terminal.send(*(purchase(number) for number in range(1, 1001)))
            answers = [await stage.terminal.receive() for _ in range(1000)]
            assert {answer[11]: answer[39] for answer in answers} == {
                f"{number:06}": "116" if number % 3 == 0 else "000" for number in range(1, 1001)
            }
            assert stage.service.counters.answered == 1000

    run(test())


def test_a_bank_that_does_not_read_does_not_fill_the_network(postgres_dsn: str) -> None:
    """At the bound of what may be on the way requests are refused with 907, and none is left without an answer."""

    async def test() -> None:
        async with staged(postgres_dsn, network=make_network(in_flight_max=5)) as stage:
            stage.northgate.late_seconds = 0.1
            await stage.terminal.send(*(purchase(number) for number in range(1, 21)))
            codes = sorted([(await stage.terminal.receive())[39] for _ in range(20)])
            assert codes == ["000"] * 5 + ["907"] * 15
            assert await eventually(lambda: not stage.service.details()["in_flight"])
            assert (await stage.ask(purchase(30)))[39] == "000"

    run(test())
