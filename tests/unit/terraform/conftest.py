"""The graph that Terraform makes, in each way in which stages get their events."""

import pytest
from tests.builders.planned_graph import PlannedGraph, planned_graph


@pytest.fixture(scope="session")
def real_account() -> PlannedGraph:
    """Everything that a real account gets, stages behind queues."""
    return planned_graph("near_realtime")


@pytest.fixture(scope="session")
def realtime() -> PlannedGraph:
    """The same with every stage invoked at once where that is allowed."""
    return planned_graph("realtime")
