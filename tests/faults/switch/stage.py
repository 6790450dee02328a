"""A switch of real processes that may be killed: network, bank, PostgreSQL, and a DynamoDB that can be away."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import psycopg
import yaml

from local_cloud import emulator as local_emulator
from local_cloud import postgres as local_postgres
from local_cloud import processes
from local_cloud.layout import StateDir
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.migrate import migrate
from postrail.settings import SwitchSettings
from switch.ecosystem import Ecosystem, load_ecosystem
from switch.issuing.card_sample import SampleCard, make_sample_cards
from switch.issuing.file_vault import load_file_lookup

ROOT = Path(__file__).parents[3]
NETWORK, BANK = "meridian", "northgate"
RESPONSE_SECONDS = 1.5
START_SECONDS_MAX = 60.0
WEALTHY_MINOR, POOR_MINOR = 50_000_000, 20_000


class Postgres:
    """A throwaway server, as `make local` starts it, that can be killed and comes back on its port."""

    def __init__(self, folder: Path) -> None:
        self._state = StateDir(folder)
        self._settings = local_postgres.ensure_running(self._state, lambda _: None)

    @property
    def data_folder(self) -> Path:
        return Path(self._settings.data_dir)

    @property
    def log(self) -> Path:
        return self._state.log(local_postgres.NAME)

    def create_database(self) -> str:
        """The owner's DSN of a new, migrated database."""
        name = f"faults_{secrets.token_hex(6)}"
        admin = f"postgresql://postgres:{self._settings.superuser_password}@127.0.0.1:{self._settings.port}/postgres"
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} OWNER {local_postgres.OWNER}")
        dsn = f"{self._settings.dsn.rsplit('/', 1)[0]}/{name}"
        migrate(dsn)
        return dsn

    def kill(self) -> None:
        """Kill -9 of the server; its children end by themselves when they notice."""
        record = processes.running(self._state, local_postgres.NAME)
        if record is None:
            raise AssertionError("PostgreSQL was not running")
        os.kill(record.pid, signal.SIGKILL)
        processes.wait_for(lambda: False, record, patience_s=10)

    def start(self) -> None:
        """Up again, over the same data."""
        if local_postgres.ensure_running(self._state, lambda _: None).port != self._settings.port:
            raise AssertionError("PostgreSQL came back on another port")

    def remove(self) -> None:
        local_postgres.stop(self._state)
        local_postgres.remove_data(self._state)


