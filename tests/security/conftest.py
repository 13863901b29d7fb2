"""What several tests of the service's safety need."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright import sync_api as playwright


@pytest.fixture(scope="session")
def browser() -> Iterator[playwright.Browser]:
    """A headless Chromium."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("the Debian package chromium is not installed")
    with playwright.sync_playwright() as driver:
        # Tests may run as root, where Chromium refuses its sandbox.
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()
