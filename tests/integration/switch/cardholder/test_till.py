"""How a terminal goes about payments when the network does not answer, answers late, or cannot take a reversal yet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from tests.integration.switch.links.peers import linked, make_answer, run, serving

from postrail.domain.money import Money
from switch.cardholder.card import HeldCard
from switch.cardholder.terminal import Place, Terminal
from switch.cardholder.till import Exchange, Patience, Till
from switch.iso8583.message import Message
from switch.links.connection import Connection
from switch.links.errors import PeerAway

CARD = HeldCard("4761340000000019", "2812")
TEN = Money(1_000, "GBP")
HASTY = Patience(answer_seconds=0.1, retry_seconds=0.01, attempts_max=4)


class Network:
    """Answers as it is told, one code a message; None is no answer."""

    def __init__(self, *codes: str | None) -> None:
        self.codes = list(codes)
        self.heard: list[Message] = []

    def receive(self, connection: Connection, message: Message) -> None:
        self.heard.append(message)
        code = self.codes.pop(0) if self.codes else None
        if code is not None:
            connection.send(make_answer(message, code))


@asynccontextmanager
async def at_a_till(network: Network, told: list[Exchange] | None = None) -> AsyncIterator[Till]:
    async with serving(network.receive) as server, linked(server.port, sign_on=False) as line:
        terminal = Terminal(Place(), now=lambda: datetime.now(UTC))
        yield Till(terminal, line, HASTY, tell=told.append if told is not None else lambda _: None)


def test_an_answer_is_the_outcome() -> None:
    """Approved or not, the till does nothing more."""
    network = Network("000", "116")

    async def test() -> None:
        async with at_a_till(network) as till:
            approved = await till.ask(till.terminal.purchase(CARD, TEN))
            declined = await till.ask(till.terminal.purchase(CARD, TEN))
            assert [each.action_code for each in (approved, declined)] == ["000", "116"]
            assert [message.mti for message in network.heard] == ["1100", "1100"]

    run(test())


def test_without_an_answer_the_payment_is_reversed_until_that_is_acknowledged() -> None:
    """1100 unanswered; 1420 unanswered; 1421 not taken yet; 1421 acknowledged: undone."""
    network = Network(None, None, "909", "400")
    told: list[Exchange] = []

    async def test() -> None:
        async with at_a_till(network, told) as till:
            outcome = await till.ask(till.terminal.purchase(CARD, TEN))
            assert [message.mti for message in network.heard] == ["1100", "1420", "1421", "1421"]
            reversal = network.heard[1]
            assert (reversal[25], reversal[56][4:10]) == ("4021", network.heard[0][11])
            assert len({message[11] for message in network.heard[1:]}) == 1
            assert (outcome.answer, outcome.undone) == (None, True)
            assert told == outcome.exchanges

    run(test())


def test_a_reversal_is_not_sent_for_ever() -> None:
    """After as many attempts as may be the till gives up, and says that nothing was acknowledged."""
    network = Network()

    async def test() -> None:
        async with at_a_till(network) as till:
            outcome = await till.ask(till.terminal.purchase(CARD, TEN))
            assert [message.mti for message in network.heard] == ["1100", "1420", "1421", "1421", "1421"]
            assert (outcome.answer, outcome.undone) == (None, False)

    run(test())


def test_a_refused_advice_is_not_repeated() -> None:
    """A code that says no for good ends the insisting."""
    network = Network("904")

    async def test() -> None:
        async with at_a_till(network) as till:
            original = till.terminal.pre_authorisation(CARD, TEN)
            outcome = await till.insist(till.terminal.completion(original, TEN))
            assert [message.mti for message in network.heard] == ["1220"]
            assert outcome.action_code == "904"

    run(test())


def test_without_a_line_nothing_is_sent_and_nothing_reversed() -> None:
    """There is nothing to undo when the request never left."""

    async def test() -> None:
        async with serving() as server:
            port = server.port
        async with linked(port, wait=False, sign_on=False) as line:
            till = Till(Terminal(Place(), now=lambda: datetime.now(UTC)), line, HASTY)
            with pytest.raises(PeerAway):
                await till.ask(till.terminal.purchase(CARD, TEN))

    run(test())


def test_a_line_that_breaks_under_a_payment_ends_in_a_reversal() -> None:
    """The connection is cut before the answer: the till connects again and undoes."""
    heard: list[Message] = []

    def receive(connection: Connection, message: Message) -> None:
        heard.append(message)
        if message.mti == "1100":
            connection.abort("cut")
        else:
            connection.send(make_answer(message, "400"))

    async def test() -> None:
        async with serving(receive) as server, linked(server.port, sign_on=False) as line:
            terminal = Terminal(Place(), now=lambda: datetime.now(UTC))
            patient = Patience(answer_seconds=2.0, retry_seconds=0.2, attempts_max=10)
            outcome = await Till(terminal, line, patient).ask(terminal.purchase(CARD, TEN))
            assert outcome.undone
            assert [message.mti[:2] for message in heard] == ["11", "14"]

    run(test())
