"""A small bank for batch tests: its accounts, its reference file, its sample files, and the command as a process."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import orjson
import psycopg

from postrail.adapters.memory import MemoryReferenceBook
from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.verify import verify
from postrail.adapters.system import SystemClock, SystemIds
from postrail.batch.duplicate_window import DuplicateWindow
from postrail.batch.files import Compression, Format, format_by_name
from postrail.batch.generate import write_reference, write_rows
from postrail.batch.road import StageTools
from postrail.batch.velocity_window import VelocityWindow
from postrail.merchants.directory import load_merchants
from postrail.posting_inputs import posting_input_by_name
from postrail.products import load_products
from postrail.rules import load_rule_set
from postrail.sampling.accounts import SampleAccount, sample_accounts, system_accounts
from postrail.sampling.day import sample_day
from postrail.sampling.rates import load_rates

REPO: Final = Path(__file__).resolve().parents[3]
CONFIG: Final = REPO / "config"
DAY: Final = date(2026, 10, 1)
ACCOUNTS: Final = sample_accounts(7, 300)
RATES: Final = load_rates(CONFIG / "reference" / "rates.yaml")

# A shell starts what it puts into the background deaf to Ctrl-C, and so are the tests that it runs there.
_COMMAND = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    " from postrail.cli.main import main; sys.exit(main())"
)


def bodies(
    count: int, *, accounts: list[SampleAccount] = ACCOUNTS, seed: int = 7, **options: Any
) -> list[dict[str, Any]]:
    """Rows of a sample day, with enough of everything that can go wrong."""
    return list(sample_day(seed, count, **{"accounts": accounts, "day": DAY, "malformed": 0.01} | options))


def write_file(path: Path, rows: list[dict[str, Any]]) -> Path:
    """The rows in the form that the path's suffixes say."""
    format_, compression = format_by_name(path.name)
    write_rows(path, iter(rows), format_ or Format.JSONL, compression or Compression.NONE)
    return path


def stage_tools(window: DuplicateWindow | None = None) -> StageTools:
    """The stages' tools of the small bank, in memory."""
    clock = SystemClock()
    return StageTools(
        store=window or DuplicateWindow(keys_max=1_000_000, clock=clock),
        velocity=VelocityWindow(uses_max=1_000_000),
        reference=MemoryReferenceBook({each.card_token: each.details for each in ACCOUNTS}, RATES),
        merchants=load_merchants(CONFIG / "reference"),
        rules=load_rule_set(CONFIG / "rules" / "issuer-default.yaml"),
        products=load_products(CONFIG / "products" / "default.yaml"),
        input_format=posting_input_by_name("json"),
        clock=clock,
    )


@dataclass
class Bank:
    """A database with open accounts, and a folder for files."""

    dsn: str
    folder: Path

    @classmethod
    def open(cls, dsn: str, folder: Path) -> "Bank":
        """Open all accounts and write the reference file."""
        currencies = {each.details.currency for each in ACCOUNTS}
        with Database(dsn, statement_seconds_max=120) as database:
            PostgresAccounts(database).open_accounts(
                [*system_accounts(currencies), *(each.spec() for each in ACCOUNTS)],
                clock=SystemClock(),
                ids=SystemIds(),
            )
        folder.mkdir(exist_ok=True)
        write_reference(folder / "reference.jsonl", ACCOUNTS, RATES)
        return cls(dsn, folder)

    def arguments(self, file: Path, *more: str) -> list[str]:
        """The command line of a run."""
        places = ["--ledger", self.dsn, "--reference", str(self.folder / "reference.jsonl")]
        return ["batch", "run", str(file), *places, "--json", *more]

    def start(self, file: Path, *more: str) -> "subprocess.Popen[str]":
        """`postrail batch run` as a process with a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", _COMMAND, *self.arguments(file, *more)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ | {"POSTRAIL_LOCAL_DIR": str(self.folder / "none")},
        )

    def run(self, file: Path, *more: str) -> dict[str, Any]:
        """Run to the end and return the report."""
        process = self.start(file, *more)
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        report: dict[str, Any] = json.loads(out)
        return report

    def balances(self) -> dict[str, int]:
        """Every balance."""
        with Database(self.dsn) as database:
            return {
                each.account_id: each.total_minor for each in PostgresAccounts(database).read_balances(limit=100_000)
            }

    def verified(self) -> bool:
        """Whether the books are clean."""
        with Database(self.dsn) as database:
            return verify(database).clean

    def scalar(self, sql: str) -> int:
        """One number from the database."""
        with psycopg.connect(self.dsn) as connection:
            row = connection.execute(sql).fetchone()
        assert row is not None
        return int(row[0])

    def posted(self) -> int:
        """Payments in the journal."""
        return self.scalar("SELECT count(*) FROM ledger.journal_transactions WHERE kind = 'payment'")

    def chunks(self) -> int:
        """Committed chunks; none while the database cannot be reached."""
        try:
            return self.scalar("SELECT count(*) FROM audit.batch_chunks")
        except psycopg.Error:
            return 0


def outcomes_in(path: Path) -> Counter[str]:
    """How many rows of a result file ended how."""
    rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    names = {"parked": {"DUPLICATE": "duplicates", "CONFLICT": "conflicts"}}
    return Counter(names.get(row["outcome"], {}).get(row["reason_code"], row["outcome"]) for row in rows)


def wait_until(holds: Callable[[], bool], *, seconds: float = 60.0) -> None:
    """Wait for something that happens soon."""
    give_up_at = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up_at, "it did not happen in time"
        time.sleep(0.02)
