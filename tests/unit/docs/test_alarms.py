"""docs/alarms.md against what raises alarms: every alarm has its section, and its commands exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from postrail.cli.main import app
from postrail.figures.catalogue import Catalogue, read_catalogue

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "alarms.md"
OVER_ALL = "payments-at-risk"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue(ROOT / "config" / "figures.yaml")


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def _sections(page: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _alarms_of_modules() -> Iterator[tuple[str, str]]:
    """Module and text of every alarm that Terraform code raises itself."""
    for path in sorted((ROOT / "terraform").rglob("*.tf")):
        text = path.read_text(encoding="utf-8")
        for block in re.split(r"^(?=resource |output |module |locals )", text, flags=re.MULTILINE):
            if re.match(r'resource "aws_cloudwatch_(metric|composite)_alarm"', block):
                yield path.relative_to(ROOT).as_posix(), block


def test_every_alarm_of_the_list_has_a_section(catalogue: Catalogue, page: str) -> None:
    """Whoever is woken finds what to do under the name in the alarm."""
    assert {alarm.runbook for alarm in catalogue.alarms} - set(_sections(page)) == set()


def test_every_section_is_of_an_alarm(catalogue: Catalogue, page: str) -> None:
    """No section outlives its alarm."""
    named = {anchor for _, block in _alarms_of_modules() for anchor in re.findall(r"docs/alarms\.md#([a-z-]+)", block)}
    assert set(_sections(page)) == {alarm.runbook for alarm in catalogue.alarms} | named


@pytest.mark.parametrize(
    ("path", "block"), [pytest.param(*alarm, id=f"{number}") for number, alarm in enumerate(_alarms_of_modules())]
)
def test_alarms_of_terraform_follow_the_same_rules(path: str, block: str) -> None:
    """They tell when they begin and end, say what missing data means, and name their section."""
    assert "alarm_actions" in block, path
    assert "ok_actions" in block
    assert "docs/alarms.md#" in block or "each.value.runbook" in block
    assert "treat_missing_data" in block or "composite" in block


def test_sections_say_everything(page: str) -> None:
    """What it says, what is at stake, where to look, what to do, whom to wake."""
    lacking = [
        f"{title}: {word}"
        for title, text in _sections(page).items()
        for word in ("**Says**", "**At stake**", "**Look**", "**Do**", "**Wake**")
        if word not in text
    ]
    assert lacking == []


def test_the_table_names_every_section(page: str) -> None:
    """The overview leads to all of them."""
    overview = page.split("\n## ", 1)[0]
    assert set(re.findall(r"\]\(#([a-z-]+)\)", overview)) == set(_sections(page))


def test_severities_of_the_table_are_the_alarms(catalogue: Catalogue, page: str) -> None:
    """A section whose alarms all have one severity stands in a line of that severity."""
    severities: dict[str, set[str]] = {}
    for alarm in catalogue.alarms:
        severities.setdefault(alarm.runbook, set()).add(alarm.severity)
    for line in page.split("\n## ", 1)[0].splitlines():
        if line.startswith("| [") and OVER_ALL not in line:
            told = set(line.split("|")[2].replace("/", " ").split())
            for anchor in re.findall(r"\(#([a-z-]+)\)", line):
                assert severities.get(anchor, told) <= told, anchor


def test_links_lead_to_sections(page: str) -> None:
    """Also within other pages of the documentation."""
    for target, anchor in re.findall(r"\]\(([a-z-]*\.md)?#([a-z-]+)\)", page):
        text = (PAGE.parent / target).read_text(encoding="utf-8") if target else page
        headings = {
            re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
            for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        }
        assert anchor in headings, f"{target}#{anchor}"


def _commands(page: str) -> list[list[str]]:
    found = re.findall(r"`(postrail [^`]+)`", page) + re.findall(r"^\$ (postrail .+?)(?: +#.*)?$", page, re.MULTILINE)
    return [shlex.split(re.sub(r"<[^>]+>", "X", command).replace("…", "")) for command in found]


def test_commands_exist(page: str) -> None:
    """Every `postrail` command that people are told to type is one, with its options."""
    commands = _commands(page)
    assert len(commands) > 10
    for words in commands:
        command = typer.main.get_command(app)
        rest = words[1:]
        while rest and not rest[0].startswith("-") and hasattr(command, "get_command"):
            command = command.get_command(typer.Context(command, resilient_parsing=True), rest.pop(0))
            assert command is not None, " ".join(words)
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= options, " ".join(words)
