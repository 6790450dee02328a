"""Banks and networks as processes of this machine: for demonstrations and benches.

Each is what Fargate runs too: `postrail switch network|bank ID`, told by its environment, asked by its health port.
"""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from postrail.domain.errors import PostrailError
from switch.ecosystem import Ecosystem

START_SECONDS_MAX: Final = 60.0
STOP_SECONDS_MAX: Final = 40.0
LOOK_SECONDS: Final = 0.1
_LOCALHOST: Final = "127.0.0.1"


class CrewFailed(PostrailError):
    """A process did not come up; the message holds its last words."""


class Member:
    """One bank or network, running."""

    def __init__(self, kind: str, name: str, process: "subprocess.Popen[bytes]", health_port: int, log: Path) -> None:
        self.kind = kind
        self.name = name
        self.process = process
        self.health_port = health_port
        self.log = log

    def health(self) -> dict[str, Any]:
        """What it says of itself; empty when it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{_LOCALHOST}:{self.health_port}/health", timeout=2) as answer:
                content = json.load(answer)
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def await_well(self) -> None:
        """Until it can work. Raises CrewFailed."""
        self._await("come up", lambda health: bool(health.get("well")))

    def await_bank(self, bank_id: str) -> None:
        """Until this network has signed on to a bank. Raises CrewFailed."""
        self._await(f"sign on to {bank_id}", lambda health: bool(health.get("banks_up", {}).get(bank_id)))

    def stop(self) -> None:
        """Ask it to stop, and make it."""
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _await(self, what: str, holds: Any) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while self.process.poll() is None and time.monotonic() < deadline:
            if holds(self.health()):
                return
            time.sleep(LOOK_SECONDS)
        last = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        msg = f"the {self.kind} {self.name} did not {what}: {last[0] if last else 'it said nothing'}"
        raise CrewFailed(msg)


class Crew:
    """Processes that live as long as this context. They listen on free ports of this machine."""

    def __init__(
        self,
        ecosystem: Ecosystem,
        environment: Mapping[str, str],
        folder: Path,
        credentials: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """`environment` is what they are told (`POSTRAIL_*`, AWS); `folder` takes their logs.

        `credentials`: what single parties are told besides, by their ids.
        """
        ids = [network.id for network in ecosystem.networks] + [bank.id for bank in ecosystem.banks]
        self.hosts = {name: f"{_LOCALHOST}:{port}" for name, port in zip(ids, free_ports(len(ids)), strict=True)}
        self.ecosystem = ecosystem.reached_at(self.hosts)
        self._environment = {
            **environment,
            "POSTRAIL_ECOSYSTEM_HOSTS": json.dumps(self.hosts),
            "POSTRAIL_HSM_KEYS": json.dumps(_new_keys(ecosystem)),
        }
        self._credentials = credentials or {}
        self._folder = folder
        self._members: list[Member] = []

    def start(self, kind: str, name: str) -> Member:
        """Start a `bank` or a `network` and wait until it is well. Raises CrewFailed."""
        (health_port,) = free_ports(1)
        log_path = self._folder / f"{name}.log"
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "postrail.cli.main", "switch", kind, name],
                env={
                    **os.environ,
                    **self._environment,
                    **self._credentials.get(name, {}),
                    "POSTRAIL_HEALTH_PORT": str(health_port),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        member = Member(kind, name, process, health_port, log_path)
        self._members.append(member)
        member.await_well()
        return member

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for member in reversed(self._members):
            member.stop()


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((_LOCALHOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _new_keys(ecosystem: Ecosystem) -> dict[str, str]:
    """A new key for every name that the ecosystem's links ask for: for this crew alone."""
    return {name: secrets.token_hex(16) for name in ecosystem.key_names()}
