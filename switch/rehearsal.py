"""Network and banks in one process, for scenarios: the real services, the real database, lines that fail when told.

Accounts and cards of a scenario are opened for it, so a database that others use is not disturbed; what banks have
recorded is counted from the beginning of the scenario.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import randrange
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any, Final

import asyncpg

from postrail.adapters.postgres.connection import Database
from postrail.domain.errors import Retryable
from postrail.domain.iso4217 import currency_by_code
from postrail.sampling.rates import load_rates
from postrail.settings import Settings, SwitchSettings
from switch.bootstrap import NetworkProcess, build_bank, build_network, build_terminal_line, read_ecosystem
from switch.cardholder.books import AccountView, Books
from switch.cardholder.card import HeldCard
from switch.cardholder.faulty_line import FaultyLine, LineState
from switch.cardholder.scenarios import Scenario, ScenarioCard
from switch.cardholder.terminal import Place, Terminal
from switch.cardholder.till import Patience, Till
from switch.ecosystem import Bank, Ecosystem
from switch.health import Health
from switch.iso8583.mac import MacKind
from switch.issuing.card_sample import SampleCard, make_sample_cards
from switch.issuing.functions import build_pan_lookup
from switch.rehearsal_pipeline import Pipeline

ANSWER_MARGIN_SECONDS: Final = 3.0
UP_SECONDS_MAX: Final = 10.0
_QUICK: Final = {"wait_seconds": 0.5, "wait_seconds_max": 1.0}
"""Stored messages are tried again sooner than in the field: nobody waits minutes for a scenario."""


class Rehearsal:
    """A stage (`switch.cardholder.player.Stage`)."""

    def __init__(
        self,
        till: Till,
        cards: Mapping[str, SampleCard],
        books: Books,
        lines: Mapping[str, FaultyLine],
        pipeline: Pipeline,
        begun: tuple[Mapping[str, int], Mapping[str, int]],
    ) -> None:
        """`begun` is what banks had recorded, and networks delivered, before."""
        self.till = till
        self.cards: Mapping[str, HeldCard] = {alias: _held(card) for alias, card in cards.items()}
        self._account_ids = {alias: card.account_id for alias, card in cards.items()}
        self._books = books
        self._lines = lines
        self._pipeline = pipeline
        self._records_before, self._delivered_before = begun

    async def accounts(self) -> Mapping[str, AccountView]:
        """The accounts behind the cards, by the cards' names."""
        found = await self._books.accounts(list(self._account_ids.values()))
        return {alias: found[account_id] for alias, account_id in self._account_ids.items() if account_id in found}

    async def records(self) -> Mapping[str, int]:
        """What banks have recorded since the scenario began."""
        return _since(self._records_before, await self._books.records())

    async def delivered(self) -> Mapping[str, int]:
        """What networks have delivered to banks since the scenario began, by message type."""
        return _since(self._delivered_before, await self._books.delivered())

    async def post_approved(self) -> int:
        """Let the pipeline post what banks approved; how many payments."""
        return await asyncio.to_thread(self._pipeline.post_approved)

    async def change_line(self, bank_id: str, state: LineState) -> None:
        """Let the line to a bank fail, or be whole again."""
        await self._lines[bank_id].become(state)


