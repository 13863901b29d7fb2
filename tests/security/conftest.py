"""What several tests of the service's safety need."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright import sync_api as playwright

from operation.workload import ended
from recordings import call
from serving import GENDER, PATH, ServerProcess, voiceprint_text


@pytest.fixture
def browser() -> Iterator[playwright.Browser]:
    """A headless Chromium, gone after its test: as long as its driver is there, no other test can use asyncio."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("the Debian package chromium is not installed")
    with playwright.sync_playwright() as driver:
        # Tests may run as root, where Chromium refuses its sandbox.
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A service of this machine's own programs, with small limits, that logs all that it can; it has worked already."""
    limits = {"max-body-bytes": 4 * 1024**2, "max-file-bytes": 4 * 1024**2, "max-audio-s": 60}
    flags = {"log-level": "debug", "extractors": 1, "grpc": "on", "grpc-port": 0, **limits}
    server = ServerProcess(tmp_path_factory.mktemp("open"), **flags)
    assert server.client.post(PATH, json={"voiceprints": [voiceprint_text(1)]}).status_code == 202
    assert ended(server.client, server.client.post(GENDER, files={"file": call()}))["state"] == "done"
    yield server
    server.stop()
