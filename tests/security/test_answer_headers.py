"""What every answer tells a browser: run nothing that came from elsewhere, keep nothing, show it to nobody."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import httpx
import pytest
from playwright import sync_api as playwright

from recordings import call
from serving import GENDER, PATH, running_server, voiceprint_text

PAGES = ("/", "/docs", "/redoc")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with running_server(tmp_path_factory.mktemp("headers"), extractors=0) as client:
        yield client


def answers(client: httpx.Client) -> Iterator[httpx.Response]:
    """One of each kind: results, states, refusals, documents, probes."""
    started = client.post(PATH, json={"voiceprints": [voiceprint_text(1)] * 200})
    yield started
    place = started.headers["location"]
    result = client.get(place)
    yield result
    yield client.get(place, headers={"accept": "application/vnd.apache.arrow.stream"})
    yield client.get(place, headers={"accept-encoding": "gzip"})
    yield client.get(place, headers={"if-none-match": result.headers["etag"]})
    waiting = client.post(GENDER, files={"file": call()})
    yield client.get(waiting.headers["location"])
    yield client.delete(waiting.headers["location"])
    yield client.get(waiting.headers["location"])
    yield client.post(PATH, content=b"{")
    yield client.post(PATH, json={"voiceprints": ["none"]})
    yield client.put(PATH)
    yield client.post(PATH, json={}, headers={"origin": "https://other.example"})
    for path in ("/nowhere", "/api/system/info", "/livez", "/readyz", "/metrics", "/openapi.json", *PAGES):
        yield client.get(path)


def test_each_answer_forbids_guessing_its_type_other_sites_and_caches(client: httpx.Client) -> None:
    statuses = set()
    for answer in answers(client):
        statuses.add(answer.status_code)
        assert answer.headers["x-content-type-options"] == "nosniff", answer.url
        assert answer.headers["cross-origin-resource-policy"] == "same-origin", answer.url
        # The page's own files hold nothing of anybody, and are asked for again each time.
        kept = "no-cache" if answer.url.path == "/" else "no-store"
        assert answer.headers.get_list("cache-control") == [kept], answer.url
        assert "server" not in answer.headers
    assert statuses == {200, 202, 204, 304, 400, 403, 404, 405, 422}


def test_what_is_no_http_is_refused_with_the_same_headers(client: httpx.Client) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=60) as connection:
        connection.sendall(b"no http\r\n\r\n")
        head = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    assert "\r\nx-content-type-options: nosniff\r\n" in head
    assert "\r\ncache-control: no-store\r\n" in head


@pytest.mark.parametrize("path", PAGES)
def test_a_page_runs_its_own_scripts_alone_and_stands_in_no_other(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(part.split(None, 1) for part in headers["content-security-policy"].split("; "))
    scripts = policy.get("script-src", policy["default-src"]).split()
    assert scripts[0] == "'self'"
    assert all(re.fullmatch(r"'sha256-[\w+/=]{44}'", one) for one in scripts[1:])
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    sources = {one for told in policy.values() for one in told.split()} - {*scripts}
    assert sources <= {"'self'", "'none'", "blob:", "data:", "'unsafe-inline'"}
    assert ("'unsafe-inline'" in sources) == (path != "/")  # of styles, which the documents' libraries write
    assert "unsafe" not in policy.get("script-src", policy["default-src"])
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]


def test_in_a_real_browser_the_documents_work_under_their_policy_and_nothing_comes_from_another_host(
    client: httpx.Client, browser: playwright.Browser
) -> None:
    """The page itself is watched in the same way by all tests of ``tests/web``."""
    own = str(client.base_url).rstrip("/")
    page = browser.new_page()
    page.set_default_timeout(120_000)
    answered: list[str] = []
    page.on("response", lambda answer: answered.append(answer.url))
    for path in ("/docs", "/redoc"):
        page.goto(f"{own}{path}")
        page.get_by_text("likelihood ratio").first.wait_for(state="attached")
        stranger = "Object.assign(document.createElement('script'), {textContent: 'own = 1'})"
        page.evaluate(f"void document.body.append({stranger})")
        assert page.evaluate("typeof own") == "undefined"
    page.close()
    assert len(answered) > 6
    assert [url for url in answered if not url.startswith((f"{own}/", "blob:", "data:"))] == []
