"""The machine's own Chromium for page tests; nothing is downloaded."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

# The shell first: the same engine without a browser's own windows, which are pages too and cost as much.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def executable() -> str:
    """Its path. Where there is none the test is skipped (and tests/tally.py fails the run where CI=1)."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on PATH; make browser says how to get it")
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser that knows nothing of the person who runs the tests."""
    # Chromium's sandbox refuses to work for root; the pages are our own, on loopback.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    path = executable()
    with sync_playwright() as playwright:
        # There is no graphics card to ask; pretending one costs as much as everything else a page does.
        arguments += ["--disable-dev-shm-usage", "--disable-gpu", "--disable-gpu-rasterization"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()
