"""Sends spoiled messages to networks and banks, while neighbours pay, and looks whether anybody or anything suffers.

Two networks (one of each edition of the standard) and a bank run as processes. Each gets spoiled messages at its own
port; the same seed spoils alike. A run fails when a process dies, when a valid message is not answered, or when the
memory of a process grows.
"""

import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.migrate import migrate
from postrail.bench.fuzz_lines import Counts, Target, corpus_of, pay_beside, spoil
from postrail.bench.machine import describe_machine
from postrail.bench.scratch_postgres import scratch_server
from postrail.domain.errors import PostrailError
from switch.cardholder.card import HeldCard
from switch.crew import Crew, Member
from switch.ecosystem import Ecosystem, Endpoint, load_ecosystem
from switch.iso8583.dialect import load_dialect
from switch.iso8583.wire import Wire
from switch.issuing.card_sample import make_sample_cards
from switch.issuing.file_vault import load_file_lookup

NETWORK: Final = "meridian"
OLD_NETWORK: Final = "solstice"
BANK: Final = "harbour"
SHARES: Final = {NETWORK: 0.5, OLD_NETWORK: 0.25, BANK: 0.25}
"""How the spoiled messages are divided among the ports."""
LINES_PER_TARGET: Final = 4
NEIGHBOURS_PER_NETWORK: Final = 2
CARDS_PER_NETWORK: Final = 20
"""Half of them are the neighbours': a card that is seen everywhere at once is refused, as it should be."""
SAMPLES: Final = 200
WARM_UP_SHARE: Final = 0.1
GROWTH_MAX: Final = 0.05
"""How much the median memory of the last quarter may exceed that of the first, after the warm-up."""
JUDGED_FROM: Final = 100_000
"""Messages below which memory is not judged: caches and the window for repetitions are still filling."""
DUPLICATE_WINDOW_SECONDS: Final = 10
"""What networks remember to know repetitions again is memory that grows by design until its window is full."""
_BALANCE_MINOR: Final = 1_000_000_000
_MIB: Final = 1_048_576
_KIB: Final = 1_024


