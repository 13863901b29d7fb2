"""Pages of other sites, in the browser of somebody who can reach the service, can start, read and delete nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from playwright import sync_api as playwright

from rest.test_keys import add_keys, bearer
from serving import GENDER, PATH, running_server, voiceprint_text
from voxgender.app.key import new_key

ONE = {"voiceprints": [voiceprint_text(1)]}
NO_TASK = f"{PATH}/00000000-0000-4000-a000-000000000000"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service without keys, as it is started on one's own machine."""
    with running_server(tmp_path_factory.mktemp("open"), extractors=0) as client:
        yield client


def origin_of(client: httpx.Client) -> str:
    return str(client.base_url).rstrip("/")


def kind_of(answer: httpx.Response) -> tuple[str, str]:
    """Type of a refusal and the header that it names."""
    assert answer.status_code == 403, answer.text
    assert answer.json()["type"] == "request.forbidden"
    (detail,) = answer.json()["detail"]
    return detail["type"], detail["location"][1]


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"sec-fetch-site": "cross-site", "origin": "https://other.example"}, "sec-fetch-site"),
        ({"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:3000"}, "sec-fetch-site"),
        ({"origin": "https://other.example"}, "origin"),
        ({"origin": "http://127.0.0.1:3000"}, "origin"),
        ({"origin": "null"}, "origin"),
        ({"origin": "http://[broken"}, "origin"),
    ],
)
def test_a_request_that_a_page_of_another_site_sends_is_refused(
    client: httpx.Client, headers: dict[str, str], named: str
) -> None:
    # What a form, or a script without leave, can send: these bodies need no preflight.
    for body in ({"json": ONE}, {"content": b"{}", "headers": {"content-type": "text/plain"}}):
        told = {**headers, **body.pop("headers", {})}
        assert kind_of(client.post(PATH, headers=told, **body)) == ("request.cross-site", named)
    assert kind_of(client.post(GENDER, headers=headers, files={"file": b"RIFF"})) == ("request.cross-site", named)
    assert kind_of(client.delete(NO_TASK, headers=headers)) == ("request.cross-site", named)


def test_a_key_does_not_make_another_site_s_request_good(tmp_path: Path) -> None:
    with running_server(tmp_path, extractors=0, keys="on") as client:
        assert kind_of(client.post(PATH, json=ONE, headers={"origin": "https://other.example"})) == (
            "request.cross-site",
            "origin",
        )
        # With keys other names are good: a proxy may stand in front.
        named = client.post(PATH, json=ONE, headers={"host": "voices.example"})
        assert named.json()["detail"][0]["type"] == "key.missing"


def test_a_key_in_a_url_opens_nothing(tmp_path: Path) -> None:
    key, text = new_key("one", 0.0)
    add_keys(tmp_path, key)
    with running_server(tmp_path, extractors=0, keys="on") as client:
        assert client.post(PATH, json=ONE, headers=bearer(text)).status_code == 202
        for name in ("key", "api_key", "x-api-key", "access_token", "authorization"):
            for value in (text, f"Bearer {text}"):
                refused = client.post(PATH, json=ONE, params={name: value})
                assert refused.json()["detail"][0]["type"] == "key.missing"
                assert text not in refused.text


def test_programs_the_own_page_and_pages_behind_a_proxy_are_let_in(client: httpx.Client) -> None:
    own = origin_of(client)
    for headers in (
        {},
        {"origin": own},
        {"sec-fetch-site": "same-origin", "origin": own},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "origin": "https://voices.example"},
        {"origin": "https://voices.example", "x-forwarded-host": "voices.example"},
        {"origin": "https://voices.example", "x-forwarded-host": "voices.example, inner.example:8000"},
    ):
        assert client.post(PATH, json=ONE, headers=headers).status_code == 202


def test_a_link_on_another_site_opens_the_page(client: httpx.Client) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:8000", True),
        ("localhost:8000", True),
        ("LOCALHOST.", True),
        ("voxgender.localhost", True),
        ("[::1]:8000", True),
        ("other.example:8000", False),
        ("localhost.other.example", False),
        ("127.0.0.1.other.example", False),
        ("192.168.1.7:8000", False),
        ("[::1", False),
        ("127.0.0.1@other.example", False),
    ],
)
def test_a_service_of_this_machine_answers_to_no_name_that_another_site_could_point_here(
    client: httpx.Client, host: str, is_own: bool
) -> None:
    for method, path in (("GET", "/"), ("GET", "/api/system/info"), ("GET", "/metrics"), ("POST", PATH)):
        answer = client.request(method, path, headers={"host": host}, json=ONE)
        if is_own:
            assert answer.status_code in (200, 202)
        else:
            assert kind_of(answer) == ("request.cross-site", "host")


def test_a_client_of_the_first_http_that_names_no_host_is_answered(client: httpx.Client) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=60) as connection:
        connection.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        assert connection.recv(12).endswith(b"200")


def test_no_answer_allows_another_origin_anything(client: httpx.Client) -> None:
    asked = {"origin": "https://other.example", "access-control-request-method": "POST"}
    for path in (PATH, GENDER, NO_TASK, "/", "/api/system/info", "/docs"):
        preflight = client.options(path, headers=asked)
        assert preflight.status_code == 405
        answers = (preflight, client.get(path, headers=asked), client.post(path, headers=asked))
        for answer in answers:
            assert [name for name in answer.headers if name.startswith("access-control-")] == []
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>another site</title>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def another_site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_real_browser_s_page_of_another_site_starts_no_task_and_reads_no_answer(
    client: httpx.Client, another_site: str, browser: playwright.Browser
) -> None:
    script = """async ([service, path, body]) => {
        const told = [];
        for (const mode of ['cors', 'no-cors']) {
            for (const [where, options] of [
                [path, {method: 'POST', body, mode}],
                ['/api/system/info', {mode}],
            ]) {
                try { told.push((await fetch(service + where, options)).type); } catch { told.push('error'); }
            }
        }
        return told;
    }"""
    before = stored(client)
    page = browser.new_page()
    page.goto(another_site, timeout=120_000)
    told = page.evaluate(script, [origin_of(client), PATH, f'{{"voiceprints": ["{voiceprint_text(1)}"]}}'])
    page.close()
    assert set(told) <= {"error", "opaque"}
    assert stored(client) == before
    assert client.post(PATH, json=ONE).status_code == 202
    assert stored(client) == before + 1


def stored(client: httpx.Client) -> int:
    """How many tasks the store has."""
    (line,) = [line for line in client.get("/metrics").text.splitlines() if line.startswith("voxgender_store_tasks ")]
    return int(float(line.split()[-1]))
