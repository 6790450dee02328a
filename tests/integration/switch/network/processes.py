"""A network and a bank as processes of their own, run by `postrail switch`, to be killed in full traffic."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml
from tests.integration.switch.links.peers import Peer

from postrail.adapters.postgres.connection import Database
from switch.ecosystem import Ecosystem
from switch.iso8583.message import Message
from switch.issuing.card_sample import SampleCard, make_sample_cards
from switch.issuing.file_vault import load_file_lookup

ROOT = Path(__file__).parents[4]
START_SECONDS_MAX = 40.0
NETWORK, BANK = "meridian", "northgate"


@dataclass(frozen=True)
class Place:
    """Where the processes of a test find everything."""

    folder: Path
    ecosystem: Ecosystem
    environment: dict[str, str]
    cards: list[SampleCard]

    @property
    def network_port(self) -> int:
        return self.ecosystem.network(NETWORK).listen.port

    def start(self, kind: str) -> subprocess.Popen[bytes]:
        """Start the network or the bank; returns when it says that it takes messages."""
        process = subprocess.Popen(
            [sys.executable, "-m", "postrail.cli.main", "switch", kind, NETWORK if kind == "network" else BANK],
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            cwd=self.folder,
        )
        assert process.stdout is not None
        for line in process.stdout:
            if b"takes messages" in line:
                return process
        raise AssertionError(f"{kind} ended with {process.wait()}")


def end(process: subprocess.Popen[bytes], number: int = signal.SIGKILL) -> None:
    """End a process; by default without a chance to do anything about it."""
    with suppress(ProcessLookupError):
        process.send_signal(number)
    process.wait(40)
    if process.stdout is not None:
        process.stdout.close()


@contextmanager
def prepared(dsn: str, folder: Path, *, cards: int = 20, response_seconds: float = 1.0) -> Iterator[Place]:
    """An ecosystem on free ports, with cards that have money. No range has a stand-in."""
    ports = _free_ports(2)
    raw = {
        "version": 1,
        "networks": [
            {
                "id": NETWORK,
                "name": "Meridian",
                "institution_id": "900001",
                "listen": {"port": ports[0]},
                "response_seconds": response_seconds,
                "store_and_forward": {
                    "between_messages_seconds": 0.0,
                    "wait_seconds": 0.3,
                    "wait_seconds_max": 1.0,
                },
            }
        ],
        "banks": [
            {
                "id": BANK,
                "name": "Northgate",
                "institution_id": "910001",
                "country": "GB",
                "currency": "GBP",
                "listen": {
                    "port": ports[1],
                    "dialect": "iso8583-1993-binary",
                    "mac": "cmac",
                    "mac_key": "northgate-mac",
                },
                "networks": [NETWORK],
                "ranges": [{"low": "476134", "high": "476134"}],
            }
        ],
    }
    ecosystem = Ecosystem.model_validate(raw)
    (folder / "ecosystem.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    with Database(dsn) as database:
        made = make_sample_cards(
            database,
            bank=ecosystem.bank(BANK),
            network_id=NETWORK,
            lookup=load_file_lookup(folder / "cards"),
            count=cards,
            balance_minor=100_000_000,
        )
    yield Place(
        folder,
        ecosystem,
        {
            "POSTRAIL_LEDGER_DSN": dsn,
            "POSTRAIL_ECOSYSTEM_FILE": str(folder / "ecosystem.yaml"),
            "POSTRAIL_CARD_FOLDER": str(folder / "cards"),
            "POSTRAIL_CONFIG_DIR": str(ROOT / "config"),
            "POSTRAIL_HSM_KEYS": json.dumps({"northgate-mac": "00112233445566778899aabbccddeeff"}),
            "POSTRAIL_LOG_LEVEL": "WARNING",
            "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("source", ".")),
        },
        made,
    )


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Terminal:
    """A terminal that pays one payment after the other, and reverses what is not answered until it is told 400."""

    WAIT_SECONDS = 4.0

    def __init__(self, name: str, port: int, card: SampleCard) -> None:
        self._name = name
        self._port = port
        self._card = card
        self._stan = 0
        self._peer: Peer | None = None
        self.approved: set[str] = set()
        self.refused: dict[str, str] = {}
        self.reversed: set[str] = set()

    async def pay(self, amount: int) -> None:
        """One payment, however it ends."""
        self._stan += 1
        stan = f"{self._stan:06}"
        payment = purchase_of(self._card, amount, self._stan, self._name)
        answer = await self._ask(payment)
        if answer is None:
            await self._reverse(payment)
            self.reversed.add(stan)
        elif answer[39] == "000":
            self.approved.add(stan)
        else:
            self.refused[stan] = answer[39]

    async def _reverse(self, payment: Message) -> None:
        fields = {number: payment.fields[number] for number in (2, 3, 4, 7, 12, 14, 22, 26, 32, 37, 41, 42, 49)}
        acquirer = payment[32]
        fields |= {
            11: f"9{payment[11][1:]}",
            24: "400",
            25: "4021",
            56: f"1100{payment[11]}{payment[12]}{len(acquirer):02}{acquirer}",
        }
        mti = "1420"
        for _ in range(200):
            answer = await self._ask(Message(mti, fields))
            if answer is not None and answer[39] == "400":
                return
            mti = "1421"
            await asyncio.sleep(0.1)
        raise AssertionError("a reversal was never acknowledged")

    async def _ask(self, message: Message) -> Message | None:
        """The answer, None when there is none in time or the connection is lost."""
        try:
            async with asyncio.timeout(self.WAIT_SECONDS):
                peer = await self._connection()
                await peer.send(message)
                while True:
                    answer = await peer.receive()
                    if answer[11] == message[11] and answer.mti[1] == message.mti[1]:
                        return answer
        except (OSError, EOFError, TimeoutError):
            if self._peer is not None:
                self._peer.writer.close()
            self._peer = None
            return None

    async def _connection(self) -> Peer:
        while self._peer is None:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                self._peer = Peer(reader, writer)
            except ConnectionError:
                await asyncio.sleep(0.1)
        return self._peer


def purchase_of(card: SampleCard, amount: int, stan: int, terminal: str) -> Message:
    """A purchase as a bank takes it."""
    return Message(
        "1100",
        {
            2: card.pan,
            3: "000000",
            4: f"{amount:012}",
            7: "1121010203",
            11: f"{stan:06}",
            12: "261121010203",
            14: "3912",
            22: "510101511344",
            24: "100",
            26: "5411",
            32: "400001",
            37: f"{stan:012}",
            41: terminal,
            42: "ACCEPTOR0000001",
            43: "CORNER SHOP\\HIGH STREET 1\\LEEDS\\LS1 4DY   GBR",
            49: "826",
        },
    )
