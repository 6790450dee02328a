"""`postrail selftest`: one marked payment over every edge of the graph; every edge that did not deliver is named.

An emulator that says RUNNING, and a console that shows a green rule, prove nothing: only an event that arrives does.
"""

import time
import uuid
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.table import Table

from postrail.cli import console
from postrail.cli.dead_letters import Letter
from postrail.cli.edges import (
    ALERT,
    AUDIT,
    DEAD_LETTER,
    EDGES,
    LEDGER,
    SENT,
    Probe,
    Verdict,
    complete,
    judge,
    undelivered,
)
from postrail.cli.follow import End, EndsInLedger, Outcome
from postrail.cli.graph import Graph, load_graph
from postrail.cli.inputs import Payment
from postrail.cli.ledger_door import open_ledger_ends
from postrail.cli.observer import Alert, Observed, Observer
from postrail.cli.probes import make_probes
from postrail.cli.send import BusDoor, TableDoor

app = typer.Typer(add_completion=False)

_POLL_SECONDS = 0.2


@app.command()
def selftest(
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for the last edge.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Send marked payments over every edge of the graph and name each edge that did not deliver.

    Two payments of 0.01 GBP are posted to the reserved account customer:selftest:gbp; the other probes end before
    the ledger. `postrail seed` makes the accounts.
    """
    graph = load_graph()
    run_id = f"selftest_{uuid.uuid4().hex}"
    with console.progress("Edges that delivered", len(EDGES)) as meter, open_ledger_ends(graph, run_id) as ledger:
        watch = observe_edges(graph, Watch(make_probes(run_id)), run_id, ledger, timeout=timeout, meter=meter)
    verdicts = judge(watch.signals, watch.remarks)
    blamed = undelivered(verdicts)
    if as_json:
        console.write_json(_document(run_id, verdicts, watch.probes))
    else:
        console.out().print(table_of(verdicts))
        if all(verdict.delivered for verdict in verdicts):
            console.out().print(f"\nAll {len(verdicts)} edges delivered.")
    if blamed:
        console.err().print(f"Not delivered: {'; '.join(blamed)}.", soft_wrap=True)
    raise typer.Exit(0 if all(verdict.delivered for verdict in verdicts) else 1)


class Watch:
    """Turns what is seen of the probes into signals."""

    def __init__(self, probes: Mapping[Probe, Payment]) -> None:
        self.probes = dict(probes)
        self.signals: dict[tuple[Probe, str], float] = {}
        self.remarks: dict[Probe, str] = {}
        self.parked_uris: set[str] = set()
        self._parts: dict[str, set[int]] = {}

    def sent(self, probe: Probe, at: float) -> None:
        """A probe was handed over."""
        self.signals[probe, SENT] = at

    def hear(self, event: Observed) -> None:
        """An event was seen on the bus. Postings count when all parts of the sequence were seen."""
        probe = self._probe_of(event.payment_id)
        if probe is None:
            return
        if event.detail_type == "PostingRequested":
            parts = self._parts.setdefault(event.payment_id, set())
            parts.add(int(event.data.get("index", 0)))
            if len(parts) < int(event.data.get("total", 0)):
                return
        if event.data.get("parked_uri"):
            self.parked_uris.add(str(event.data["parked_uri"]))
        if event.data.get("reason_code"):
            self.remarks[probe] = f" ({event.data['reason_code']}{_advice(str(event.data['reason_code']))})"
        # What leaves through the outbox is made before the commit that lets it leave: its arrival counts.
        at = event.seen_at if event.detail_type == "PaymentPosted" else event.at
        self.signals.setdefault((probe, event.detail_type), at)

    def alert(self, alert: Alert) -> None:
        """An alert was seen; which probe it is about stands in its text."""
        for probe, payment in self.probes.items():
            if payment.payment_id in alert.text:
                self.signals.setdefault((probe, ALERT), alert.at)

    def end(self, payment_id: str, end: End) -> None:
        """The ledger or its audit trail knows the end of a payment."""
        probe = self._probe_of(payment_id)
        if probe is not None:
            self.signals.setdefault((probe, LEDGER if end.outcome is Outcome.POSTED else AUDIT), end.at)

    def letter(self, letter: Letter, run_id: str) -> bool:
        """A dead letter was seen; returns whether it is one of this run's."""
        probe = self._probe_of(letter.payment_id or "")
        if probe is None and letter.correlation_id != run_id:
            return False
        self.signals.setdefault((probe or Probe.MALFORMED, DEAD_LETTER), letter.at)
        if probe is not None:
            self.remarks[probe] = f" ({letter.reason} in {letter.queue})"
        return True

    def settle_twins(self) -> None:
        """Of two events with one key either may come first: whichever was parked is the twin."""
        if (Probe.EVENTS, "DuplicateParked") in self.signals:
            swap = {Probe.EVENTS: Probe.TWIN, Probe.TWIN: Probe.EVENTS}
            self.signals = {(swap.get(probe, probe), name): at for (probe, name), at in self.signals.items()}
            self.remarks = {swap.get(probe, probe): remark for probe, remark in self.remarks.items()}
            events, twin = self.probes[Probe.EVENTS], self.probes[Probe.TWIN]
            self.probes |= {Probe.EVENTS: twin, Probe.TWIN: events}

    def _probe_of(self, payment_id: str) -> Probe | None:
        return next((probe for probe, payment in self.probes.items() if payment.payment_id == payment_id), None)


def observe_edges(
    graph: Graph, watch: Watch, run_id: str, ledger: EndsInLedger, *, timeout: float, meter: console.Meter
) -> Watch:
    """Send the probes of a watch and tell it what is seen of them, until all edges delivered or the time is over."""
    with Observer(graph, run_id) as observer, graph.dead_letters() as letters:
        _send(graph, run_id, watch)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            events, alerts = observer.drain()
            for event in events:
                watch.hear(event)
            for alert in alerts:
                watch.alert(alert)
            for payment_id, end in ledger.ends().items():
                watch.end(payment_id, end)
            for letter in letters.look():
                if watch.letter(letter, run_id) and letter.payments == 1:
                    letters.delete(letter)
            watch.settle_twins()
            meter.reach(sum(1 for verdict in judge(watch.signals, {}) if verdict.delivered))
            if complete(watch.signals):
                break
            time.sleep(_POLL_SECONDS)
    return watch


def _send(graph: Graph, run_id: str, watch: Watch) -> None:
    table = TableDoor(graph.client("dynamodb"), graph.table("authorizations"), run_id)
    bus = BusDoor(graph.client("events"), graph.outputs.bus_name, run_id)
    for probe, payment in watch.probes.items():
        at = time.time()
        door = table if probe is Probe.TABLE else bus
        if not door.send([payment]):
            watch.sent(probe, at)


def _advice(reason_code: str) -> str:
    return ": run `postrail seed`" if reason_code == "UNKNOWN_ACCOUNT" else ""


def table_of(verdicts: list[Verdict]) -> Table:
    """The verdicts as a table."""
    grid = console.table("edge", "delivered", "ms", "remark", right=("ms",))
    for verdict in verdicts:
        answer = {True: "yes", False: "NO", None: "-"}[verdict.delivered]
        milliseconds = "" if verdict.milliseconds is None else f"{verdict.milliseconds:,.0f}"
        grid.add_row(verdict.edge.name, answer, milliseconds, verdict.remark)
    return grid


def _document(run_id: str, verdicts: list[Verdict], probes: Mapping[Probe, Payment]) -> dict[str, object]:
    return {
        "run_id": run_id,
        "delivered": all(verdict.delivered for verdict in verdicts),
        "edges": [
            {
                "edge": verdict.edge.name,
                "delivered": verdict.delivered,
                "ms": verdict.milliseconds,
                "remark": verdict.remark,
            }
            for verdict in verdicts
        ],
        "not_delivered": undelivered(verdicts),
        "payments": {probe.value: payment.payment_id for probe, payment in probes.items()},
    }
