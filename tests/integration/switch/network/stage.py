"""A network on a real database between fake banks and bare terminals."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from tests.integration.switch.links.peers import WIRE, Peer, connected
from tests.integration.switch.network.fake_bank import FakeBank

from switch.ecosystem import Bank, Network
from switch.iso8583.message import Message
from switch.iso8583.wire import Wire
from switch.issuing.lookup import HmacPanLookup
from switch.links.group import LinkGroup
from switch.links.server import MessageServer
from switch.network.payloads import AesGcmCipher
from switch.network.service import NetworkService
from switch.network.store import NetworkStore, open_pool

LOOKUP = HmacPanLookup(b"k" * 32)
CIPHER = AesGcmCipher(b"c" * 32)

# From the published test ranges, with their check digits.
CARD = "4761340000000019"
OTHER_CARD = "4761340000000027"
HARBOUR_CARD = "5413330000000019"
UNKNOWN_CARD = "4761340000000035"


def make_banks(**northgate: Any) -> tuple[Bank, Bank]:
    """Northgate, which lets networks stand in for it, and Harbour, which does not."""
    first = {
        "id": "northgate",
        "name": "Northgate",
        "institution_id": "910001",
        "country": "GB",
        "currency": "GBP",
        "listen": {"port": 0},
        "networks": ["meridian"],
        "ranges": [
            {
                "low": "476134",
                "high": "476134",
                "stand_in": {"per_payment_minor": 5000, "per_day_minor": 10_000, "per_day_count": 3},
            }
        ],
    }
    second = first | {
        "id": "harbour",
        "name": "Harbour",
        "institution_id": "910002",
        "country": "IE",
        "currency": "EUR",
        "ranges": [
            {"low": "541333", "high": "541333", "services": ["purchase", "cash", "pre_authorisation", "refund"]}
        ],
    }
    return Bank.model_validate(first | northgate), Bank.model_validate(second)


def make_network(**given: Any) -> Network:
    """A network that waits a moment for its banks."""
    settings: dict[str, Any] = {
        "id": "meridian",
        "name": "Meridian",
        "institution_id": "900001",
        "listen": {"port": 0},
        "response_seconds": 0.3,
        "store_and_forward": {"between_messages_seconds": 0.0, "wait_seconds": 0.1, "wait_seconds_max": 0.5},
    }
    return Network.model_validate(settings | given)


async def add_cards(dsn: str, network_id: str = "meridian", **changes: Any) -> None:
    """The cards of the tests, as the network knows them."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "INSERT INTO network.customers (customer_id, network_id, bank_id, subject, name)"
        " VALUES ('c', $1, 'northgate', 's', 'n') ON CONFLICT DO NOTHING",
        network_id,
    )
    given = {"expiry": "2039-12", "status": "ready", "services": None} | changes
    all_services = ["purchase", "cash", "pre_authorisation", "refund", "ecommerce"]
    for number, pan in enumerate((CARD, OTHER_CARD, HARBOUR_CARD)):
        await connection.execute(
            "INSERT INTO network.cards (card_token, network_id, bank_id, customer_id, pan_lookup, last_four, expiry,"
            " services, status) VALUES ($1, $2, $3, 'c', $4, $5, $6, $7, $8)",
            f"999000000000000{number}",
            network_id,
            "harbour" if pan == HARBOUR_CARD else "northgate",
            LOOKUP.lookup(pan),
            pan[-4:],
            given["expiry"],
            given["services"] or all_services,
            given["status"],
        )
    await connection.close()


