"""The files of the page, as any client of HTTP gets them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

import make_sample_voiceprints
import voxgender
from serving import running_server
from voxgender.files.models import DEFAULT_MODEL

ASSETS = Path(__file__).resolve().parents[2] / "src" / "voxgender" / "web" / "assets"
PATHS = sorted(str(path.relative_to(ASSETS)) for path in ASSETS.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with running_server(tmp_path_factory.mktemp("page")) as client:
        yield client


def test_each_file_is_handed_out_with_headers_that_forbid_all_but_this_server(client: httpx.Client) -> None:
    for path in ("", *(f"page/{path}" for path in PATHS)):
        answer = client.get(f"/{path}")
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-cache"
        assert "x-correlation-id" in answer.headers


def test_a_file_that_the_browser_has_is_not_sent_again(client: httpx.Client) -> None:
    etag = client.get("/").headers["etag"]
    again = client.get("/", headers={"if-none-match": f'"other", W/{etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert client.get("/", headers={"if-none-match": '"other"'}).status_code == 200


def test_scripts_and_styles_have_their_media_types(client: httpx.Client) -> None:
    types = {
        path: client.get(path).headers["content-type"]
        for path in ("/", "/page/page.js", "/page/page.css", "/page/icon.svg")
    }
    assert types == {
        "/": "text/html; charset=utf-8",
        "/page/page.js": "text/javascript; charset=utf-8",
        "/page/page.css": "text/css; charset=utf-8",
        "/page/icon.svg": "image/svg+xml",
    }


@pytest.mark.parametrize(
    "path", ["/page/", "/page/none.js", "/page/../routes.py", "/page/%2e%2e/routes.py", "/page/vendor"]
)
def test_nothing_else_is_there(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["type"] == "resource.not-found"


def test_the_page_is_only_read(client: httpx.Client) -> None:
    assert client.head("/").status_code == 200
    for path in ("/", "/page/page.js"):
        refused = client.post(path)
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
        assert refused.json()["type"] == "method.invalid"


def test_the_page_is_no_part_of_the_documented_api(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert [path for path in paths if not path.startswith(("/api/", "/livez", "/readyz", "/metrics"))] == []


def test_the_files_name_no_other_host() -> None:
    for path in PATHS:
        if path.endswith((".html", ".js", ".css")) and not path.startswith("vendor/"):
            text = (ASSETS / path).read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            assert re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", text) == [], path


def test_the_files_hold_no_inline_script_or_style() -> None:
    text = (ASSETS / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", text) == []


def test_the_vendored_file_is_the_one_that_its_readme_names() -> None:
    told = re.findall(r"`([0-9a-f]{64})`", (ASSETS / "vendor" / "README.md").read_text(encoding="utf-8"))
    assert told == [hashlib.sha256((ASSETS / "vendor" / "write-excel-file.min.js").read_bytes()).hexdigest()]


def test_the_samples_are_what_their_tool_makes() -> None:
    for path in sorted((ASSETS / "samples").iterdir()):
        made = voxgender.decode_voiceprint(make_sample_voiceprints.voiceprint(path.stem))
        kept = voxgender.decode_voiceprint(path.read_bytes())
        assert kept.model == DEFAULT_MODEL
        assert kept.speech_s == made.speech_s
        # Another processor may round otherwise.
        assert np.abs(made.vector - kept.vector).max() < 0.02
