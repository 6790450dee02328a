"""docs/security.md names files, tests, keys and exceptions that exist."""

import re
from pathlib import Path

from tests.unit.terraform.test_rights import EVERY_RESOURCE

REPO = Path(__file__).resolve().parents[3]
TEXT = (REPO / "docs" / "security.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text of one section."""
    return TEXT.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXT)
    assert links
    assert [link for link in links if not (REPO / "docs" / link).resolve().exists()] == []


def test_the_keys_are_those_of_the_module() -> None:
    module = (REPO / "terraform" / "modules" / "security" / "main.tf").read_text(encoding="utf-8")
    made = re.findall(r'^    (\w+) += "Postrail: ', module, re.MULTILINE)
    told = re.findall(r"^\| `(\w+)` \|", section("Keys"), re.MULTILINE)
    assert told == made


def test_every_exception_from_named_resources_is_told() -> None:
    """Each service that has one is in the table."""
    told = set(re.findall(r"`(\w+):", section("Least privilege")))
    assert {action.split(":")[0] for action in EVERY_RESOURCE} == told
