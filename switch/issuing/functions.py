"""Builds the functions of issuing from their settings: the two APIs, and the production of cards."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from postrail.adapters.aws import clients
from postrail.adapters.aws.observability import Telemetry
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.queries import statements
from postrail.adapters.system import SystemClock, SystemIds
from postrail.bootstrap import SettingMissing, ledger_dsn, once
from postrail.contracts.base import Contract
from postrail.products import load_products
from postrail.settings import Settings, SwitchSettings
from switch.ecosystem import Ecosystem, load_ecosystem
from switch.issuing.accounts import BankAccounts
from switch.issuing.api import routes
from switch.issuing.api.routes import Route
from switch.issuing.api.serve import ApiHandler, Perform
from switch.issuing.card_book import BankCards
from switch.issuing.contracts import CustomerAccountCreated, NetworkCard
from switch.issuing.edge_key import EdgeKey
from switch.issuing.file_vault import FileCardVault, load_file_lookup
from switch.issuing.lookup import HmacPanLookup
from switch.issuing.network_cards import NetworkCards
from switch.issuing.notices import SnsNotices
from switch.issuing.ports import CardVault, PanLookup
from switch.issuing.production import CardProduction
from switch.issuing.reference import ReferenceEntries
from switch.issuing.requests import Ask, RequestBook
from switch.issuing.tokens import TokenVerifier, key_source
from switch.issuing.vault import KmsCardVault, load_pan_lookup

BuiltT = TypeVar("BuiltT")
_PRODUCTS: Final = "products/default.yaml"


def once_for_switch(build: Callable[[SwitchSettings], BuiltT]) -> Callable[[], BuiltT]:
    """Build from the environment at the first call and keep, as `postrail.bootstrap.once` does."""
    return once(lambda _: build(SwitchSettings()))


class ScheduledProduction:
    """The scheduled function `produce_cards`."""

    def __init__(self, production: CardProduction, telemetry: Telemetry) -> None:
        self._production = production
        self._telemetry = telemetry

    def handle(self, event: Any) -> dict[str, int]:  # noqa: ARG002 - a schedule's event says nothing
        """One run; returns what it did. Raises Retryable: the schedule comes again."""
        counts = self._production.run()._asdict()
        self._telemetry.counts("cards", **{f"cards_{name}": count for name, count in counts.items()})
        return counts


def build_bank_api(settings: SwitchSettings) -> ApiHandler:
    """The API of the banks. Raises SettingMissing and ConfigInvalid."""
    Telemetry("serve_bank_api", level=settings.log_level, namespace=settings.metrics_namespace)
    database = _database(settings, "bank-api")
    accounts, cards = _bank(settings, database)
    performers: dict[Route[Any, Any], Perform] = {
        routes.CREATE_ACCOUNT: accounts.create,
        routes.GET_BALANCE: accounts.balance,
        routes.ORDER_CARD: cards.order,
        routes.GET_CARD: cards.card,
        routes.LIST_CARDS: cards.list_cards,
        routes.BLOCK_CARD: cards.block,
    }
    return ApiHandler(performers, _verifier(settings), edge_key=_edge_key(settings))


def build_network_api(settings: SwitchSettings) -> ApiHandler:
    """The API of the networks. Raises SettingMissing and ConfigInvalid."""
    Telemetry("serve_network_api", level=settings.log_level, namespace=settings.metrics_namespace)
    database = _database(settings, "network-api")
    cards = NetworkCards(database, _ecosystem(settings))
    requests = RequestBook(database, statements("network.sql", "switch.issuing"))

    def create_customer_account(ask: Ask[Any]) -> Contract:
        work = partial(cards.create_customer_account, ask.caller.bank_id, ask.body)
        return requests.once(ask, work, CustomerAccountCreated)[0]

    def create_card(ask: Ask[Any]) -> Contract:
        return requests.once(ask, partial(cards.create_card, ask.caller.bank_id, ask.body), NetworkCard)[0]

    def block_card(ask: Ask[Any]) -> Contract:
        work = partial(cards.block_card, ask.caller.bank_id, ask.body.card_token)
        return requests.once(ask, work, NetworkCard)[0]

    performers: dict[Route[Any, Any], Perform] = {
        routes.CREATE_CUSTOMER_ACCOUNT: create_customer_account,
        routes.CREATE_CARD: create_card,
        routes.BLOCK_NETWORK_CARD: block_card,
    }
    return ApiHandler(performers, _verifier(settings), edge_key=_edge_key(settings))


def build_produce_cards(settings: SwitchSettings) -> ScheduledProduction:
    """The production of cards, with all that a card order needs. Raises SettingMissing and ConfigInvalid."""
    database = _database(settings, "produce-cards")
    _, cards = _bank(settings, database)
    notices = SnsNotices(clients.sns(), _needed(settings.notifications_topic_arn, "notifications_topic_arn"))
    production = CardProduction(database, cards=cards, notices=notices, clock=SystemClock())
    telemetry = Telemetry("produce_cards", level=settings.log_level, namespace=settings.metrics_namespace)
    return ScheduledProduction(production, telemetry)


def build_pan_lookup(settings: SwitchSettings, *, make: bool = False) -> HmacPanLookup:
    """The lookup of card numbers by the vault's key; `make` it when there is none. Raises Retryable, SettingMissing.

    The vault is the table, or a folder on a machine without KMS.
    """
    if not settings.card_vault_table and settings.card_folder is not None:
        return load_file_lookup(settings.card_folder)
    return load_pan_lookup(
        clients.dynamodb(),
        clients.kms(),
        table=_needed(settings.card_vault_table, "card_vault_table"),
        key_arn=_needed(settings.card_vault_key_arn, "card_vault_key_arn"),
        make=make,
    )


def build_card_vault(settings: SwitchSettings, lookup: PanLookup) -> CardVault:
    """The vault of card numbers: the table, or a folder on a machine without KMS. Raises SettingMissing."""
    if not settings.card_vault_table and settings.card_folder is not None:
        return FileCardVault(settings.card_folder)
    return KmsCardVault(
        clients.dynamodb(),
        clients.kms(),
        table=_needed(settings.card_vault_table, "card_vault_table"),
        key_arn=_needed(settings.card_vault_key_arn, "card_vault_key_arn"),
        lookup=lookup,
        clock=SystemClock(),
    )


def _bank(settings: SwitchSettings, database: Database) -> tuple[BankAccounts, BankCards]:
    ecosystem, clock = _ecosystem(settings), SystemClock()
    requests = RequestBook(database, statements("bank.sql", "switch.issuing"))
    lookup = build_pan_lookup(settings, make=True)
    products = load_products(_config_settings(settings).resolved_config_dir() / _PRODUCTS).products
    accounts = BankAccounts(
        database, requests=requests, ecosystem=ecosystem, products=products, clock=clock, ids=SystemIds()
    )
    cards = BankCards(
        database,
        accounts=accounts,
        requests=requests,
        vault=build_card_vault(settings, lookup),
        lookup=lookup,
        networks=NetworkCards(database, ecosystem),
        reference=ReferenceEntries(clients.dynamodb(), _needed(settings.reference_table, "reference_table")),
        clock=clock,
    )
    return accounts, cards


def _verifier(settings: SwitchSettings) -> TokenVerifier:
    keys = key_source(_needed(settings.token_keys, "token_keys"))
    return TokenVerifier(keys, issuer=settings.token_issuer, audience=settings.token_audience)


def _edge_key(settings: SwitchSettings) -> EdgeKey | None:
    """None where no edge stands before the API, or none that it insists on."""
    if not settings.edge_secret_arn:
        return None
    return EdgeKey(clients.secrets_manager(), settings.edge_secret_arn)


def _ecosystem(settings: SwitchSettings) -> Ecosystem:
    default = _config_settings(settings).resolved_config_dir() / "ecosystem.yaml"
    return load_ecosystem(settings.ecosystem_file or default)


def _config_settings(settings: SwitchSettings) -> Settings:
    """Knows where the config folder is when the settings do not say."""
    return Settings(config_dir=settings.config_dir)


def _database(settings: SwitchSettings, function: str) -> Database:
    """The ledger's database; its address is asked at every connect, so that a rotated password is picked up."""
    return Database(ledger_dsn(settings), application_name=f"postrail-{function}")


def _needed(value: str, name: str) -> str:
    if not value:
        msg = f"this function needs the setting POSTRAIL_{name.upper()}, and it is empty"
        raise SettingMissing(msg)
    return value
