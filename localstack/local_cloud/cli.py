"""`python -m local_cloud up | down | status | plan | destroy | check | fmt`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from local_cloud import proof
from local_cloud import status as status_module
from local_cloud.errors import LocalCloudError
from local_cloud.launch import STEPS, Launch, exclusive, read_cloud
from local_cloud.layout import STATE_DIR_VARIABLE, StateDir, default_state_dir
from local_cloud.progress import Reporter
from local_cloud.teardown import tear_down

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


class EmulatorKind(StrEnum):
    """The emulators that the local cloud can stand on."""

    MINISTACK = "ministack"
    LOCALSTACK = "localstack"


class StepName(StrEnum):
    """The steps of `up`."""

    TERRAFORM = "terraform"
    POSTGRES = "postgres"
    EMULATOR = "emulator"
    BUILD = "build"
    MIGRATE = "migrate"
    DEPLOY = "deploy"
    PIPES = "pipes"
    BATCH = "batch"
    SEED = "seed"


StateDirOption = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        envvar=STATE_DIR_VARIABLE,
        help="Where this cloud keeps its state; another one runs beside it. Default: .local in the checkout.",
    ),
]


def _state(given: Path | None) -> StateDir:
    return StateDir(given.resolve() if given is not None else default_state_dir())


@app.command()
def up(
    state_dir: StateDirOption = None,
    emulator: Annotated[EmulatorKind, typer.Option(envvar="EMULATOR")] = EmulatorKind.MINISTACK,
    iam: Annotated[
        bool | None,
        typer.Option(
            "--iam/--no-iam",
            envvar="POSTRAIL_LOCAL_IAM",
            help="Deny functions and tasks what their roles do not allow. Default: no, or as it already runs.",
        ),
    ] = None,
    only: Annotated[
        list[StepName] | None, typer.Option(help="Take only this step, and what it needs. Repeatable.")
    ] = None,
) -> None:
    """Start the local cloud and deploy to it. What already stands is left as it is."""
    state = _state(state_dir)
    with exclusive(state):
        state.marker.touch()
        steps = tuple(step.value for step in only) if only else STEPS
        Launch(state, emulator.value, Reporter(), check_rights=iam).take(steps)


@app.command()
def down(
    state_dir: StateDirOption = None,
    keep_data: Annotated[bool, typer.Option("--keep-data", help="Keep PostgreSQL's data for the next `up`.")] = False,
) -> None:
    """Stop and remove everything that `up` started."""
    state = _state(state_dir)
    reporter = Reporter()
    if not state.root.exists():
        reporter.note(f"Nothing runs in {state.root}.")
        return
    with exclusive(state):
        tear_down(state, reporter, keep_data=keep_data)


@app.command()
def status(
    state_dir: StateDirOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Show what runs."""
    state = _state(state_dir)
    rows = status_module.collect(state)
    if as_json:
        typer.echo(json.dumps(status_module.as_object(state, rows), indent=2))
        return
    Console().print(status_module.as_table(state, rows))


@app.command()
def plan(
    state_dir: StateDirOption = None,
    expect_no_changes: Annotated[
        bool, typer.Option("--expect-no-changes", help="Fail when the plan would change anything.")
    ] = False,
) -> None:
    """Plan Terraform against what is deployed here."""
    state = _state(state_dir)
    with exclusive(state):
        launch = Launch(state, read_cloud(state).get("emulator", EmulatorKind.MINISTACK.value), Reporter())
        words = proof.plan(state, launch.deployer, Reporter(), expect_no_changes=expect_no_changes)
    typer.echo(words)


@app.command()
def destroy(state_dir: StateDirOption = None) -> None:
    """Destroy with Terraform what is deployed here; the emulator and PostgreSQL keep running."""
    state = _state(state_dir)
    with exclusive(state):
        launch = Launch(state, read_cloud(state).get("emulator", EmulatorKind.MINISTACK.value), Reporter())
        proof.destroy(state, launch.deployer, Reporter())


@app.command()
def check() -> None:
    """Format check, validation and tests of the Terraform code; needs no account and no emulator."""
    proof.check_code(Reporter())


@app.command()
def fmt() -> None:
    """Format the Terraform code."""
    proof.format_code()


def main() -> int:
    """Run the command line; return the exit code."""
    try:
        app(standalone_mode=True)
    except LocalCloudError as error:
        Console(stderr=True).print(f"[red]error[/red] {error}", highlight=False, soft_wrap=True)
        return 1
    return 0
