"""One browser for all tests of the page, a page of its own for each test, and what no page may do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright import sync_api as playwright

from serving import ServerProcess

MAX_FILE_BYTES = 2_000_000
# A slow machine with other tests on it is no failure.
playwright.expect.set_options(timeout=60_000)

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox",  # tests may run as root, where Chromium refuses its sandbox
    "--disable-dev-shm-usage",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--mute-audio",
)


@pytest.fixture(scope="session")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the browser hears instead of a microphone: a made man, over and over."""
    from recordings import recording, voice

    path = tmp_path_factory.mktemp("microphone") / "man.wav"
    path.write_bytes(recording(voice("male", 6.0)))
    return path


@pytest.fixture(scope="session")
def browser(microphone: Path) -> Iterator[playwright.Browser]:
    """A headless Chromium."""
    if CHROMIUM is None:
        pytest.skip("the Debian package chromium is not installed")
    with playwright.sync_playwright() as driver:
        flags = [*FLAGS, f"--use-file-for-fake-audio-capture={microphone}"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service that all tests share which need no other; gives a client of its API."""
    flags = {"extractors": 1, "max-file-bytes": MAX_FILE_BYTES}
    process = ServerProcess(tmp_path_factory.mktemp("service"), **flags)
    yield process.client
    process.stop()


class Watch:
    """What pages have asked for and complained about."""

    def __init__(self) -> None:
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        self.expected: tuple[str, ...] = ()

    def follow(self, page: playwright.Page) -> None:
        page.on("request", lambda request: self._asked(request.url))
        page.on(
            "console", lambda message: message.type in ("error", "warning") and self.complaints.append(message.text)
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _asked(self, url: str) -> None:
        if urlsplit(url).scheme not in ("blob", "data"):
            self.hosts.add(urlsplit(url).netloc)


Open = Callable[..., "playwright.Page"]


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def open_page(browser: playwright.Browser, server: httpx.Client, watch: Watch) -> Iterator[Open]:
    """Opens the page in a context of its own.

    At the end no request has gone to another host, and no script, policy or file went wrong.
    """
    contexts: list[playwright.BrowserContext] = []
    origins: set[str] = set()

    def open_page(client: httpx.Client = server, **options: object) -> playwright.Page:
        origin = str(client.base_url).rstrip("/")
        origins.add(urlsplit(origin).netloc)
        context = browser.new_context(base_url=origin, accept_downloads=True, **options)  # type: ignore[arg-type]
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        watch.follow(page)
        page.goto("/")
        page.get_by_role("heading", level=1).wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert watch.hosts <= origins
    unexpected = [told for told in watch.complaints if not any(part in told for part in watch.expected)]
    assert unexpected == []


@pytest.fixture
def screenshots() -> Path | None:
    """The folder for pictures, where this run is asked for them: ``make screenshots``."""
    folder = os.environ.get("SCREENSHOTS")
    return Path(folder) if folder else None
