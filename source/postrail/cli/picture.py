"""Renders the dashboards of a graph to a picture, for the README: `make pictures`.

Their definition comes from the graph itself, as Terraform has put it there; the values are those of `postrail status`.
"""

import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from postrail.adapters.aws.clients import error_code
from postrail.cli.failures import CommandError, explain_failure
from postrail.cli.graph import Graph, load_graph
from postrail.domain.errors import ConfigInvalid, Retryable
from postrail.figures.catalogue import Catalogue, read_catalogue
from postrail.figures.picture import Section, draw, lay_out, merge_points
from postrail.figures.reading import GraphFigures
from postrail.figures.series import HISTORY_BUCKETS, Readings
from postrail.settings import Settings

_LOOKS_MAX = 720

app = typer.Typer(add_completion=False)


@app.command()
def picture(
    path: Annotated[Path, typer.Argument(help="Where to write it: .png or .svg.")],
    minutes: Annotated[int, typer.Option(min=2, max=180, help="How far back it reaches.")] = HISTORY_BUCKETS,
    watch: Annotated[int, typer.Option(min=0, max=3_600, help="Seconds to look on first, for what keeps no past.")] = 0,
    interval: Annotated[int, typer.Option(min=5, max=600, help="Seconds between two looks.")] = 5,
    sections: Annotated[str, typer.Option(help="Sections of config/figures.yaml, with commas; default: all.")] = "",
) -> None:
    """Draw the dashboards of the running graph, with what was read of it."""
    if path.suffix not in (".png", ".svg"):
        raise CommandError(f"{path}: write a .png or a .svg.")
    settings = Settings()
    graph = load_graph()
    config_dir = settings.resolved_config_dir()
    catalogue = read_catalogue(config_dir / "figures.yaml")
    try:
        overdue_seconds = settings.sequence_timeout_seconds
        with GraphFigures(catalogue, graph, config_dir=config_dir, overdue_seconds=overdue_seconds) as figures:
            readings = merge_points(_looks(figures, minutes, watch, interval))
        pages = _chosen(_pages(graph, catalogue, readings), catalogue, sections)
        moment = datetime.now(UTC)
        place = "one machine" if graph.cloud is not None else graph.outputs.region
        draw(pages, path, title="Postrail", note=f"{graph.outputs.name_prefix} on {place}, {moment:%d %B %Y %H:%M} UTC")
    except (ConfigInvalid, Retryable) as error:
        raise CommandError(str(error)) from error
    sys.stdout.write(f"{path}: {sum(len(page.drawings) for page in pages)} drawings\n")


def _looks(figures: GraphFigures, minutes: int, watch: int, interval: int) -> Iterator[Readings]:
    """What is known at each moment of the watch; at least once."""
    end = time.monotonic() + watch
    for _ in range(_LOOKS_MAX):
        yield figures.read(minutes)[1]
        if time.monotonic() + interval > end:
            return
        time.sleep(interval)


def _pages(graph: Graph, catalogue: Catalogue, readings: Readings) -> list[Section]:
    """The sections of all dashboards, in the catalogue's order."""
    ids = {figure.title: figure.id for figure in catalogue.figures}
    pages = []
    for dashboard in dict.fromkeys(section.dashboard for section in catalogue.sections):
        name = graph.outputs.observability.get("dashboards", {}).get(dashboard)
        if name is None:
            raise CommandError("The graph's outputs name no dashboards: deploy again with this version.")
        try:
            body = graph.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"]
        except (BotoCoreError, ClientError) as error:
            raise CommandError(f"The dashboard {name} cannot be read: {error_code(error)}") from error
        pages += lay_out(json.loads(body), readings, ids)
    return pages


def _chosen(pages: list[Section], catalogue: Catalogue, wanted: str) -> list[Section]:
    if not wanted:
        return pages
    titles = {section.id: section.title for section in catalogue.sections}
    missing = [name for name in wanted.split(",") if name not in titles]
    if missing:
        raise CommandError(f"{', '.join(missing)}: no such section; there are {', '.join(titles)}.")
    by_title = {page.title: page for page in pages}
    return [by_title[titles[name]] for name in wanted.split(",") if titles[name] in by_title]


def main() -> int:
    """Run the command line of this process and return its exit code; an expected failure is one sentence."""
    try:
        app(standalone_mode=False)
    except typer.TyperException as error:
        sentence: str | None = error.format_message()
    except (CommandError, BotoCoreError, ClientError) as error:
        sentence = explain_failure(error)
        if sentence is None:
            raise
    else:
        return 0
    sys.stderr.write(f"picture: {sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
