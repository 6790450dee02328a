"""`postrail capacity`: what it prints, for people and for programs, and what the pages quote of it."""

import json
import re
from pathlib import Path

import pytest

from postrail.cli.main import run

ROOT = Path(__file__).resolve().parents[3]
QUOTED = re.compile(r"<!-- (postrail capacity[^>]*?) -->\n(?:```\n)?(.*?)\n(?:```\n)?<!-- end -->", re.DOTALL)
PAGES = ("README.md", "docs/capacity.md")


def quotations() -> list[tuple[str, str, str]]:
    """Page, command and text of each place where a page quotes the command."""
    found = []
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        found += [(page, command, quoted) for command, quoted in QUOTED.findall(text)]
    return found


def shown(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(arguments) == 0
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials, no region, no graph."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "POSTRAIL_OUTPUTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("POSTRAIL_LOCAL_DIR", str(tmp_path))


def test_people_get_quotas_and_costs(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(["capacity", "--rate", "1111", "--region", "eu-west-2"], capsys)
    assert "L-5540C5E3" in text
    assert "raise" in text
    for way in ("configured", "realtime", "near_realtime", "batch", "file"):
        assert way in text
    assert "assumed" in text


def test_programs_get_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(shown(["capacity", "--json", "--region", "us-east-1", "--rate", "50"], capsys))
    assert document["rate"] == 50
    assert document["region"] == "us-east-1"
    assert {"configured", "realtime", "near_realtime", "batch", "file"} == set(document["usd_per_million"])
    assert all(quota["raise"] == (quota["ask_for"] is not None) for quota in document["quotas"])
    assert document["what_if"][0]["name"] == "as configured"


@pytest.mark.parametrize("delivery", ["realtime", "near_realtime", "batch"])
def test_quotas_are_of_the_delivery_that_was_asked_for(capsys: pytest.CaptureFixture[str], delivery: str) -> None:
    document = json.loads(shown(["capacity", "--json", "--delivery", delivery], capsys))
    assert document["delivery"] == delivery
    ids = {quota["id"] for quota in document["quotas"]}
    assert ("express_starts" in ids) == (delivery == "realtime")


def test_an_unknown_region_is_told_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["capacity", "--region", "eu-nowhere-1"]) == 1
    assert "use one of eu-central-1, eu-west-2, us-east-1" in capsys.readouterr().err


@pytest.mark.parametrize("rate", ["0", "-5", "many"])
def test_a_rate_that_makes_no_sense_is_refused(capsys: pytest.CaptureFixture[str], rate: str) -> None:
    assert run(["capacity", "--rate", rate]) == 2
    assert "--rate" in capsys.readouterr().err


def test_measuring_gives_the_part_of_the_data_file(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(["capacity", "measure", "--count", "100"], capsys)
    assert text.startswith("measured:\n")
    for part in ("event_bytes", "per_payment", "item_bytes", "cpu_us", "log_bytes"):
        assert f"  {part}:" in text


def test_a_page_quotes_the_command() -> None:
    assert len(quotations()) >= 3


@pytest.mark.parametrize(
    ("page", "command", "quoted"), quotations(), ids=[f"{page}: {command}" for page, command, _ in quotations()]
)
def test_what_a_page_quotes_is_what_the_command_prints(
    capsys: pytest.CaptureFixture[str], page: str, command: str, quoted: str
) -> None:
    printed = shown(command.split()[1:], capsys)
    assert quoted.strip() == "\n".join(line.rstrip() for line in printed.splitlines()).strip(), page
