"""`postrail cardholder script`: plays scenario files against a network and banks of their own."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from postrail.adapters.postgres.migrate import migrate
from postrail.bench.scratch_postgres import ScratchServer, scratch_server
from postrail.cli import console
from postrail.cli.cardholder_messages import as_json_document, logs_aside, show_exchange
from postrail.cli.failures import CommandError
from postrail.settings import Settings, SwitchSettings
from switch.cardholder.books import AccountView
from switch.cardholder.player import Player, StepReport
from switch.cardholder.scenarios import Scenario, load_scenario
from switch.rehearsal import rehearsing

SCENARIOS_MAX: Final = 500
_TEMPLATE: Final = "template_rehearsal"


def script(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Scenario files. Default: all of the config folder's scenarios.")
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(help="A migrated database of their own that they fill. Default: a PostgreSQL made for the run."),
    ] = None,
    brief: Annotated[bool, typer.Option(help="One line a scenario, and messages only where one went wrong.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Play scenarios: a network and its banks start in this process, fail when told, and end with the scenario.

    The exit code is 0 only when all came out as expected.
    """
    scenarios = [load_scenario(path) for path in files or _all_of_config()]
    settings = SwitchSettings()
    results: list[dict[str, Any]] = []
    with _databases(database) as next_database:
        for scenario in scenarios:
            chosen = settings.model_copy(update={"ledger_dsn": next(next_database)})
            in_full = not brief and not as_json
            if in_full:
                _show_heading(scenario)
            with logs_aside():
                reports = asyncio.run(_play(scenario, chosen, _show_step if in_full else _show_nothing))
            passed = not any(report.failures for report in reports)
            if not as_json:
                _show_result(scenario, reports, in_full=in_full)
            results.append(_document(scenario, reports, passed=passed))
    passed_all = all(result["passed"] for result in results)
    if as_json:
        console.write_json({"passed": passed_all, "scenarios": results})
    raise typer.Exit(0 if passed_all else 1)


async def _play(scenario: Scenario, settings: SwitchSettings, show: Callable[[StepReport], None]) -> list[StepReport]:
    async with rehearsing(scenario, settings) as stage:
        return await Player(scenario, stage, tell=show).play()


def _show_nothing(_: StepReport) -> None:
    """Only the result is shown."""


def _all_of_config() -> Sequence[Path]:
    folder = Settings().resolved_config_dir() / "scenarios"
    found = sorted(folder.glob("*.yaml"))[:SCENARIOS_MAX]
    if not found:
        raise CommandError(f"There are no scenarios in {folder}: name a file.")
    return found


@contextmanager
def _databases(given: str | None) -> Iterator[Iterator[str]]:
    """DSNs, a fresh database for each scenario, or the one that was given."""
    if given is not None:
        yield _again_and_again(given)
        return
    console.err().print("Starting a PostgreSQL for the scenarios ...")
    with scratch_server() as server:
        migrate(server.create_database(_TEMPLATE))
        yield _fresh(server)


def _again_and_again(dsn: str) -> Iterator[str]:
    while True:
        yield dsn


def _fresh(server: ScratchServer) -> Iterator[str]:
    for number in range(1, SCENARIOS_MAX + 1):
        yield server.create_database(f"rehearsal_{number}", template=_TEMPLATE)


def _show_heading(scenario: Scenario) -> None:
    out = console.out()
    out.print()
    out.print(f"{scenario.name}: {scenario.description}", style="bold")


def _show_step(report: StepReport) -> None:
    out = console.out()
    out.print()
    out.print(f"{report.number}. {report.title}")
    for exchange in report.exchanges:
        show_exchange(exchange)
    for alias, account in report.accounts.items():
        out.print(f"{alias}: {_amounts(account)}")
    for failure in report.failures:
        out.print(f"not as expected: {failure}", style="bold red")


def _show_result(scenario: Scenario, reports: Sequence[StepReport], *, in_full: bool) -> None:
    out = console.out()
    wrong = [report for report in reports if report.failures]
    if wrong and not in_full:
        for report in wrong:
            _show_step(report)
    if in_full:
        out.print()
    out.print(f"{'failed' if wrong else 'passed'}  {scenario.name}: {len(reports)} of {len(scenario.steps)} steps")


def _amounts(account: AccountView) -> str:
    parts = (
        ("balance", account.balance_minor), ("held", account.held_minor), ("available", account.available_minor)
    )  # fmt: skip
    return ", ".join(f"{name} {console.format_minor(amount, account.currency)}" for name, amount in parts)


def _document(scenario: Scenario, reports: Sequence[StepReport], *, passed: bool) -> dict[str, Any]:
    return {
        "name": scenario.name,
        "passed": passed,
        "steps": [
            {
                "number": report.number,
                "title": report.title,
                "exchanges": [as_json_document(exchange) for exchange in report.exchanges],
                "accounts": {alias: account._asdict() for alias, account in report.accounts.items()},
                "failures": report.failures,
            }
            for report in reports
        ],
    }
