from pathlib import Path

import pytest

from postrail.capacity.data import CapacityData, load_capacity

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def data() -> CapacityData:
    """The data of this checkout."""
    return load_capacity(ROOT / "config")
