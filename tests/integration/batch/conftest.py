"""Fixtures of batch tests."""

from pathlib import Path

import pytest
from tests.integration.batch.support import Bank


@pytest.fixture
def bank(postgres_dsn: str, tmp_path: Path) -> Bank:
    """A bank whose accounts are open."""
    return Bank.open(postgres_dsn, tmp_path / "bank")
