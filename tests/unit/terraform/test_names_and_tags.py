"""Whatever Terraform makes says whose it is: by tags of every provider, and by names that begin with the prefix."""

import re
from pathlib import Path

import pytest

TERRAFORM = Path(__file__).resolve().parents[3] / "terraform"
PROVIDER = re.compile(r'^provider "aws" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
ROOTS = [TERRAFORM / "providers.tf", TERRAFORM / "remote_state" / "versions.tf"]


@pytest.mark.parametrize("path", ROOTS, ids=lambda path: path.parent.name)
def test_every_provider_tags_what_it_makes(path: Path) -> None:
    """A provider for another region too: what it makes is found by the same tags, and paid for by the same budget."""
    blocks = PROVIDER.findall(path.read_text())
    assert blocks
    for block in blocks:
        assert "default_tags" in block
        assert {"Application", "Prefix", "ManagedBy"} <= set(re.findall(r"(\w+) = ", block))


def test_modules_bring_no_provider_of_their_own() -> None:
    """It would make untagged things, and a module with one cannot be counted."""
    own = [
        path
        for path in (TERRAFORM / "modules").rglob("*.tf")
        if re.search(r"^provider ", path.read_text(), re.MULTILINE)
    ]
    assert own == []
