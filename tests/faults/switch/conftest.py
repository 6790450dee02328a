"""Servers of this folder's own: they are killed and frozen."""

from collections.abc import Iterator

import pytest
from tests.faults.switch.stage import Cloud, Postgres


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL that may be killed."""
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    yield server
    server.remove()


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An emulator that may be frozen."""
    emulator = Cloud(tmp_path_factory.mktemp("cloud"))
    yield emulator
    emulator.remove()
