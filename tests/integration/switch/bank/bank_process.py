"""A bank as a process of its own, to be killed: `python bank_process.py DSN`. Prints its port when it is ready."""

import sys

from tests.integration.switch.bank.bank_stage import build_bank
from tests.integration.switch.links.peers import WIRE

from switch.bank.service import BankService
from switch.health import Health
from switch.links.server import MessageServer
from switch.process import Service, run_process


class _Process:
    def __init__(self, service: BankService) -> None:
        self._service = service
        self._server = MessageServer(
            WIRE,
            service.receive,
            peer_kind="network",
            connections_max=10,
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


def main(dsn: str) -> None:
    async def build() -> _Process:
        return _Process(build_bank(dsn))

    def say_port(service: Service) -> None:
        sys.stdout.write(f"{service.port}\n")
        sys.stdout.flush()

    run_process("bank", build, ready=say_port)


if __name__ == "__main__":
    main(sys.argv[1])