@dataclass
class Stage:
    """What a test works with."""

    dsn: str
    service: NetworkService
    server: MessageServer
    banks: dict[str, FakeBank]
    links: dict[str, LinkGroup]
    terminal: Peer
    pool: Any = field(repr=False)

    @property
    def northgate(self) -> FakeBank:
        return self.banks["northgate"]

    async def ask(self, message: Message) -> Message:
        """Send one message from the terminal and take the next answer."""
        await self.terminal.send(message)
        return await self.terminal.receive()

    async def rows(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """What the database holds."""
        rows: list[asyncpg.Record] = await self.pool.fetch(query, *arguments)
        return rows

    async def advices(self, status: str | None = None) -> list[asyncpg.Record]:
        """What is stored for banks, in order."""
        rows = await self.rows("SELECT * FROM network.advices ORDER BY advice_id")
        return [row for row in rows if status in {None, row["status"]}]

    async def delivered(self, count: int) -> bool:
        """Whether so many come to be delivered in time."""
        return await self.stored(count, "delivered")

    async def stored(self, count: int, status: str) -> bool:
        """Whether so many come to have a status in time."""
        for _ in range(250):
            if len(await self.advices(status)) >= count:
                return True
            await asyncio.sleep(0.02)
        return False


@asynccontextmanager
async def staged(
    dsn: str,
    *,
    network: Network | None = None,
    banks: tuple[Bank, ...] | None = None,
    down: tuple[str, ...] = (),
    fakes: dict[str, FakeBank] | None = None,
    cards: bool = True,
    hsm: Any = None,
    links: Callable[[LinkGroup], Any] = lambda group: group,
    terminal_wire: Wire = WIRE,
    bank_wire: Wire = WIRE,
) -> AsyncIterator[Stage]:
    """Everything started and connected, but for the banks that are `down`. `fakes` given run already."""
    network = network or make_network()
    banks = banks or make_banks()
    own_fakes = fakes is None
    fakes = fakes or {bank.id: FakeBank(bank_wire) for bank in banks}
    if cards:
        await add_cards(dsn)
    for bank_id, fake in fakes.items() if own_fakes else ():
        await fake.start()
        if bank_id in down:
            await fake.stop()
    groups: dict[str, LinkGroup] = {}

    def connect(bank: Bank, *, on_late: Callable[[Message], None], on_state: Callable[[bool], None]) -> LinkGroup:
        group = groups[bank.id] = LinkGroup(
            bank.id,
            "127.0.0.1",
            fakes[bank.id].port,
            bank_wire,
            links=2,
            echo_seconds=5.0,
            read_seconds=30.0,
            connect_seconds=2.0,
            in_flight_max=1_000,
            on_late=on_late,
            on_state=on_state,
        )
        return links(group)

    pool = await open_pool(dsn)
    store = NetworkStore(pool, network.id)
    service = NetworkService(
        network,
        banks,
        store=store,
        connect=connect,
        pan_lookup=LOOKUP,
        cipher=CIPHER,
        hsm=hsm,
        first_sign_on_seconds=0.1 if down else 2.0,
    )
    server = MessageServer(
        terminal_wire,
        service.receive,
        peer_kind="cardholder",
        connections_max=100,
        in_flight_per_connection_max=network.in_flight_per_connection_max,
        read_seconds=30.0,
        manage=service.manage,
    )
    await service.start()
    await server.start("127.0.0.1", 0)
    try:
        for bank_id, group in groups.items():
            if bank_id not in down:
                assert await group.wait_up(5, links=2), group.failure
        async with connected(server.port) as terminal:
            yield Stage(dsn, service, server, fakes, groups, terminal, pool)
    finally:
        await server.stop(0.1)
        await service.stop()
        await pool.close()
        for fake in fakes.values() if own_fakes else ():
            await fake.stop()


def purchase(
    stan: int = 1, *, mti: str = "1100", pan: str = CARD, amount: int = 1000, terminal: str = "TERM0001", **more: str
) -> Message:
    """A purchase as a terminal asks for it. `more`: data elements as de22="...", None leaves one out."""
    currency = "978" if pan == HARBOUR_CARD else "826"
    fields = {
        2: pan,
        3: "000000",
        4: f"{amount:012}",
        7: "1121010203",
        11: f"{stan:06}",
        12: "261121010203",
        14: "3912",
        22: "510101513344",
        24: "100",
        26: "5411",
        32: "400001",
        37: f"{stan:012}",
        41: terminal,
        42: "ACCEPTOR0000001",
        43: "Corner shop, Leeds, GB",
        49: currency,
    }
    fields |= {int(name[2:]): value for name, value in more.items()}
    return Message(mti, fields)


def reversal(of: Message, stan: int = 900, *, mti: str = "1420", **more: str) -> Message:
    """The reversal of a purchase by its terminal."""
    acquirer = of[32]
    fields = {number: of[number] for number in (2, 3, 4, 12, 14, 22, 26, 32, 37, 41, 42, 49)}
    fields |= {
        7: "1121010204",
        11: f"{stan:06}",
        24: "400",
        25: "4000",
        56: f"{of.mti}{of[11]}{of[12]}{len(acquirer):02}{acquirer}",
    }
    fields |= {int(name[2:]): value for name, value in more.items()}
    return Message(mti, fields)


async def cut_connections(superuser_dsn: str) -> None:
    """End every other connection to the database, as a failover does."""
    connection = await asyncpg.connect(superuser_dsn)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()
