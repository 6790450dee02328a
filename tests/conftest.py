"""How tests are shared out to processes: `make test` runs several at a time (pytest-xdist, `--dist loadgroup`).

The tests of a file stay together, so that what they set up once is set up once; end-to-end tests all stay together,
since they share one local cloud.
"""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Name the group of each test, before pytest-xdist looks for it."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        group = "local cloud" if item.get_closest_marker("e2e") else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
