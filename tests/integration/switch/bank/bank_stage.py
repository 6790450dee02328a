"""A bank on a real database, spoken to without a socket: what a network would send, and what the bank answers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import psycopg

from postrail.adapters.postgres.connection import Database
from postrail.adapters.system import SystemClock, SystemIds
from postrail.contracts.payment import AccountDetails
from postrail.domain.errors import Retryable
from postrail.ports import ExchangeRate
from postrail.products import ProductBook, load_products
from postrail.settings import Settings
from switch.bank.billing import Biller, RateBook
from switch.bank.fraud import FraudCheck, FraudRules, RuleBasedFraudCheck
from switch.bank.policy import BankPolicy
from switch.bank.relay import ApprovalsTable
from switch.bank.service import BankService
from switch.bank.store import BankDatabase
from switch.ecosystem import Bank, load_ecosystem
from switch.hsm.ports import Hsm
from switch.iso8583.message import Message
from switch.issuing.card_sample import SampleCard, make_sample_cards
from switch.issuing.lookup import HmacPanLookup

CONFIG = Settings().resolved_config_dir()
LOOKUP = HmacPanLookup(b"a key for tests, 32 bytes or more")
ACQUIRER = "900100"
GBP, EUR, USD = "826", "978", "840"
_STANS = count(1)


def northgate() -> Bank:
    """The bank of the tests; its accounts are in GBP."""
    return load_ecosystem(CONFIG / "ecosystem.yaml").bank("northgate")


def products() -> ProductBook:
    return load_products(CONFIG / "products" / "default.yaml")


class FixedRates:
    """A reference book with the rates given; `away` makes it unreachable."""

    def __init__(self, *rates: ExchangeRate) -> None:
        self._rates = {(rate.source, rate.target): rate for rate in rates}
        self.away = False
        self.asked = 0

    def accounts_by_token(self, tokens: Any) -> dict[str, AccountDetails]:
        return {}

    def rates(self, pairs: Any) -> dict[tuple[str, str], ExchangeRate]:
        self.asked += 1
        if self.away:
            raise Retryable("the rates are away")
        return {pair: self._rates[pair] for pair in pairs if pair in self._rates}


@dataclass
class MovableClock:
    """The machine's clock, shifted."""

    shift: timedelta = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift


@dataclass
class Terminal:
    """The network's connection to the bank, as a test sees it: `ask` sends and waits for the answer."""

    bank: BankService
    answers: dict[tuple[str, str, str], asyncio.Future[Message]] = field(default_factory=dict)
    given_up: int = 0

    def send(self, message: Message) -> None:
        future = self.answers.get((message.mti[:2], message.get(11), message.get(41)))
        if future is not None and not future.done():
            future.set_result(message)

    def give_up(self) -> None:
        self.given_up += 1

    def begin(self, message: Message) -> "asyncio.Future[Message]":
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.answers[message.mti[:2], message.get(11), message.get(41)] = future
        self.bank.receive(self, message)
        return future

    async def ask(self, message: Message) -> Message:
        return await asyncio.wait_for(self.begin(message), 10)


def build_bank(
    dsn: str,
    *,
    bank: Bank | None = None,
    policy: BankPolicy | None = None,
    rates: FixedRates | None = None,
    fraud: FraudCheck | None = None,
    hsm: Hsm | None = None,
    table: ApprovalsTable | None = None,
    clock: Any = None,
) -> BankService:
    """A bank that has not started."""
    policy = policy or BankPolicy()
    return BankService(
        bank or northgate(),
        BankDatabase(dsn, connections=policy.batches_at_once + 3),
        lookup=LOOKUP,
        biller=Biller(products(), RateBook(rates, refresh_seconds=policy.rates_seconds)),
        fraud=fraud or RuleBasedFraudCheck(FraudRules(version="2026.1")),
        hsm=hsm,
        table=table,
        ids=SystemIds(),
        clock=clock or SystemClock(),
        policy=policy,
    )


@asynccontextmanager
async def open_bank(dsn: str, **settings: Any) -> AsyncIterator[Terminal]:
    """A bank that has started, and is stopped in the end; `settings` are those of `build_bank`."""
    service = build_bank(dsn, **settings)
    await service.start()
    try:
        yield Terminal(service)
    finally:
        await service.stop()


