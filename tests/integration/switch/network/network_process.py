"""A network as a process of its own, to be killed: `python network_process.py DSN BANK_PORT [RESPONSE_SECONDS]`.

Prints its port when it takes requests.
"""

import sys

from tests.integration.switch.links.peers import WIRE
from tests.integration.switch.network.stage import CIPHER, LOOKUP, make_banks, make_network

from switch.ecosystem import Bank
from switch.health import Health
from switch.links.group import LinkGroup
from switch.links.server import MessageServer
from switch.network.service import NetworkService
from switch.network.store import NetworkStore, open_pool
from switch.process import Service, run_process


class _Process:
    def __init__(self, service: NetworkService) -> None:
        self._service = service
        self._server = MessageServer(
            WIRE,
            service.receive,
            peer_kind="cardholder",
            connections_max=100,
            in_flight_per_connection_max=1_000,
            read_seconds=30.0,
        )

    @property
    def port(self) -> int:
        return self._server.port

    async def start(self) -> None:
        await self._service.start()
        await self._server.start("127.0.0.1", 0)

    async def stop(self) -> None:
        await self._server.stop(1.0)
        await self._service.stop()

    def health(self) -> Health:
        return Health(self._service.well)


def main(dsn: str, bank_port: int, response_seconds: float) -> None:
    async def build() -> _Process:
        network = make_network(response_seconds=response_seconds)

        def connect(bank: Bank, *, on_late, on_state) -> LinkGroup:  # type: ignore[no-untyped-def]
            return LinkGroup(
                bank.id,
                "127.0.0.1",
                bank_port,
                WIRE,
                links=2,
                echo_seconds=5.0,
                read_seconds=30.0,
                connect_seconds=2.0,
                in_flight_max=10_000,
                on_late=on_late,
                on_state=on_state,
            )

        store = NetworkStore(await open_pool(dsn), network.id)
        (bank, _) = make_banks()
        return _Process(
            NetworkService(network, (bank,), store=store, connect=connect, pan_lookup=LOOKUP, cipher=CIPHER)
        )

    def say_port(service: Service) -> None:
        sys.stdout.write(f"{service.port}\n")
        sys.stdout.flush()

    run_process("network", build, ready=say_port)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 0.3)
