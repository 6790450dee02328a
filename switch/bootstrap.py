"""The only place that puts banks and networks together: from settings and the ecosystem to a service that can run."""

import ssl
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from postrail.adapters.aws import clients
from postrail.adapters.aws.reference_table import ReferenceTable
from postrail.adapters.memory.books import MemoryReferenceBook
from postrail.adapters.system import SystemClock, SystemIds
from postrail.bootstrap import SettingMissing, ledger_dsn
from postrail.domain.errors import ConfigInvalid
from postrail.ports import ReferenceBook
from postrail.products import load_products
from postrail.sampling.rates import load_rates
from postrail.settings import Settings, SwitchSettings
from switch.bank.billing import Biller, RateBook
from switch.bank.fraud import RuleBasedFraudCheck, load_fraud_rules
from switch.bank.policy import BankPolicy
from switch.bank.relay import DynamoDbApprovals
from switch.bank.service import BankService
from switch.bank.store import BankDatabase
from switch.ecosystem import Bank, Ecosystem, Endpoint, Network, load_ecosystem
from switch.health import Health
from switch.hsm.keys import build_hsm
from switch.hsm.ports import Hsm
from switch.iso8583.dialect import load_dialect
from switch.iso8583.mac import Mac
from switch.iso8583.message import Message
from switch.iso8583.wire import Wire
from switch.issuing.file_vault import load_file_message_key
from switch.issuing.functions import build_pan_lookup
from switch.issuing.vault import load_message_key
from switch.links.group import LinkGroup
from switch.links.server import MessageServer
from switch.links.tls import client_context, server_context
from switch.meter import LatencySample, PartyFigures, sort_answers
from switch.network.payloads import AesGcmCipher
from switch.network.service import NetworkService
from switch.network.store import NetworkStore, Pool, open_pool
from switch.tls_files import provide_tls_files

CONNECT_SECONDS: Final = 10.0
DRAIN_SECONDS: Final = 10.0
BANK_CONNECTIONS_MAX: Final = 64
BANK_IN_FLIGHT_MAX: Final = 4_096
NETWORK_SILENCE_SECONDS_MAX: Final = 60.0
DATABASE_CONNECTIONS: Final = 6
RATES_CACHE_SECONDS: Final = 60


def read_ecosystem(settings: SwitchSettings) -> Ecosystem:
    """The ecosystem that the settings name, with peers where the settings say. Raises ConfigInvalid."""
    config = Settings(config_dir=settings.config_dir).resolved_config_dir()
    return load_ecosystem(settings.ecosystem_file or config / "ecosystem.yaml").reached_at(settings.ecosystem_hosts)


class NetworkProcess:
    """A network with its server and its connections to the database: `switch.process.Service`."""

    def __init__(self, network: Network, service: NetworkService, server: MessageServer, pool: Pool, host: str) -> None:
        self._network = network
        self._service = service
        self._server = server
        self._pool = pool
        self._host = host

    @property
    def port(self) -> int:
        """Where cardholders connect."""
        return self._server.port

    async def start(self) -> None:
        """Links first: a cardholder who is let in finds banks behind."""
        await self._service.start()
        await self._server.start(self._host, self._network.listen.port)

    async def stop(self) -> None:
        """Answer what was begun, then close."""
        await self._server.stop(DRAIN_SECONDS)
        await self._service.stop()
        await self._pool.close()

    @property
    def latencies(self) -> LatencySample:
        """From the arrival of authorization requests to their answers."""
        return self._service.latencies

    def figures(self) -> PartyFigures:
        """What a minute's metrics are made of."""
        return self._service.figures()

    def health(self) -> Health:
        """Well when it can take authorizations."""
        details = {**self._service.details(), "connections": self._server.connections}
        return Health(self._service.well, {**details, "server": self._server.counters.as_dict()})


