"""The site that ``make docs`` builds: whole, strict, and readable without any other host."""

from __future__ import annotations

import doctest
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urldefrag

import pytest

from docs.pages import ROOT
from docs_site import markdown, settings_sections
from serving import running_server
from voxgender.app.settings import ENV_PREFIX, Settings
from voxgender.cli import COMMANDS
from voxgender.rest.errors import TABLE
from voxgender.rpc import errors as rpc

BUILD_S = 180

pytestmark = pytest.mark.timeout(600)  # the first test builds the site
LOADING_TAGS = {"script", "img", "iframe", "source", "video", "audio", "embed", "object", "use", "image"}
# What else in a link's ``rel`` makes a browser go there by itself.
LOADING_RELATIONS = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "preconnect", "dns-prefetch"}
_CALLS = r"(?:fetch|import|importScripts|Worker|EventSource|WebSocket|sendBeacon|\.open|\.src\s*=)\W{0,3}([\w./:-]+)"
LOADING_TEXTS = {"*.css": r"(?:url\(|@import)\s*['\"]?([^'\")\s;]+)", "*.js": _CALLS, "*.html": _CALLS}
OTHER_HOST = re.compile(r"(https?:)?//", re.IGNORECASE)


class Page(HTMLParser):
    """A page of the site: where it leads, what it loads, and the names of its places."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.sources: list[str] = []
        self.ids: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        self.ids.add(told.get("id", ""))
        self.links += [told[name] for name in {"a": ("href",), "form": ("action",)}.get(tag, ()) if name in told]
        self.sources += [told["src"]] if "src" in told else []
        if tag in LOADING_TAGS:
            self.loaded += [told[name] for name in ("src", "href", "data", "srcset", "poster") if name in told]
        if tag == "link" and LOADING_RELATIONS & set(told.get("rel", "").split()):
            self.loaded.append(told["href"])


def build(source: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build a site as ``make docs`` does."""
    command = [sys.executable, "-m", "sphinx", "--builder", "html", "--fail-on-warning", "--keep-going", "--quiet"]
    return subprocess.run(
        [*command, "-d", f"{site}-cache", source, site],
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        # Settings of whoever runs the tests change nothing.
        env=os.environ | {"VOXGENDER_MAX_VOICEPRINTS": "7"},
        check=False,
    )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site") / "site"
    built = build(ROOT / "docs", site)
    assert (built.returncode, built.stderr) == (0, "")
    return site


def test_every_page_is_reached_from_the_first_one_and_no_link_is_broken(site: Path) -> None:
    pages: dict[Path, Page] = {}
    waiting = [(site / "index.html", "", site / "index.html")]
    broken = []
    while waiting:
        path, fragment, origin = waiting.pop()
        if not path.exists():
            broken.append((str(origin.relative_to(site)), str(path)))
        elif path.suffix == ".html":
            if path not in pages:
                pages[path] = Page(path)
                for link in pages[path].links:
                    target, below = urldefrag(link)
                    if not re.match(r"\w+:", target):
                        to = (path.parent / unquote(target)).resolve() if target else path
                        waiting.append((to, unquote(below), path))
            if fragment and fragment not in pages[path].ids:
                broken.append((str(origin.relative_to(site)), f"{path.name}#{fragment}"))
    assert broken == []
    assert set(site.rglob("*.html")) == set(pages)
    written = {page.relative_to(ROOT / "docs").with_suffix(".html") for page in (ROOT / "docs").rglob("*.md")}
    assert written <= {path.relative_to(site) for path in pages}


def test_every_picture_and_script_that_a_page_loads_is_there(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html")}
    files = [(path, unquote(url.partition("?")[0])) for path, page in pages.items() for url in page.sources]
    local = [(path, url) for path, url in files if not re.match(r"\w+:", url)]
    assert any(url.endswith("page-phone.png") for _, url in local)
    assert [(path.name, url) for path, url in local if not (path.parent / url).exists()] == []


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    loaded = {(path.name, url) for path in site.rglob("*.html") for url in Page(path).loaded}
    for pattern, calls in LOADING_TEXTS.items():
        for path in site.rglob(pattern):
            loaded |= {(path.name, url) for url in re.findall(calls, path.read_text("utf-8"))}
    assert any(".css" in url for _, url in loaded)
    assert [one for one in sorted(loaded) if OTHER_HOST.match(one[1])] == []


def test_pages_that_are_opened_as_files_can_be_searched(site: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no Chromium: apt-get install chromium")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=10000", "--dump-dom"]
    page = f"{(site / 'search.html').as_uri()}?q=retry-after"
    shown = subprocess.run([*command, page], capture_output=True, text=True, timeout=BUILD_S, check=True).stdout
    assert "reference/rest-errors.html" in shown.split('id="search-results"')[1]


def test_the_openapi_document_is_the_one_that_a_server_answers(site: Path, tmp_path: Path) -> None:
    with running_server(tmp_path) as client:
        answered = client.get("/openapi.json").json()
    assert json.loads((site / "openapi.json").read_text("utf-8")) == answered


def test_the_references_name_every_setting_command_operation_and_error(site: Path) -> None:
    reference = {path.stem: path.read_text("utf-8") for path in (site / "reference").glob("*.html")}
    for name in Settings.model_fields:
        assert f"{ENV_PREFIX}{name.upper()}" in reference["settings"], name
    for name in COMMANDS:
        assert f"voxgender {name}" in reference["command-line"], name
    for path in json.loads((site / "openapi.json").read_text("utf-8"))["paths"]:
        assert path in reference["rest"], path
    for code in rpc.TABLE:
        assert f">{code}<" in reference["error-codes"], code


@pytest.mark.parametrize("module", [markdown, settings_sections], ids=lambda module: module.__name__)
def test_the_examples_of_what_writes_the_references_hold(module: ModuleType) -> None:
    assert doctest.testmod(module) == doctest.TestResults(failed=0, attempted=1)


def test_a_broken_link_a_broken_anchor_and_a_page_in_no_contents_are_errors(tmp_path: Path) -> None:
    source = tmp_path / "docs"
    source.mkdir()
    conf = (ROOT / "docs/conf.py").read_text("utf-8")
    (source / "conf.py").write_text(conf.replace("Path(__file__).resolve().parents[1]", f"Path({str(ROOT)!r})"))
    (source / "index.md").write_text("# Page\n\n[gone](gone.md) [nowhere](other.md#nowhere)\n")
    (source / "other.md").write_text("# Other\n")
    built = build(source, tmp_path / "site")
    assert built.returncode != 0
    assert "gone.md" in built.stderr
    assert "nowhere" in built.stderr
    assert "other.md: WARNING: document isn't included in any toctree" in built.stderr


def test_the_page_on_errors_names_the_code_of_each_wrong_value() -> None:
    page = (ROOT / "docs/reference/rest-errors.md").read_text("utf-8")
    sources = [path.read_text("utf-8") for path in (ROOT / "src/voxgender").rglob("*.py") if "rpc" not in path.parts]
    code_of_a_value = r'"((?:details|file|idempotency-key|list|value)\.[a-z-]+)"'
    codes = {code for text in sources for code in re.findall(code_of_a_value, text)}
    assert "value.missing" in codes
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []


def test_the_page_on_errors_shows_every_status_of_the_contract() -> None:
    page = (ROOT / "docs/reference/rest-errors.md").read_text("utf-8")
    for status, kind, message in set(TABLE.values()):
        assert f"## {status}: " in page
        if not message.startswith("Rate limit"):
            assert f'"type": "{kind}", "message": "{message}"' in " ".join(page.split()), kind
