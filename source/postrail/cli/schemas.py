"""`postrail schemas`: the event schemas and the API's documents in `schemas/`, written from the contracts."""

from pathlib import Path
from typing import Annotated

import typer

from postrail.cli import console
from postrail.cli.failures import CommandError
from postrail.contracts.schemas import schema_drift, write_schemas
from switch.issuing.api.openapi import api_drift, write_api_documents

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Write schemas/ from the contracts.")


@app.callback()
def schemas() -> None:
    """The event schemas and API documents in schemas/, written from the contracts."""


@app.command()
def generate(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when a file differs.")] = False,
    target: Annotated[
        Path | None, typer.Option(help="The folder to write to. Default: schemas/ of the checkout.")
    ] = None,
) -> None:
    """Write schemas/ from the contracts, or check that it is up to date and breaks no reader."""
    folder = target or checkout_schemas()
    if not check:
        changed = write_schemas(folder) + write_api_documents(folder)
        for path in changed:
            console.out().print(f"wrote {path}", soft_wrap=True)
        console.out().print(f"{len(changed)} files changed in {folder}.", soft_wrap=True)
        return
    problems = schema_drift(folder) + api_drift(folder)
    for problem in problems:
        console.err().print(problem, soft_wrap=True)
    if problems:
        msg = f"{folder} is not what the contracts say ({len(problems)} differences)."
        raise CommandError(msg)
    console.out().print(f"{folder} is what the contracts say.", soft_wrap=True)


def checkout_schemas() -> Path:
    """`schemas/` of the checkout that this package runs from, else of the current directory.

    Raises CommandError when there is neither.
    """
    for root in (Path(__file__).resolve().parents[3], Path.cwd()):
        if (root / "schemas").is_dir():
            return root / "schemas"
    raise CommandError("There is no folder schemas/ here: run this in the checkout, or name one with --target.")