async def build_network(network_id: str, settings: SwitchSettings) -> NetworkProcess:
    """A network, not yet started. Raises ConfigInvalid, SettingMissing, Retryable."""
    ecosystem = read_ecosystem(settings)
    network = ecosystem.network(network_id)
    hsm = build_hsm(settings)
    banks = ecosystem.members(network_id)
    _provide_tls(settings, network.listen, *(bank.listen for bank in banks))
    wires = {bank.id: await _wire(bank.listen, hsm) for bank in banks}
    pool = await open_pool(ledger_dsn(settings))
    service = NetworkService(
        network,
        banks,
        store=NetworkStore(pool, network.id),
        connect=partial(_links, network, wires),
        pan_lookup=build_pan_lookup(settings),
        cipher=AesGcmCipher(_message_key(settings)),
        hsm=hsm,
    )
    server = MessageServer(
        await _wire(network.listen, hsm),
        service.receive,
        peer_kind="cardholder",
        connections_max=network.connections_max,
        in_flight_per_connection_max=network.in_flight_per_connection_max,
        read_seconds=network.read_seconds,
        tls=_server_tls(network.listen),
        manage=service.manage,
    )
    return NetworkProcess(network, service, server, pool, settings.listen_host or network.listen.host)


async def build_terminal_line(
    network_id: str, settings: SwitchSettings, *, links: int = 1, on_late: Callable[[Message], None]
) -> LinkGroup:
    """A terminal's line to its network, not yet started. Raises ConfigInvalid, Retryable."""
    network = read_ecosystem(settings).network(network_id)
    endpoint = network.listen
    _provide_tls(settings, endpoint)
    return LinkGroup(
        network.id,
        endpoint.host,
        endpoint.port,
        await _wire(endpoint, build_hsm(settings)),
        links=links,
        echo_seconds=network.echo_seconds,
        read_seconds=network.read_seconds,
        connect_seconds=CONNECT_SECONDS,
        in_flight_max=network.in_flight_per_connection_max * links,
        tls=client_context(endpoint.tls) if endpoint.tls else None,
        on_late=on_late,
        sign_on=False,
    )


class BankProcess:
    """A bank with its server: `switch.process.Service`."""

    def __init__(self, bank: Bank, service: BankService, server: MessageServer, host: str) -> None:
        self._bank = bank
        self._service = service
        self._server = server
        self._host = host

    @property
    def port(self) -> int:
        """Where networks connect."""
        return self._server.port

    async def start(self) -> None:
        """The database first: a network that signs on finds a bank that can decide."""
        await self._service.start()
        await self._server.start(self._host, self._bank.listen.port)

    async def stop(self) -> None:
        """Answer what was begun, then close."""
        await self._server.stop(DRAIN_SECONDS)
        await self._service.stop()

    @property
    def latencies(self) -> LatencySample:
        """From the arrival of payments to their answers."""
        return self._service.latencies

    def figures(self) -> PartyFigures:
        """What a minute's metrics are made of. A bank's links are the connections of its networks."""
        counters = self._service.counters
        approved, declined, undone = sort_answers(counters.answered)
        return PartyFigures(
            approved=approved,
            declined=declined,
            reversed=undone,
            timed_out=counters.unanswered,
            stand_in=0,
            links_up=self._server.connections,
        )

    def health(self) -> Health:
        """Well when it can authorise."""
        details = {**self._service.details(), "connections": self._server.connections}
        return Health(self._service.well, {**details, "server": self._server.counters.as_dict()})


