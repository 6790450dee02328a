"""`postrail bench`: measure speed on this machine, as a table or as JSON."""

from typing import Annotated

import typer

from postrail.bench.stages import measure_stages
from postrail.cli import console
from postrail.settings import Settings

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Measure speed on this machine.")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


@app.callback()
def bench() -> None:
    """Measure speed on this machine."""


@app.command()
def stages(
    count: Annotated[int, typer.Option(min=1, help="Sample payments in each run.")] = 20_000,
    runs: Annotated[int, typer.Option(min=1, max=50, help="Runs for each batch size; medians are shown.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Time every stage function for one event, and per event in batches of 10, 100 and 1,000."""
    report = measure_stages(count, runs=runs, config_dir=Settings().resolved_config_dir())
    if as_json:
        console.write_json(report.document())
        return
    sizes = [time.batch_size for time in report.all_stages]
    columns = [f"{percentile} of {size}" for size in sizes for percentile in ("p50", "p99")]
    grid = console.table("us per event", *columns, right=columns)
    by_stage: dict[str, list[str]] = {}
    for time in [*report.stages, *report.all_stages]:
        by_stage.setdefault(time.stage, []).extend((f"{time.p50_us:.1f}", f"{time.p99_us:.1f}"))
    for stage, cells in by_stage.items():
        grid.add_row(stage, *cells)
    console.out().print(grid)
    ends = ", ".join(f"{number} {end}" for end, number in report.ends.items())
    console.out().print(f"\n{report.count} payments a run ({ends}), median of {report.runs} runs.")
    machine = report.machine
    console.out().print(f"{machine['cpu']}, {machine['cores']} cores, {machine['python']}, {machine['system']}.")
