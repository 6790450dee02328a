"""Every scenario that ships, played by real services on a real database; and that a wrong one is told.

A scenario file is the test: what it expects of answers and ledger is what is asserted here. Beside it the books must
balance afterwards, and no card number may lie anywhere in them or in the logs.
"""

import asyncio
from pathlib import Path

import psycopg
import pytest

from postrail.adapters.postgres.verify import verify
from postrail.domain.card import find_clear_pans
from postrail.settings import SwitchSettings
from switch.cardholder.player import Player, StepReport
from switch.cardholder.scenarios import Scenario, load_scenario
from switch.rehearsal import rehearsing

SCENARIOS = sorted((Path(__file__).parents[4] / "config" / "scenarios").glob("*.yaml"))


def play(scenario: Scenario, dsn: str, folder: Path) -> list[StepReport]:
    """Play one, bounded in time."""

    async def bounded() -> list[StepReport]:
        async with asyncio.timeout(60):
            async with rehearsing(scenario, SwitchSettings(ledger_dsn=dsn, card_folder=folder)) as stage:
                return await Player(scenario, stage).play()

    return asyncio.run(bounded())


def texts_of(dsn: str) -> str:
    """All that banks, networks and ledger have written down."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname IN ('bank', 'network', 'ledger')"
        ).fetchall()
        rows = [connection.execute(f"SELECT t::text FROM {table} AS t").fetchall() for (table,) in tables]  # type: ignore[call-overload]
    return "\n".join(text for table in rows for (text,) in table)


def test_there_are_scenarios() -> None:
    """An empty folder would pass every test below."""
    assert len(SCENARIOS) >= 15


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_comes_out_as_it_says(
    path: Path, application_dsn: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each step as expected; then the books balance, and neither they nor the logs hold a card number.

    Services and pipeline work with the rights of the application's role, and no others.
    """
    scenario = load_scenario(path)
    reports = play(scenario, application_dsn, tmp_path)
    assert [(report.title, report.failures) for report in reports if report.failures] == []
    assert len(reports) == len(scenario.steps)
    assert verify(application_dsn).differences == ()
    assert list(find_clear_pans(texts_of(application_dsn))) == []
    logged = capfd.readouterr()
    assert list(find_clear_pans(logged.out + logged.err)) == []


def test_what_is_not_as_expected_is_told_and_ends_the_scenario(postgres_dsn: str, tmp_path: Path) -> None:
    """Wrong answers and a wrong ledger are failures, each at its step, with what was found."""
    wrong_answer = Scenario.model_validate(
        {
            "name": "wrong-answer",
            "description": "The amount is more than there is.",
            "cards": {"card": {"balance": "1.00"}},
            "steps": [
                {
                    "send": "purchase",
                    "card": "card",
                    "amount": "2.00 GBP",
                    "expect": {"mti": "1110", 39: "000", 38: "present"},
                },
                {"records": {"approved": 1}},
            ],
        }
    )
    [report] = play(wrong_answer, postgres_dsn, tmp_path)
    assert report.failures == ["element 39: 116, expected 000", "element 38: absent, expected present"]


def test_a_ledger_that_does_not_come_true_is_told(
    postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait for the books is bounded, and what they say instead is in the report."""
    monkeypatch.setattr("switch.cardholder.player.COMES_TRUE_SECONDS", 0.2)
    scenario = Scenario.model_validate(
        {
            "name": "wrong-ledger",
            "description": "Nobody has paid.",
            "cards": {"card": {"balance": "1.00"}},
            "steps": [{"ledger": {"card": {"held": "0.50"}}}],
        }
    )
    [report] = play(scenario, postgres_dsn, tmp_path)
    assert report.failures == ["card: held is 0.00, expected 0.50"]
