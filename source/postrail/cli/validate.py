"""`postrail validate`: whether a deployed graph is what its deployment says, and a payment gets through every edge.

First every resource is looked at, then marked payments go through the graph as in `postrail selftest`, then everything
that they left behind is swept up.
"""

import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.table import Table

from postrail.cli import console
from postrail.cli.edges import EDGES, Probe, Verdict, judge
from postrail.cli.failures import CommandError
from postrail.cli.graph import Graph, load_graph
from postrail.cli.ledger_door import FunctionEnds, ask_function
from postrail.cli.probes import make_probes
from postrail.cli.selftest import Watch, observe_edges
from postrail.settings import CommandLineSettings
from postrail.validation.checks import all_questions
from postrail.validation.deployment import Deployment, read_deployment
from postrail.validation.findings import Finding, Status, answer, answer_all, passed
from postrail.validation.traces import AskLedger, Traces, put_cards, questions_on_sweeping

app = typer.Typer(add_completion=False)

LOCAL = "local"
PATIENCE_SECONDS = 120.0
_KNOWN_CARDS = (Probe.TABLE, Probe.EVENTS, Probe.FROZEN)
_SIGNS = {Status.OK: "ok", Status.FAILED: "FAILED", Status.SKIPPED: "skipped"}


@app.command()
def validate(
    env: Annotated[
        str, typer.Option(help="Which deployment: build/ENV.json has its outputs, `local` is the local cloud.")
    ] = "",
    payment: Annotated[bool, typer.Option(help="Send the marked payments too, and clean up behind them.")] = True,
    timeout: Annotated[
        float | None, typer.Option(min=1, help="Seconds to wait for the last edge. Default: 120, and what stages wait.")
    ] = None,
    build: Annotated[Path, typer.Option(help="Folder of outputs and of the functions' archives.")] = Path("build"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Check every resource of a deployed graph, then pay once through every edge, then clean up.

    Exit code 0 when nothing failed. What the target cannot show is skipped and says why.
    """
    graph = load_graph(_settings(env, build))
    deployment = _deployment(graph)
    ask = ask_function(graph)
    run_id = f"validate_{uuid.uuid4().hex}"
    findings = _look(graph, deployment, ask, build)
    if payment:
        patience = timeout or PATIENCE_SECONDS + deployment.expectations.windows_seconds
        findings += _pay(graph, deployment, ask, run_id, patience, findings)
    if as_json:
        console.write_json(_document(run_id, deployment, findings))
    else:
        _print(deployment, findings)
    raise typer.Exit(0 if passed(findings) else 1)


def _settings(env: str, build: Path) -> CommandLineSettings:
    settings = CommandLineSettings()
    if not env:
        return settings
    if env == LOCAL:
        return settings.model_copy(update={"outputs": None})
    outputs = build / f"{env}.json"
    if not outputs.is_file():
        msg = f"There is no {outputs}: `make deploy ENV={env}` writes it, and so does `make outputs ENV={env}`."
        raise CommandError(msg)
    return settings.model_copy(update={"outputs": outputs})


def _deployment(graph: Graph) -> Deployment:
    try:
        return read_deployment(graph.values)
    except ValidationError as error:
        names = ", ".join(".".join(str(step) for step in problem["loc"]) for problem in error.errors()[:3])
        msg = f"The outputs lack what a validation needs ({names}): deploy with this version first."
        raise CommandError(msg) from error


def _look(graph: Graph, deployment: Deployment, ask: AskLedger, archives: Path) -> list[Finding]:
    """Everything that needs no payment. In a strange account nothing is asked but whose it is."""
    questions = list(all_questions(deployment, graph.client, ask, archives))
    first = answer(questions[0])
    if first.status is Status.FAILED:
        return [first]
    with console.progress("Checks", len(questions)) as meter:
        return [first, *answer_all(questions[1:], meter.reach)]


def _pay(
    graph: Graph, deployment: Deployment, ask: AskLedger, run_id: str, timeout: float, before: Iterable[Finding]
) -> list[Finding]:
    """The marked payments and the sweeping. Without account or ledger there is nothing to pay from."""
    missing = [each for each in before if each.status is Status.FAILED and each.area in {"account", "ledger"}]
    if missing:
        reason = f"not sent: {missing[0].area} {missing[0].subject} {missing[0].note}"
        return [Finding("payment", edge.name, Status.SKIPPED, reason) for edge in EDGES]
    watch = Watch(make_probes(run_id))
    bodies = [payment.body for payment in watch.probes.values()]
    row_ids = [watch.probes[Probe.TABLE].payment_id]
    traces = Traces(run_id, bodies, row_ids)
    try:
        ask({"ask": "open"})
        tokens = [str(watch.probes[probe].body["card"]["token"]) for probe in _KNOWN_CARDS]
        traces.cards = put_cards(graph.client("dynamodb"), graph.table("reference"), tokens)
        ends = FunctionEnds(ask, run_id)
        with console.progress("Edges that delivered", len(EDGES)) as meter:
            observe_edges(graph, watch, run_id, ends, timeout=timeout, meter=meter)
    finally:
        # Whatever broke the observation off: what it has sent is swept up, and the failure goes on from here.
        traces.parked_uris = watch.parked_uris
        swept = [answer(each) for each in questions_on_sweeping(traces, deployment, graph.client, ask)]
    verdicts = judge(watch.signals, watch.remarks)
    return [*(_finding(verdict, watch) for verdict in verdicts), *swept]


def _finding(verdict: Verdict, watch: Watch) -> Finding:
    name = verdict.edge.name
    if verdict.delivered is None:
        return Finding("payment", name, Status.SKIPPED, verdict.remark)
    if verdict.delivered:
        return Finding("payment", name, Status.OK, f"{verdict.milliseconds:,.0f} ms")
    payments = ", ".join(watch.probes[probe].payment_id for probe in verdict.edge.probes)
    remedy = f"Follow it: `postrail trace {payments}`, then the logs of the function at this edge."
    return Finding("payment", name, Status.FAILED, verdict.remark, remedy)


def _document(run_id: str, deployment: Deployment, findings: list[Finding]) -> Mapping[str, Any]:
    return {
        "run_id": run_id,
        "name_prefix": deployment.name_prefix,
        "region": deployment.region,
        "valid": passed(findings),
        **{status.value: sum(1 for each in findings if each.status is status) for status in Status},
        "checks": [finding.document() for finding in findings],
    }


def _print(deployment: Deployment, findings: list[Finding]) -> None:
    console.out().print(_table_of(findings))
    counts = {status: sum(1 for each in findings if each.status is status) for status in Status}
    failed = [each for each in findings if each.status is Status.FAILED]
    for each in failed:
        console.err().print(f"\n{each.area} {each.subject}: {each.note}.\n  {each.remedy}", soft_wrap=True)
    said = ", ".join(f"{count} {_SIGNS[status]}" for status, count in counts.items() if count)
    console.out().print(f"\n{deployment.name_prefix} in {deployment.region}: {said}.")


def _table_of(findings: Iterable[Finding]) -> Table:
    grid = console.table("what", "which", "is", "remark")
    for finding in findings:
        grid.add_row(finding.area, finding.subject, _SIGNS[finding.status], finding.note)
    return grid
