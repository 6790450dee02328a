"""The page that says where the switch's behaviour is tested names tests and scenarios that exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "switch-checks.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))
FOLDERS = sorted(set(re.findall(r"^\| `(\w+)/` \| `([\w/]+)/` \|$", PAGE, re.MULTILINE)))
SCENARIOS = sorted(set(re.findall(r"`([\w-]+)\.yaml`", PAGE)))


@cache
def defined_in(path: Path) -> frozenset[str]:
    """The names of the test functions that a file defines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def place_of(name: str) -> Path:
    """The file of a name as the page writes it: its first part stands for a folder."""
    short, _, rest = name.partition("/")
    return ROOT / dict(FOLDERS)[short] / rest


def test_the_page_names_tests_in_every_group() -> None:
    """Nine groups, and a group without a test would be a claim without a proof."""
    groups = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    tables = [group for group in groups if "| tested in |" in group]
    assert len(tables) == 9
    for table in tables:
        rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
        assert rows
        assert all("::" in row for row in rows), table.splitlines()[0]


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[f"{file}::{test}" for file, test in NAMED])
def test_a_test_that_is_named_exists(file: str, test: str) -> None:
    path = place_of(file)
    assert path.is_file(), path
    assert test in defined_in(path)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_that_is_named_exists(name: str) -> None:
    assert (ROOT / "config" / "scenarios" / f"{name}.yaml").is_file()


def test_everything_that_looks_like_a_test_is_checked() -> None:
    """A name that is written in another way would escape."""
    assert PAGE.count("::test_") == len(re.findall(r"`[\w/]+\.py::\w+`", PAGE))