class FuzzFailed(PostrailError):
    """A process died, a neighbour was not answered, or memory grew. `report` holds the figures."""

    def __init__(self, message: str, report: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.report = report


@dataclass(slots=True)
class _Memory:
    """The resident memory of each process, sampled evenly over the messages; bytes."""

    samples: dict[str, list[int]] = field(default_factory=dict)

    def look(self, members: Sequence[Member]) -> None:
        for member in members:
            size = _resident_bytes(member.process.pid)
            if size:
                self.samples.setdefault(member.name, []).append(size)

    def growth(self, name: str) -> float:
        """Median of the last quarter over that of the first after the warm-up, minus one."""
        samples = self.samples.get(name, [])
        samples = samples[int(len(samples) * WARM_UP_SHARE) :]
        quarter = len(samples) // 4
        return median(samples[-quarter:]) / median(samples[:quarter]) - 1 if quarter else 0.0

    def total_mib(self, place: int) -> float:
        """The first (0) or the last (-1) samples of all processes together."""
        return round(sum(samples[place] for samples in self.samples.values() if samples) / _MIB, 1)


def fuzz_switch(count: int, *, seed: int, config_dir: Path) -> dict[str, Any]:
    """Send `count` spoiled messages; returns the JSON-able report.

    Raises InstallationError without a PostgreSQL to run, CrewFailed when a process does not come up, and FuzzFailed.
    """
    with ExitStack() as stack:
        server = stack.enter_context(scratch_server())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postrail-fuzz-")))
        dsn = server.create_database("fuzz_switch")
        migrate(dsn)
        ecosystem = _narrowed(load_ecosystem(config_dir / "ecosystem.yaml"))
        # JSON is YAML
        (folder / "ecosystem.yaml").write_text(ecosystem.model_dump_json(), encoding="utf-8")
        cards = _open_cards(dsn, ecosystem, folder)
        environment = {
            "POSTRAIL_LEDGER_DSN": dsn,
            "POSTRAIL_ECOSYSTEM_FILE": str(folder / "ecosystem.yaml"),
            "POSTRAIL_CARD_FOLDER": str(folder / "cards"),
            # Each spoiled message is worth a warning: a million of them are not worth a disk.
            "POSTRAIL_LOG_LEVEL": "ERROR",
        }
        crew = stack.enter_context(Crew(ecosystem, environment, folder))
        members = [crew.start("bank", BANK), crew.start("network", NETWORK), crew.start("network", OLD_NETWORK)]
        for member in members[1:]:
            member.await_bank(BANK)
        run = _Run(crew.ecosystem, members, cards, count, seed)
        asyncio.run(run.play())
        report = run.report() | {"postgresql": server.version}
    if problems := run.problems():
        raise FuzzFailed("; ".join(problems), report)
    return report


class _Run:
    """One run against processes that are up."""

    def __init__(
        self,
        ecosystem: Ecosystem,
        members: Sequence[Member],
        cards: Mapping[str, Sequence[HeldCard]],
        count: int,
        seed: int,
    ) -> None:
        self._members = members
        half = CARDS_PER_NETWORK // 2
        self._own_cards = {name: some[:half] for name, some in cards.items()}
        self._neighbours_cards = {name: some[half:] for name, some in cards.items()}
        self._count = count
        self._seed = seed
        self._currency = ecosystem.bank(BANK).currency
        self._targets = [
            _target(NETWORK, ecosystem.network(NETWORK).listen),
            _target(OLD_NETWORK, ecosystem.network(OLD_NETWORK).listen),
            _target(BANK, ecosystem.bank(BANK).listen, signs_on=True),
        ]
        self._counts = Counts()
        self._memory = _Memory()
        self._seconds = 0.0
        self._health: dict[str, dict[str, Any]] = {}

    async def play(self) -> None:
        """Everything at once; returns when all was sent, or a neighbour was lost."""
        begun = time.perf_counter()
        stopping = asyncio.Event()
        neighbours = [
            asyncio.create_task(
                pay_beside(
                    target,
                    self._neighbours_cards[target.name],
                    self._currency,
                    self._counts,
                    # terminals of one acquirer have names of their own, whichever network they are at
                    terminal_id=f"N{place:03d}{number:04d}",
                    stopping=stopping,
                )
            )
            for place, target in enumerate(self._targets)
            if target.name in self._neighbours_cards
            for number in range(NEIGHBOURS_PER_NETWORK)
        ]
        spoiling = [asyncio.create_task(task) for task in self._spoiling()]
        watching = asyncio.create_task(self._watch_memory())
        await asyncio.gather(*spoiling)
        self._seconds = time.perf_counter() - begun
        stopping.set()
        await asyncio.gather(*neighbours)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        self._memory.look(self._members)
        self._health = {member.name: await asyncio.to_thread(member.health) for member in self._members}

    def problems(self) -> list[str]:
        """What went wrong; nothing, as a rule."""
        counts = self._counts
        problems = [f"{member.name} died" for member in self._members if not self._health[member.name].get("well")]
        problems += sorted(set(counts.lost))
        if counts.payments_refused:
            problems.append(f"neighbours' payments were refused: {dict(counts.payments_refused)}")
        if self._count >= JUDGED_FROM:
            growths = {member.name: self._memory.growth(member.name) for member in self._members}
            problems += [f"{name} grew by {growth:.1%}" for name, growth in growths.items() if growth > GROWTH_MAX]
        return problems

    def report(self) -> dict[str, Any]:
        """The figures, JSON-able."""
        counts, servers = self._counts, [health.get("server", {}) for health in self._health.values()]
        return {
            "bench": "fuzz",
            "messages": counts.sent,
            "seed": self._seed,
            "rejected": sum(server.get("rejected", 0) for server in servers),
            "answered": counts.answered,
            "closed": counts.closed,
            "neighbours_sent": counts.neighbours_sent,
            "neighbours_answered": counts.neighbours_answered,
            "payments_refused": dict(counts.payments_refused),
            "rss_start_mib": self._memory.total_mib(0),
            "rss_end_mib": self._memory.total_mib(-1),
            "rss_growth": {name: round(self._memory.growth(name), 4) for name in self._memory.samples},
            "seconds": round(self._seconds, 1),
            "messages_per_s": round(counts.sent / self._seconds) if self._seconds else 0,
            "up": all(health.get("well") for health in self._health.values()),
            "machine": describe_machine(),
        }

    def _spoiling(self) -> list[Any]:
        tasks = []
        for place, target in enumerate(self._targets):
            cards = self._own_cards.get(target.name) or [card for some in self._own_cards.values() for card in some]
            corpus = corpus_of(target, cards, self._currency)
            share = int(self._count * SHARES[target.name])
            if place == 0:
                share = self._count - sum(int(self._count * SHARES[each.name]) for each in self._targets[1:])
            for number, part in enumerate(_parts(share, LINES_PER_TARGET)):
                seed = (self._seed * len(self._targets) + place) * LINES_PER_TARGET + number
                tasks.append(spoil(target, corpus, self._counts, seed=seed, count=part))
        return tasks

    async def _watch_memory(self) -> None:
        step = max(1, self._count // SAMPLES)
        due = 0
        while True:
            if self._counts.sent >= due:
                self._memory.look(self._members)
                due += step
            await asyncio.sleep(0.01)


def _target(name: str, endpoint: Endpoint, *, signs_on: bool = False) -> Target:
    wire = Wire(load_dialect(endpoint.dialect), endpoint.framing, tpdu=endpoint.tpdu)
    return Target(name, endpoint.host, endpoint.port, wire, endpoint.framing, signs_on)


def _parts(whole: int, number: int) -> list[int]:
    return [whole // number + (place < whole % number) for place in range(number)]


def _narrowed(ecosystem: Ecosystem) -> Ecosystem:
    """The shipped ecosystem with the one bank that asks for no MAC: what spoils a MAC hides everything behind it."""
    networks = tuple(
        ecosystem.network(name).model_copy(update={"duplicate_window_seconds": DUPLICATE_WINDOW_SECONDS})
        for name in (NETWORK, OLD_NETWORK)
    )
    return ecosystem.model_copy(update={"networks": networks, "banks": (ecosystem.bank(BANK),)})


def _open_cards(dsn: str, ecosystem: Ecosystem, folder: Path) -> dict[str, list[HeldCard]]:
    """Cards of the bank, for each network."""
    lookup = load_file_lookup(folder / "cards")
    with Database(dsn, statement_seconds_max=120) as database:
        cards = {
            network: make_sample_cards(
                database,
                bank=ecosystem.bank(BANK),
                network_id=network,
                lookup=lookup,
                count=CARDS_PER_NETWORK,
                balance_minor=_BALANCE_MINOR,
            )
            for network in (NETWORK, OLD_NETWORK)
        }
        database.execute("ANALYZE")
    return {
        network: [HeldCard(card.pan, card.expiry[2:4] + card.expiry[5:]) for card in some]
        for network, some in cards.items()
    }


def _resident_bytes(pid: int) -> int:
    """The memory that a process holds, 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    for text in status.splitlines():
        if text.startswith("VmRSS:"):
            return int(text.split()[1]) * _KIB
    return 0
