"""`postrail cardholder` against a network on loopback: what it sends, prints and answers."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from tests.builders.command_line import postrail  # noqa: F401 - a fixture
from tests.integration.switch.links.peers import make_answer, serving

from postrail.domain.card import find_clear_pans
from switch.iso8583.message import Message
from switch.links.connection import Connection

CARD = "4761340000000019 2812"


class Network:
    """A network in a thread of its own: approves, unless a code is set for a type of message."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.codes: dict[str, str] = {}
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    def _receive(self, connection: Connection, message: Message) -> None:
        self.heard.append(message)
        code = self.codes.get(message.mti, "400" if message.mti.startswith("14") else "000")
        if code:
            answer = make_answer(message, code)
            if code == "000":
                answer.fields[38] = "123456"
            connection.send(answer)

    async def _serve(self) -> None:
        async with serving(self._receive) as server:
            self.port = server.port
            self._ready.set()
            await self._stop.wait()


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """Meridian of the ecosystem that ships, played by a thread."""
    with Network() as playing:
        monkeypatch.setenv("POSTRAIL_ECOSYSTEM_HOSTS", json.dumps({"meridian": f"127.0.0.1:{playing.port}"}))
        monkeypatch.setenv("POSTRAIL_CARD", CARD)
        yield playing


def test_paying_prints_messages_beside_each_other_and_the_result(network, postrail) -> None:  # noqa: F811
    """Approved: exit code 0, the approval code, and a masked card."""
    code, out, _ = postrail("cardholder", "pay", "12.50", "GBP")
    assert code == 0
    assert "Card 476134******0019" in out
    assert "Approved: 000, approval code 123456." in out
    assert "1100 Authorization request" in out
    assert list(find_clear_pans(out)) == []
    assert (network.heard[0][2], network.heard[0][4], network.heard[0][14]) == (
        "4761340000000019",
        "000000001250",
        "2812",
    )


def test_a_declined_payment_is_told_by_the_exit_code(network, postrail) -> None:  # noqa: F811
    """Declined: exit code 1 and the action code."""
    network.codes["1100"] = "116"
    code, out, _ = postrail("cardholder", "pay", "12.50", "GBP", "--kind", "cash")
    assert code == 1
    assert "Declined: 116 not enough money." in out
    assert network.heard[0][3] == "010000"


def test_json_is_one_document_without_card_data(network, postrail) -> None:  # noqa: F811
    """For programs: result and masked messages, and nothing else on standard output."""
    code, out, _ = postrail("cardholder", "pay", "5", "GBP", "--json")
    document = json.loads(out)
    assert code == 0
    assert (document["approved"], document["action_code"], document["card"]) == (True, "000", "476134******0019")
    [exchange] = document["exchanges"]
    assert exchange["sent"]["fields"]["2"] == "476134******0019"
    assert exchange["answer"]["mti"] == "1110"
    assert list(find_clear_pans(out)) == []


def test_a_pre_authorisation_is_completed_with_its_approval_code(network, postrail) -> None:  # noqa: F811
    """1100 with 101, then 1220 with the approval code of the first."""
    code, _, _ = postrail("cardholder", "pay", "200", "GBP", "--kind", "pre-authorisation", "--complete", "180")
    assert code == 0
    asked, completed = network.heard
    assert (asked[24], completed.mti, completed[4], completed[38]) == ("101", "1220", "000000018000", "123456")
    assert completed[56][4:10] == asked[11]


def test_a_receipt_takes_a_payment_back(network, postrail, tmp_path: Path) -> None:  # noqa: F811
    """`pay` writes it, without the card; `reverse` reads it, and may leave a part."""
    receipt = tmp_path / "coffee.json"
    assert postrail("cardholder", "pay", "12.50", "GBP", "--receipt", str(receipt))[0] == 0
    assert list(find_clear_pans(receipt.read_text())) == []
    assert "2812" not in receipt.read_text()
    code, out, _ = postrail("cardholder", "reverse", str(receipt))
    assert code == 0
    assert "Acknowledged: 400 reversal accepted." in out
    assert postrail("cardholder", "reverse", str(receipt), "--left", "2.50")[0] == 0
    paid, whole, part = network.heard
    assert (whole.mti, whole[24], whole[56][4:10]) == ("1420", "400", paid[11])
    assert (part[24], part[4], part[30][:12]) == ("401", "000000000250", "000000001250")


def test_an_unanswered_payment_is_reversed(network, postrail) -> None:  # noqa: F811
    """The terminal's own patience: no answer, a reversal, exit code 1."""
    network.codes["1100"] = ""
    code, out, _ = postrail("cardholder", "pay", "12.50", "GBP", "--seconds", "0.2")
    assert code == 1
    assert "No answer came; the payment was reversed." in out
    assert [message.mti for message in network.heard] == ["1100", "1420"]


def test_the_card_may_come_from_a_file(network, postrail, tmp_path: Path, monkeypatch) -> None:  # noqa: F811
    """As the API of cards gives it."""
    monkeypatch.delenv("POSTRAIL_CARD")
    file = tmp_path / "card.json"
    file.write_text('{"pan": "4761340000000027", "expiry": "2030-01"}')
    assert postrail("cardholder", "pay", "1", "GBP", "--card-file", str(file))[0] == 0
    assert (network.heard[0][2], network.heard[0][14]) == ("4761340000000027", "3001")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("pay", "12.505", "GBP"), "at most 2 decimals"),
        (("pay", "0", "GBP"), "The amount is nothing"),
        (("pay", "1", "POUND"), "is no currency"),
        (("pay", "1", "GBP", "--network", "nowhere"), "no network nowhere"),
        (("pay", "1", "GBP", "--complete", "1"), "--complete goes with"),
        (("pay", "1", "GBP", "--card-file", "/nowhere/card"), "There is no file"),
        (("script", "/nowhere/scenario.yaml"), "cannot be read"),
    ],
)
def test_what_is_wrong_is_one_sentence(network, postrail, arguments, complaint) -> None:  # noqa: F811
    """No traceback, and nothing is sent."""
    code, _, err = postrail("cardholder", *arguments)
    assert code != 0
    assert complaint in err
    assert network.heard == []


def test_a_file_that_is_no_receipt_is_said_to_be_none(network, postrail, tmp_path: Path) -> None:  # noqa: F811
    """Whatever JSON or text it is."""
    for number, content in enumerate(
        ("", "[]", "{}", '{"mti": "1100", "fields": {}, "action_code": "", "approval_code": ""}')
    ):
        file = tmp_path / f"{number}.json"
        file.write_text(content)
        code, _, err = postrail("cardholder", "reverse", str(file))
        assert code == 1
        assert "is no receipt" in err


def test_a_network_that_cannot_be_reached_is_named(postrail, monkeypatch) -> None:  # noqa: F811
    """Where it was looked for, and how to start it."""
    monkeypatch.setattr("postrail.cli.cardholder.CONNECT_SECONDS_MAX", 0.3)
    monkeypatch.setenv("POSTRAIL_ECOSYSTEM_HOSTS", json.dumps({"meridian": "127.0.0.1:1"}))
    monkeypatch.setenv("POSTRAIL_CARD", CARD)
    code, _, err = postrail("cardholder", "pay", "1", "GBP")
    assert code == 1
    assert "meridian cannot be reached at 127.0.0.1:1" in err
    assert "postrail switch network meridian" in err