async def until(holds: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Wait until something holds; a TimeoutError says that it never did."""
    async with asyncio.timeout(seconds):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


def issue_cards(dsn: str, number: int = 1, balance_minor: int = 100_000, **changes: Any) -> list[SampleCard]:
    """Ready cards on accounts with 1,000.00 GBP each."""
    with Database(dsn) as database:
        return make_sample_cards(
            database,
            bank=changes.pop("bank", None) or northgate(),
            network_id="meridian",
            lookup=LOOKUP,
            count=number,
            balance_minor=balance_minor,
            **changes,
        )


def purchase(card: SampleCard, amount_minor: int = 2_550, **changes: Any) -> Message:
    """A chip purchase at a corner shop in Leeds. `changes` are fields: `de3="010000"`; None removes one."""
    now = datetime.now(UTC)
    fields: dict[int, str] = {
        2: card.pan,
        3: "000000",
        4: f"{amount_minor:012}",
        7: f"{now:%m%d%H%M%S}",
        11: f"{next(_STANS):06}",
        12: f"{now:%y%m%d%H%M%S}",
        14: card.expiry[2:4] + card.expiry[5:7],
        22: "510101511344",
        24: "100",
        26: "5411",
        32: ACQUIRER,
        37: f"{next(_STANS):012}",
        41: "T0000001",
        42: "SHOP00000000001",
        43: "CORNER SHOP\\HIGH STREET 1\\LEEDS\\LS1 4DY   GBR",
        49: GBP,
    }
    return _changed(Message(changes.pop("mti", "1100"), fields), changes)


def cash(card: SampleCard, amount_minor: int = 5_000, **changes: Any) -> Message:
    return purchase(card, amount_minor, **{"de3": "010000", "de26": "6011"} | changes)


def refund(card: SampleCard, amount_minor: int = 1_000, **changes: Any) -> Message:
    return purchase(card, amount_minor, **{"de3": "200000"} | changes)


def pre_authorisation(card: SampleCard, amount_minor: int = 10_000, **changes: Any) -> Message:
    return purchase(card, amount_minor, **{"de24": "101"} | changes)


def original_data(message: Message) -> str:
    """DE 56 that names a message."""
    acquirer = message[32]
    return f"{message.mti[:3]}0{message[11]}{message[12]}{len(acquirer):02}{acquirer}"


def reversal(message: Message, **changes: Any) -> Message:
    """A 1420 that undoes a message wholly."""
    now = datetime.now(UTC)
    fields = {number: message.fields[number] for number in (2, 3, 4, 32, 37, 41, 42, 49) if number in message.fields}
    fields |= {
        7: f"{now:%m%d%H%M%S}",
        11: f"{next(_STANS):06}",
        12: f"{now:%y%m%d%H%M%S}",
        24: "400",
        25: "4000",
        56: original_data(message),
    }
    return _changed(Message(changes.pop("mti", "1420"), fields), changes)


def partial_reversal(message: Message, undone_minor: int, **changes: Any) -> Message:
    """A 1420 that undoes a part: DE 30 tells the amount authorised, DE 4 what it comes to in the end."""
    amount = int(message[4])
    fields = {"de24": "401", "de4": f"{amount - undone_minor:012}", "de30": f"{amount:012}{0:012}"}
    return reversal(message, **fields | changes)


def completion(message: Message, amount_minor: int, **changes: Any) -> Message:
    """A 1220 that completes a pre-authorisation."""
    now = datetime.now(UTC)
    fields = {number: message.fields[number] for number in (2, 3, 32, 37, 41, 42, 49) if number in message.fields}
    fields |= {
        4: f"{amount_minor:012}",
        7: f"{now:%m%d%H%M%S}",
        11: f"{next(_STANS):06}",
        12: f"{now:%y%m%d%H%M%S}",
        24: "201" if amount_minor == int(message[4]) else "202",
        56: original_data(message),
    }
    return _changed(Message(changes.pop("mti", "1220"), fields), changes)


def advice(card: SampleCard, amount_minor: int = 2_550, **changes: Any) -> Message:
    """A 1120: the network has approved in the bank's stead."""
    fields = {"mti": "1120", "de25": "1003", "de38": "123456", "de39": "000", "de58": "900001"}
    return purchase(card, amount_minor, **fields | changes)


def repeated(message: Message, **changes: Any) -> Message:
    """The same message once more, transmitted later."""
    again = Message(message.mti[:3] + str(int(message.mti[3]) + 1), dict(message.fields))
    return _changed(again, changes)


def _changed(message: Message, changes: dict[str, Any]) -> Message:
    for name, value in changes.items():
        if value is None:
            message.fields.pop(int(name[2:]), None)
        else:
            message.fields[int(name[2:])] = value
    return message


@dataclass(frozen=True)
class Books:
    """What the database says, read by a connection of its own."""

    dsn: str

    def rows(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(sql, arguments).fetchall()

    def one(self, sql: str, *arguments: Any) -> Any:
        return self.rows(sql, *arguments)[0][0]

    def execute(self, sql: str, *arguments: Any) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(sql, arguments)

    def standing(self, card: SampleCard) -> tuple[int, int]:
        """Total and held of a card's account."""
        ((total, held),) = self.rows(
            "SELECT total_minor, held_minor FROM ledger.account_balances WHERE account_id = %s", card.account_id
        )
        return total, held

    def events(self, detail_type: str = "AuthorizationReversed") -> list[str]:
        found = self.rows("SELECT detail FROM ledger.outbox WHERE detail_type = %s ORDER BY outbox_id", detail_type)
        return [row[0] for row in found]

    def items(self) -> list[dict[str, Any]]:
        return [row[0] for row in self.rows("SELECT item FROM bank.approvals_to_relay ORDER BY relay_id")]