class Cloud:
    """The emulator in a process of its own, which can be frozen: it is there, and does not answer."""

    def __init__(self, folder: Path) -> None:
        self._state = StateDir(folder)
        self.emulator = local_emulator.ensure_running(self._state, lambda _: None, preferred_ports=())

    @property
    def log(self) -> Path:
        return self._state.log(local_emulator.NAME)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it was, with all that was sent to it meanwhile."""
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        self.thaw()
        processes.stop(self._state, local_emulator.NAME)

    def _signal(self, number: signal.Signals) -> None:
        record = processes.load(self._state, local_emulator.NAME)
        if record is not None and processes.alive(record):
            os.kill(record.pid, number)


class Table:
    """A table of authorizations that nobody else uses."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.name = f"authorizations-{secrets.token_hex(4)}"
        emulator = cloud.emulator
        self.environment = {
            "AWS_ENDPOINT_URL": emulator.endpoint_url,
            "AWS_REGION": emulator.region,
            "AWS_DEFAULT_REGION": emulator.region,
            "AWS_ACCESS_KEY_ID": emulator.access_key_id,
            "AWS_SECRET_ACCESS_KEY": emulator.secret_access_key,
        }
        self._client: Any = boto3.client(
            "dynamodb",
            region_name=emulator.region,
            endpoint_url=emulator.endpoint_url,
            aws_access_key_id=emulator.access_key_id,
            aws_secret_access_key=emulator.secret_access_key,
        )
        self._client.create_table(
            TableName=self.name,
            KeySchema=[{"AttributeName": "payment_id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "payment_id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def items(self) -> list[dict[str, Any]]:
        """All items, as plain values."""
        pages = self._client.get_paginator("scan").paginate(TableName=self.name)
        return [
            {name: next(iter(value.values())) for name, value in item.items()}
            for page in pages
            for item in page["Items"]
        ]

    def remove(self, item: dict[str, Any]) -> None:
        """As if it had been lost."""
        self._client.delete_item(TableName=self.name, Key={"payment_id": {"S": item["payment_id"]}})


@dataclass
class Stage:
    """One network and one bank over one database, with cards to pay with."""

    dsn: str
    folder: Path
    ecosystem: Ecosystem
    cards: list[SampleCard]
    openings: dict[str, int]
    """Account to its balance at the beginning, minor units."""
    settings: SwitchSettings
    postgres: Postgres
    table: Table
    environment: dict[str, str]
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    command_lines: set[bytes] = field(default_factory=set)
    """What anybody on the machine sees of the processes: their arguments."""

    @property
    def logs(self) -> list[Path]:
        return [*sorted(self.folder.glob("*.log")), self.postgres.log, self.table.cloud.log]

    def start(self, *kinds: str) -> None:
        """Start `network`, `bank` or both; returns when they say that they take messages."""
        logs = {kind: self._spawn(kind) for kind in kinds}
        for kind, (log, begin) in logs.items():
            await_condition(partial(self._has_begun, kind, log, begin), f"the {kind} is up", START_SECONDS_MAX)
            if self.running[kind].poll() is not None:
                raise AssertionError(f"the {kind} ended: {log.read_text(encoding='utf-8')[-2_000:]}")

    def _has_begun(self, kind: str, log: Path, begin: int) -> bool:
        """Whether it has said that it takes messages, or never will."""
        return self.running[kind].poll() is not None or b"takes messages" in log.read_bytes()[begin:]

    def kill(self, *kinds: str) -> None:
        """Kill -9. What the dead bank had leased for its relay is free at once: nobody waits a minute here."""
        for kind in kinds:
            self.running[kind].kill()
        for kind in kinds:
            self.running.pop(kind).wait()
        if "bank" in kinds:
            self.end_leases()

    def end_leases(self) -> None:
        """What a bank had leased for its relay when it, or its database, was killed is free at once."""
        self.execute("UPDATE bank.approvals_to_relay SET leased_until = NULL")

    def stop(self) -> None:
        """In good order, as an orchestrator does it."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()

    def rows(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(sql, arguments).fetchall()

    def one(self, sql: str, *arguments: Any) -> Any:
        return self.rows(sql, *arguments)[0][0]

    def execute(self, sql: str) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(sql)

    def _spawn(self, kind: str) -> tuple[Path, int]:
        log = self.folder / f"{kind}.log"
        log.touch()
        begin = log.stat().st_size
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "postrail.cli.main", "switch", kind, NETWORK if kind == "network" else BANK],
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
            )
        self.running[kind] = process
        self.command_lines.add(Path(f"/proc/{process.pid}/cmdline").read_bytes())
        return log, begin


@contextmanager
def staged(postgres: Postgres, cloud: Cloud, folder: Path, *, cards: int = 24) -> Iterator[Stage]:
    """A switch at work, its links up; every fourth card has little money. It is stopped in the end."""
    dsn = postgres.create_database()
    ecosystem = _write_ecosystem(folder)
    table = Table(cloud)
    wealthy = _open_cards(dsn, ecosystem, folder, cards - cards // 4, WEALTHY_MINOR)
    poor = _open_cards(dsn, ecosystem, folder, cards // 4, POOR_MINOR)
    keys = json.dumps({"northgate-mac": secrets.token_hex(16), "northgate-pin": secrets.token_hex(16)})
    stage = Stage(
        dsn=dsn,
        folder=folder,
        ecosystem=ecosystem,
        cards=[*wealthy, *poor],
        openings={card.account_id: WEALTHY_MINOR for card in wealthy} | {card.account_id: POOR_MINOR for card in poor},
        settings=SwitchSettings(ecosystem_file=folder / "ecosystem.yaml", card_folder=folder / "cards", hsm_keys=keys),
        postgres=postgres,
        table=table,
        environment={
            **table.environment,
            "POSTRAIL_LEDGER_DSN": dsn,
            "POSTRAIL_ECOSYSTEM_FILE": str(folder / "ecosystem.yaml"),
            "POSTRAIL_CARD_FOLDER": str(folder / "cards"),
            "POSTRAIL_CONFIG_DIR": str(ROOT / "config"),
            "POSTRAIL_AUTHORIZATIONS_TABLE": table.name,
            "POSTRAIL_HSM_KEYS": keys,
            "POSTRAIL_LOG_LEVEL": "DEBUG",
            "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("source", ".")),
        },
    )
    try:
        stage.start("bank", "network")
        yield stage
    finally:
        stage.stop()


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def await_condition(holds: Callable[[], bool], what: str, seconds: float) -> None:
    """Wait until it holds. Raises AssertionError when it does not come true in `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"in {seconds:.0f} s it did not come true that {what}")
        time.sleep(0.05)


def _write_ecosystem(folder: Path) -> Ecosystem:
    """The shipped ecosystem with one network and one bank, on free ports, quicker to give up and to try again."""
    content = yaml.safe_load((ROOT / "config" / "ecosystem.yaml").read_text(encoding="utf-8"))
    content["networks"] = [each for each in content["networks"] if each["id"] == NETWORK]
    content["banks"] = [{**each, "networks": [NETWORK]} for each in content["banks"] if each["id"] == BANK]
    for part, port in zip((*content["networks"], *content["banks"]), free_ports(2), strict=True):
        part["listen"]["port"] = port
    content["networks"][0] |= {
        "response_seconds": RESPONSE_SECONDS,
        "echo_seconds": 1.0,
        "store_and_forward": {"between_messages_seconds": 0.0, "wait_seconds": 0.2, "wait_seconds_max": 1.0},
    }
    path = folder / "ecosystem.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return load_ecosystem(path)


def _open_cards(dsn: str, ecosystem: Ecosystem, folder: Path, count: int, balance_minor: int) -> list[SampleCard]:
    with Database(dsn) as database:
        return make_sample_cards(
            database,
            bank=ecosystem.bank(BANK),
            network_id=NETWORK,
            lookup=load_file_lookup(folder / "cards"),
            count=count,
            balance_minor=balance_minor,
        )