@asynccontextmanager
async def rehearsing(scenario: Scenario, settings: SwitchSettings) -> AsyncIterator[Rehearsal]:
    """A stage for a scenario: network, banks, cards with money. All of it ends with the context.

    Raises ConfigInvalid, SettingMissing, and Retryable when network and banks do not find each other.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="postrail-rehearsal-")))
        ecosystem = _set_up(read_ecosystem(settings), scenario)
        settings = settings.model_copy(
            update={
                "ecosystem_file": folder / "ecosystem.yaml",
                "ecosystem_hosts": {},
                "listen_host": "127.0.0.1",
                "card_folder": settings.card_folder or folder / "cards",
                "hsm_keys": settings.hsm_keys or json.dumps(_throwaway_keys(ecosystem)),
            }
        )
        _write(ecosystem, settings)
        cards = await asyncio.to_thread(_open_cards, scenario, ecosystem, settings)
        lines: dict[str, FaultyLine] = {}
        for bank in ecosystem.members(scenario.switch.network):
            lines[bank.id] = await _start_bank(bank, settings, stack)
        hosts = {bank_id: f"127.0.0.1:{line.port}" for bank_id, line in lines.items()}
        network = await build_network(scenario.switch.network, settings.model_copy(update={"ecosystem_hosts": hosts}))
        await network.start()
        stack.push_async_callback(network.stop)
        hosts = {scenario.switch.network: f"127.0.0.1:{network.port}"}
        till = await _open_till(scenario, settings.model_copy(update={"ecosystem_hosts": hosts}), stack)
        await _until_banks_are_up(network)
        connection = await asyncpg.connect(settings.ledger_dsn, timeout=UP_SECONDS_MAX)
        stack.push_async_callback(connection.close)
        books = Books(connection)
        begun = (await books.records(), await books.delivered())
        yield Rehearsal(till, cards, books, lines, _pipeline(settings, cards), begun)


def _pipeline(settings: SwitchSettings, cards: Mapping[str, SampleCard]) -> Pipeline:
    config = Settings(config_dir=settings.config_dir).resolved_config_dir()
    rates = load_rates(config / "reference" / "rates.yaml")
    return Pipeline(settings.ledger_dsn, config, {card.card_token: card.details for card in cards.values()}, rates)


async def _start_bank(bank: Bank, settings: SwitchSettings, stack: AsyncExitStack) -> FaultyLine:
    process = await build_bank(bank.id, settings)
    await process.start()
    stack.push_async_callback(process.stop)
    line = FaultyLine("127.0.0.1", process.port, bank.listen.framing)
    await line.start()
    stack.push_async_callback(line.stop)
    return line


async def _open_till(scenario: Scenario, settings: SwitchSettings, stack: AsyncExitStack) -> Till:
    line = await build_terminal_line(scenario.switch.network, settings, on_late=lambda _: None)
    await line.start()
    stack.push_async_callback(line.stop, 0.5)
    if not await line.wait_up(UP_SECONDS_MAX):
        raise Retryable(f"the network does not take terminals: {line.failure}")
    terminal = Terminal(Place(), now=lambda: datetime.now(UTC), first_stan=randrange(999_999))
    return Till(terminal, line, Patience(answer_seconds=scenario.switch.response_seconds + ANSWER_MARGIN_SECONDS))


async def _until_banks_are_up(network: NetworkProcess) -> None:
    try:
        async with asyncio.timeout(UP_SECONDS_MAX):
            while not _banks_are_up(network.health()):  # noqa: ASYNC110 - links tell no waiter
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        raise Retryable("the network did not reach its banks") from error


def _banks_are_up(health: Health) -> bool:
    banks = health.details.get("banks")
    return isinstance(banks, Mapping) and all(bank["up"] for bank in banks.values())


def _set_up(ecosystem: Ecosystem, scenario: Scenario) -> Ecosystem:
    """The ecosystem with what the scenario sets otherwise, on free ports of this machine."""
    given = scenario.switch
    network = ecosystem.network(given.network)
    listen = network.listen.model_copy(
        update={"host": "127.0.0.1", "port": 0, "dialect": given.dialect or network.listen.dialect}
    )
    network = network.model_copy(
        update={
            "listen": listen,
            "response_seconds": given.response_seconds,
            "store_and_forward": network.store_and_forward.model_copy(update=_QUICK),
        }
    )
    banks = tuple(_set_up_bank(bank, scenario) for bank in ecosystem.members(given.network))
    return ecosystem.model_copy(update={"networks": (network,), "banks": banks})


def _set_up_bank(bank: Bank, scenario: Scenario) -> Bank:
    given = scenario.switch
    changes: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "dialect": given.bank_dialect or bank.listen.dialect}
    if given.mac is not None:
        changes |= {"mac": MacKind(given.mac), "mac_key": bank.listen.mac_key or f"{bank.id}-mac"}
    ranges = tuple(each if given.stand_in else each.model_copy(update={"stand_in": None}) for each in bank.ranges)
    listen = bank.listen.model_copy(update=changes)
    return bank.model_copy(update={"listen": listen, "ranges": ranges, "networks": (given.network,)})


def _throwaway_keys(ecosystem: Ecosystem) -> dict[str, str]:
    """A key for every name that the ecosystem gives: for this rehearsal alone."""
    return {name: token_hex(16) for name in ecosystem.key_names()}


def _write(ecosystem: Ecosystem, settings: SwitchSettings) -> None:
    # JSON is YAML
    if settings.ecosystem_file is not None:
        settings.ecosystem_file.write_text(ecosystem.model_dump_json(), encoding="utf-8")


def _open_cards(scenario: Scenario, ecosystem: Ecosystem, settings: SwitchSettings) -> dict[str, SampleCard]:
    """A new account with money, and a new card, for each card of the scenario."""
    lookup = build_pan_lookup(settings, make=True)
    with Database(settings.ledger_dsn) as database:
        return {
            alias: make_sample_cards(
                database,
                bank=ecosystem.bank(card.bank),
                network_id=scenario.switch.network,
                lookup=lookup,
                count=1,
                balance_minor=_minor(card, ecosystem.bank(card.bank)),
            )[0]
            for alias, card in scenario.cards.items()
        }


def _held(card: SampleCard) -> HeldCard:
    return HeldCard(card.pan, card.expiry[2:4] + card.expiry[5:7])


def _minor(card: ScenarioCard, bank: Bank) -> int:
    return int(card.balance.scaleb(currency_by_code(bank.currency).exponent))


def _since(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    return {name: count - before.get(name, 0) for name, count in now.items()}
