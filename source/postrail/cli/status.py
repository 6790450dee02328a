"""`postrail status`: the figures of the running graph, once or all the time."""

import sys
import time
from typing import Annotated

import typer
from rich.live import Live

from postrail.cli import console
from postrail.cli.failures import CommandError
from postrail.cli.graph import Graph, load_graph
from postrail.cli.status_page import StatusPage, write_document
from postrail.domain.errors import ConfigInvalid, Retryable
from postrail.figures.catalogue import Catalogue, read_catalogue
from postrail.figures.reading import GraphFigures
from postrail.settings import Settings

app = typer.Typer(add_completion=False, help="Show the figures of the running graph.")

_CATALOGUE = "figures.yaml"


@app.command()
def status(
    watch: Annotated[bool, typer.Option("--watch", help="Show them again and again, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output, each time.")] = False,
    interval: Annotated[float, typer.Option(min=1, max=3_600, help="Seconds between two looks.")] = 5.0,
) -> None:
    """Show the figures of the running graph: those of its dashboards, by section.

    Counts are of the last minute, with the mean of the last five in brackets. A value that would raise an alarm is red
    (page) or yellow (ticket). What is not known is a dash, with the reason.
    """
    graph = load_graph()
    settings = Settings()
    config_dir, overdue_seconds = settings.resolved_config_dir(), settings.sequence_timeout_seconds
    catalogue = read_catalogue(config_dir / _CATALOGUE)
    with GraphFigures(catalogue, graph, config_dir=config_dir, overdue_seconds=overdue_seconds) as figures:
        look = _Look(graph, catalogue, figures)
        if not watch:
            _show_once(look.page(), as_json=as_json)
            return
        try:
            _watch(look, interval, as_json=as_json)
        except KeyboardInterrupt:
            # Ctrl-C is how a watch ends: nothing went wrong.
            return


class _Look:
    """Takes pages of one graph."""

    def __init__(self, graph: Graph, catalogue: Catalogue, figures: GraphFigures) -> None:
        self._graph = graph
        self._catalogue = catalogue
        self._figures = figures

    def page(self) -> StatusPage:
        """The figures now. Raises CommandError when the graph does not answer."""
        try:
            window, readings = self._figures.read()
        except Retryable as error:
            msg = f"The graph does not answer ({error}): run `make status` to see what runs, or `make local`."
            raise CommandError(msg) from error
        except ConfigInvalid as error:
            raise CommandError(str(error)) from error
        return StatusPage(_place(self._graph), self._catalogue, window, readings)


def _place(graph: Graph) -> str:
    if graph.cloud is not None:
        return f"{graph.outputs.name_prefix} on this machine ({graph.cloud.emulator})"
    return f"{graph.outputs.name_prefix} in {graph.outputs.region}"


def _show_once(page: StatusPage, *, as_json: bool) -> None:
    if as_json:
        write_document(page)
    else:
        console.out().print(page.as_screen(), soft_wrap=False)


def _watch(look: _Look, interval: float, *, as_json: bool) -> None:
    """Until it is interrupted: in place on a terminal, one line each time elsewhere."""
    terminal = console.out()
    if as_json or not terminal.is_terminal:
        while True:
            page = look.page()
            if as_json:
                write_document(page)
            else:
                terminal.print(page.as_line(), soft_wrap=True)
            sys.stdout.flush()
            time.sleep(interval)
    with Live(console=terminal, auto_refresh=False, screen=False, vertical_overflow="crop") as live:
        while True:
            live.update(look.page().as_screen(), refresh=True)
            time.sleep(interval)
