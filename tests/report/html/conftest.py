"""Reports for the tests in a browser."""

import pytest
from busy_pages import busy_report, hostile_report


@pytest.fixture(scope="session")
def busy(tmp_path_factory):
    """Folder of the report with content on every page."""
    return busy_report(tmp_path_factory.mktemp("busy"))


@pytest.fixture(scope="session")
def hostile(tmp_path_factory):
    """Folder of the report whose names try to inject scripts."""
    return hostile_report(tmp_path_factory.mktemp("hostile"))