async def build_bank(bank_id: str, settings: SwitchSettings) -> BankProcess:
    """A bank, not yet started. Raises ConfigInvalid, SettingMissing, Retryable."""
    bank = read_ecosystem(settings).bank(bank_id)
    _provide_tls(settings, bank.listen)
    config = Settings(config_dir=settings.config_dir).resolved_config_dir()
    hsm = build_hsm(settings)
    policy = BankPolicy()
    rates = RateBook(_reference_book(settings, config), refresh_seconds=policy.rates_seconds)
    service = BankService(
        bank,
        BankDatabase(ledger_dsn(settings), connections=DATABASE_CONNECTIONS),
        lookup=build_pan_lookup(settings),
        biller=Biller(load_products(config / "products" / "default.yaml"), rates),
        fraud=RuleBasedFraudCheck(load_fraud_rules(config / "fraud.yaml")),
        hsm=hsm,
        table=(
            DynamoDbApprovals(clients.dynamodb(), settings.authorizations_table)
            if settings.authorizations_table
            else None
        ),
        ids=SystemIds(),
        clock=SystemClock(),
        policy=policy,
    )
    server = MessageServer(
        await _wire(bank.listen, hsm),
        service.receive,
        peer_kind="network",
        connections_max=BANK_CONNECTIONS_MAX,
        in_flight_per_connection_max=BANK_IN_FLIGHT_MAX,
        read_seconds=NETWORK_SILENCE_SECONDS_MAX,
        require_sign_on=True,
        tls=_server_tls(bank.listen),
    )
    return BankProcess(bank, service, server, settings.listen_host or bank.listen.host)


def _reference_book(settings: SwitchSettings, config: Path) -> ReferenceBook:
    """The issuer's exchange rates: those that the pipeline will use, or the file's on a machine without its table."""
    if settings.reference_table:
        return ReferenceTable(clients.dynamodb(), settings.reference_table, cache_seconds=RATES_CACHE_SECONDS)
    return MemoryReferenceBook(rates=load_rates(config / "reference" / "rates.yaml"))


def _links(
    network: Network,
    wires: Mapping[str, Wire],
    bank: Bank,
    *,
    on_late: Callable[[Message], None],
    on_state: Callable[[bool], None],
) -> LinkGroup:
    return LinkGroup(
        bank.id,
        bank.listen.host,
        bank.listen.port,
        wires[bank.id],
        links=bank.links,
        echo_seconds=network.echo_seconds,
        read_seconds=network.read_seconds,
        connect_seconds=CONNECT_SECONDS,
        in_flight_max=network.in_flight_max,
        tls=client_context(bank.listen.tls) if bank.listen.tls else None,
        on_late=on_late,
        on_state=on_state,
        institution_id=network.institution_id,
    )


async def _wire(endpoint: Endpoint, hsm: Hsm) -> Wire:
    """How an endpoint speaks. Raises ConfigInvalid, Permanent when the HSM has no key of the name."""
    mac = None
    if endpoint.mac is not None:
        if not endpoint.mac_key:
            msg = f"the endpoint at port {endpoint.port} has a MAC and names no mac_key"
            raise ConfigInvalid(msg)
        mac = Mac(endpoint.mac, await hsm.mac_key(endpoint.mac_key))
    return Wire(load_dialect(endpoint.dialect), endpoint.framing, tpdu=endpoint.tpdu, mac=mac)


def _provide_tls(settings: SwitchSettings, *endpoints: Endpoint) -> None:
    """Put certificates in place where a secret holds them; elsewhere whoever runs the process did."""
    if settings.tls_secret_arn:
        parts = [endpoint.tls for endpoint in endpoints]
        provide_tls_files(clients.secrets_manager(), settings.tls_secret_arn, parts)


def _server_tls(endpoint: Endpoint) -> ssl.SSLContext | None:
    return server_context(endpoint.tls) if endpoint.tls else None


def _message_key(settings: SwitchSettings) -> bytes:
    if not settings.card_vault_table and settings.card_folder is not None:
        return load_file_message_key(settings.card_folder)
    if not settings.card_vault_table or not settings.card_vault_key_arn:
        raise SettingMissing("this process needs POSTRAIL_CARD_VAULT_TABLE and POSTRAIL_CARD_VAULT_KEY_ARN")
    return load_message_key(
        clients.dynamodb(), clients.kms(), table=settings.card_vault_table, key_arn=settings.card_vault_key_arn
    )
