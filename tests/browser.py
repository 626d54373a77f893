"""Debian's Chromium under playwright, for the tests that look at pages."""

import os
import shutil
from pathlib import Path

import pytest

SHOTS = Path(__file__).resolve().parent.parent / "build" / "screenshots"
QUIET = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
    "--disable-component-update",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def chromium():
    path = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if not path:
        if os.environ.get("LCT_LAB_BROWSER") == "required":
            pytest.fail("LCT_LAB_BROWSER=required, and there is no chromium")
        pytest.skip("there is no chromium on this machine: the pages are not looked at")
    from playwright.sync_api import sync_playwright

    SHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()
