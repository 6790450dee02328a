"""Entry point of the `postrail` command: the list of commands, and what happens when one fails."""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, ClassVar

import typer

from postrail.cli.failures import CommandError, explain_failure
from postrail.cli.lazy import LazyCommand, LazyGroup

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
_DEBUG_VARIABLE = "POSTRAIL_DEBUG"


class PostrailCommands(LazyGroup):
    """All commands, in the order in which a newcomer meets them."""

    members: ClassVar[Mapping[str, LazyCommand]] = {
        "seed": LazyCommand("postrail.cli.seed", "Fill reference data and open the ledger's accounts."),
        "inject": LazyCommand("postrail.cli.inject", "Send payments into the graph, and follow them to their end."),
        "trace": LazyCommand("postrail.cli.trace", "Show every hop of one payment."),
        "selftest": LazyCommand("postrail.cli.selftest", "Send marked payments over every edge of the graph."),
        "validate": LazyCommand("postrail.cli.validate", "Check a deployed graph, and pay once through every edge."),
        "status": LazyCommand("postrail.cli.status", "Show the figures of the running graph, once or all the time."),
        "batch": LazyCommand("postrail.cli.batch", "Post files of authorizations, and write sample files."),
        "switch": LazyCommand("postrail.cli.switch", "Run networks and banks that speak ISO 8583."),
        "accounts": LazyCommand("postrail.cli.accounts", "Open accounts at a bank and read their balances."),
        "cards": LazyCommand("postrail.cli.cards", "Order, show and block cards."),
        "token": LazyCommand("postrail.cli.token", "Sign an access token for the local APIs."),
        "iso8583": LazyCommand("postrail.cli.iso8583", "Read and write ISO 8583 messages of any dialect."),
        "cardholder": LazyCommand("postrail.cli.cardholder", "Pay at a terminal, and play scenarios."),
        "dlq": LazyCommand("postrail.cli.dlq", "Look into dead-letter queues, and send letters on their way again."),
        "ledger": LazyCommand("postrail.cli.ledger", "Migrate, verify and read the ledger."),
        "reconcile": LazyCommand("postrail.cli.reconcile", "Compare authorizations, events, ledger and settlement."),
        "rules": LazyCommand("postrail.cli.rules", "Explain, test and list the rules."),
        "bench": LazyCommand("postrail.cli.bench", "Measure speed on this machine."),
        "load": LazyCommand("postrail.cli.load", "Send payments by the clock, and report what that did to the graph."),
        "capacity": LazyCommand("postrail.cli.capacity", "Which quotas a rate of payments meets, and what it costs."),
        "schemas": LazyCommand("postrail.cli.schemas", "Write the event schemas from the contracts."),
    }


app = typer.Typer(
    cls=PostrailCommands,
    no_args_is_help=True,
    add_completion=False,
    help="Postrail posts approved card payments to customer accounts in seconds.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"postrail {installed_version()}")
        raise typer.Exit


def installed_version() -> str:
    """The installed package's version; `unknown` when it runs from a folder that was never installed."""
    try:
        return version("postrail")
    except PackageNotFoundError:
        return "unknown"


@app.callback()
def root(
    version_wanted: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Postrail posts approved card payments to customer accounts in seconds."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own) and return its exit code.

    An expected failure is one sentence on standard error. With POSTRAIL_DEBUG=1 it is a traceback.
    """
    try:
        answer = app(args=arguments, prog_name="postrail", standalone_mode=False)
    except typer.TyperException as error:
        return _report_usage(error)
    except typer.Abort:
        return _say("Stopped.", EXIT_INTERRUPTED)
    except KeyboardInterrupt:
        return _say("Stopped.", EXIT_INTERRUPTED)
    except Exception as error:
        if os.environ.get(_DEBUG_VARIABLE) == "1":
            raise
        sentence = explain_failure(error)
        if sentence is None:
            raise
        return _say(sentence, error.exit_code if isinstance(error, CommandError) else EXIT_FAILED)
    return answer if isinstance(answer, int) else 0


def _report_usage(error: typer.TyperException) -> int:
    sentence = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    if not sentence.strip():
        # `postrail ledger` alone: the help was the message
        return int(getattr(error, "exit_code", 2))
    command = context.command_path if context is not None else "postrail"
    return _say(f"{sentence.rstrip('.')}. See `{command} --help`.", int(getattr(error, "exit_code", 2)))


def _say(sentence: str, exit_code: int) -> int:
    sys.stderr.write(f"postrail: {sentence}\n")
    return exit_code


def main() -> None:
    """Console script."""
    sys.exit(run())


if __name__ == "__main__":
    main()
