"""A headless Chromium for the tests of the pages."""

import os
import shutil

import pytest
from browser_pages import Watched

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


@pytest.fixture(scope="session")
def chromium():
    """The browser; without one the test is skipped, or fails where FGBENCH_REQUIRE_CHROMIUM is set."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        if os.environ.get("FGBENCH_REQUIRE_CHROMIUM"):
            pytest.fail(f"no browser: none of {', '.join(NAMES)} is in PATH")
        pytest.skip("no Chromium in PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def watched(chromium):
    watched = Watched(chromium)
    yield watched
    assert watched.wrong == []
    watched.context.close()
