"""`postrail switch`: run a network or a bank, ask how it is, and see a whole switch at work."""

import http.client
import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from postrail.adapters.aws.observability import Telemetry
from postrail.cli import console
from postrail.cli.failures import CommandError
from postrail.cli.graph import load_graph
from postrail.cli.switch_demo import run_demo
from postrail.settings import SwitchSettings
from switch.bootstrap import BankProcess, NetworkProcess, build_bank, build_network
from switch.meter import MinuteMeter
from switch.process import run_process

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Run networks and banks that speak ISO 8583.")

_HEALTH_BYTES_MAX = 1_000_000


@app.callback()
def switch() -> None:
    """Run networks and banks that speak ISO 8583."""


@app.command()
def network(
    network_id: Annotated[str, typer.Argument(help="The network's id in config/ecosystem.yaml.")],
) -> None:
    """Run a network until it is told to stop (SIGTERM, Ctrl-C)."""
    settings = SwitchSettings()
    _run("network", network_id, lambda: build_network(network_id, settings), settings)


@app.command()
def bank(
    bank_id: Annotated[str, typer.Argument(help="The bank's id in config/ecosystem.yaml.")],
) -> None:
    """Run an issuing bank until it is told to stop (SIGTERM, Ctrl-C)."""
    settings = SwitchSettings()
    _run("bank", bank_id, lambda: build_bank(bank_id, settings), settings)


@app.command()
def health(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="The process's POSTRAIL_HEALTH_PORT.")],
    host: Annotated[str, typer.Option(help="Where the process runs.")] = "127.0.0.1",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Ask a process how it is. The exit code is 0 only when it is well."""
    well, details = _ask(host, port)
    if as_json:
        console.write_json(details)
    else:
        console.out().print(console.facts([(name, _shown(value)) for name, value in details.items()]))
    raise typer.Exit(0 if well else 1)


@app.command()
def demo() -> None:
    """Order cards and pay with them, from the terminal to the posted balance, in the local cloud."""
    graph = load_graph()
    if graph.cloud is None:
        raise CommandError("The demonstration plays in a local cloud: run it without POSTRAIL_OUTPUTS.")
    with tempfile.TemporaryDirectory(prefix="postrail-demo-") as folder:
        run_demo(graph, graph.cloud, Path(folder))


def _run(kind: str, party_id: str, build: Any, settings: SwitchSettings) -> None:
    name = f"{kind} {party_id}"
    telemetry = Telemetry(party_id, level=settings.log_level, namespace=settings.metrics_namespace)

    def say(service: BankProcess | NetworkProcess) -> None:
        console.out().print(f"{name} takes messages on port {service.port}.", soft_wrap=True)

    def make_meter(service: BankProcess | NetworkProcess) -> MinuteMeter:
        return MinuteMeter(service, telemetry)

    run_process(
        name,
        build,
        health_host=settings.listen_host or "127.0.0.1",
        health_port=settings.health_port,
        log_level=settings.log_level,
        ready=say,
        meter=make_meter if settings.metrics_namespace else None,
    )


def _ask(host: str, port: int) -> tuple[bool, dict[str, Any]]:
    connection = http.client.HTTPConnection(host, port, timeout=3)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        content = json.loads(answer.read(_HEALTH_BYTES_MAX))
    except (OSError, http.client.HTTPException, ValueError) as error:
        msg = f"Nobody answers health checks at {host}:{port}: start the process with POSTRAIL_HEALTH_PORT={port}."
        raise CommandError(msg) from error
    finally:
        connection.close()
    return answer.status == http.client.OK, content


def _shown(value: object) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else str(value)
