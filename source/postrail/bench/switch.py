"""Measures the switch: cardholders, a network and a bank as processes of their own, holds in a PostgreSQL that syncs.

Every payment goes from a terminal to the network, to the bank, into the ledger as a committed hold, and back. First the
switch is saturated, then it gets payments by the clock. In the end the books are counted: every approval that a
cardholder saw is one active hold, and every payment was answered.
"""

import multiprocessing
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import psycopg

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.migrate import migrate
from postrail.bench.codec import measure_codec
from postrail.bench.machine import describe_machine
from postrail.bench.scratch_postgres import SETTINGS, scratch_server
from postrail.bench.switch_load import Load, LoadResult, play_cardholders
from postrail.domain.errors import PostrailError
from postrail.percentiles import percentile
from switch.crew import Crew
from switch.ecosystem import Ecosystem, load_ecosystem
from switch.issuing.card_sample import make_sample_cards
from switch.issuing.file_vault import load_file_lookup

CARDS: Final = 10_000
NETWORK: Final = "meridian"
BANK: Final = "northgate"
WARM_UP_SECONDS: Final = 5.0
PACED_SECONDS: Final = 20.0
_BALANCE_MINOR: Final = 1_000_000_000


class SwitchCheckFailed(PostrailError):
    """The books do not hold what the cardholders were told: the times of such a run mean nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure. Rates in payments a second, times in seconds."""

    seconds: float = 60.0
    connections: int = 1_000
    in_flight: int = 200
    paced_rate: float = 1_000.0
    paced_seconds: float = PACED_SECONDS
    cards: int = CARDS


def measure_switch(plan: Plan, config_dir: Path) -> dict[str, Any]:
    """Saturate the switch, then pace it; returns the JSON-able report.

    Raises InstallationError without a PostgreSQL to run, and SwitchCheckFailed when payments were lost or holds are not
    what was approved.
    """
    with ExitStack() as stack:
        server = stack.enter_context(scratch_server())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postrail-bench-switch-")))
        dsn = server.create_database("bench_switch")
        migrate(dsn)
        ecosystem = load_ecosystem(config_dir / "ecosystem.yaml")
        cards = _open_cards(dsn, ecosystem, folder, plan.cards)
        environment = {
            "POSTRAIL_LEDGER_DSN": dsn,
            "POSTRAIL_ECOSYSTEM_FILE": str(config_dir / "ecosystem.yaml"),
            "POSTRAIL_CARD_FOLDER": str(folder / "cards"),
            "POSTRAIL_LOG_LEVEL": "WARNING",
        }
        crew = stack.enter_context(Crew(ecosystem, environment, folder))
        crew.start("bank", BANK)
        network = crew.start("network", NETWORK)
        # What the network approves in the bank's stead is not what we measure.
        network.await_bank(BANK)
        listen = crew.ecosystem.network(NETWORK).listen
        load = Load(
            host=listen.host,
            port=listen.port,
            dialect=listen.dialect,
            framing=listen.framing.value,
            connections=plan.connections,
            cards=cards,
            seconds=WARM_UP_SECONDS,
            rate=None,
            in_flight=plan.in_flight,
            currency="826",
        )
        warm_up = _play(load)
        saturated = _play(replace(load, seconds=plan.seconds))
        paced = _play(replace(load, seconds=plan.paced_seconds, rate=plan.paced_rate))
        counters = network.health()
        _check(dsn, [warm_up, saturated, paced], counters)
        version = server.version
    return _report(plan, saturated, paced, counters, version)


def _report(
    plan: Plan, saturated: LoadResult, paced: LoadResult, counters: Mapping[str, Any], version: str
) -> dict[str, Any]:
    return {
        "bench": "switch",
        "authorizations_per_s": round(saturated.answered / saturated.seconds),
        "p50_ms": _rounded(percentile(paced.latencies_ms, 50)),
        "p99_ms": _rounded(percentile(paced.latencies_ms, 99)),
        "paced_per_s": round(paced.answered / paced.seconds),
        "saturated_p50_ms": _rounded(percentile(saturated.latencies_ms, 50)),
        "saturated_p99_ms": _rounded(percentile(saturated.latencies_ms, 99)),
        "lost": saturated.lost + paced.lost,
        "seconds": round(saturated.seconds, 1),
        "connections": saturated.connections,
        "in_flight": plan.in_flight,
        "authorizations": saturated.answered + paced.answered,
        "approved": saturated.approved + paced.approved,
        "action_codes": dict(Counter(saturated.action_codes) + Counter(paced.action_codes)),
        "cards": plan.cards,
        "codec": measure_codec(),
        "network": counters,
        "postgresql": version,
        "settings": SETTINGS,
        "machine": describe_machine(),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


# --- what is measured -----------------------------------------------------------------------------------------------


def _open_cards(dsn: str, ecosystem: Ecosystem, folder: Path, count: int) -> list[tuple[str, str]]:
    with Database(dsn, statement_seconds_max=120) as database:
        cards = make_sample_cards(
            database,
            bank=ecosystem.bank(BANK),
            network_id=NETWORK,
            lookup=load_file_lookup(folder / "cards"),
            count=count,
            balance_minor=_BALANCE_MINOR,
        )
        database.execute("ANALYZE")
    return [(card.pan, card.expiry[2:4] + card.expiry[5:]) for card in cards]


def _play(load: Load) -> LoadResult:
    """The cardholders, in a process of their own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(play_cardholders, (load,))


def _check(dsn: str, results: Sequence[LoadResult], counters: Mapping[str, Any]) -> None:
    """Every payment was answered, and every approval is a hold that stands. Raises SwitchCheckFailed."""
    lost = sum(result.lost for result in results)
    approved = sum(result.approved for result in results)
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM ledger.holds WHERE status = 'active'),"
            " (SELECT count(*) FROM bank.authorizations WHERE action_code LIKE '00%'),"
            " (SELECT count(*) FROM bank.approvals_to_relay)"
        ).fetchone()
    holds, kept, to_relay = row or (0, 0, 0)
    if lost or {holds, kept, to_relay} != {approved}:
        codes = dict(sum((Counter(result.action_codes) for result in results), Counter()))
        msg = (
            f"{lost} payments got no answer; cardholders saw {approved} approvals, the ledger has {holds} holds, the "
            f"bank {kept} authorizations and {to_relay} to hand on (answers: {codes}; network: {counters})"
        )
        raise SwitchCheckFailed(msg)
