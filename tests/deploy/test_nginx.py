"""The proxy's file works in a real nginx, in front of a real server; skips where nginx is not installed."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from certificates import self_signed
from deploy_files import DEPLOY
from recordings import recording, voice
from serving import PATH, ServerProcess, voiceprint_text

START_S = 30.0
_HTTP = """
daemon off; master_process off; pid {folder}/pid; error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    include {folder}/voxgender.conf;
}}
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The port of a proxy in front of a server, and its certificate."""
    nginx = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if nginx is None:
        pytest.skip("nginx is not installed: apt-get install nginx")
    folder = tmp_path_factory.mktemp("proxy")
    certificate, key = self_signed(folder)
    server = ServerProcess(folder, grpc="on", extractors=1, **{"grpc-port": 0})
    port = free_port()
    text = (DEPLOY / "nginx.conf").read_text()
    for told, ours in {
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{server.client.base_url.port};",
        "server 127.0.0.1:8080;": f"server {server.rpc_address};",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/voxgender/fullchain.pem": f"{certificate}",
        "/etc/ssl/private/voxgender.pem": f"{key}",
    }.items():
        assert text.count(told) == 1
        text = text.replace(told, ours)
    (folder / "voxgender.conf").write_text(text)
    (folder / "nginx.conf").write_text(_HTTP.format(folder=folder))
    with subprocess.Popen([nginx, "-p", folder, "-c", folder / "nginx.conf"], stderr=subprocess.DEVNULL) as running:
        try:
            wait_for(port)
            yield port, certificate
        finally:
            running.terminate()
            server.stop()


def wait_for(port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError("nginx did not start")


@pytest.fixture
def client(proxy: tuple[int, Path]) -> Iterator[httpx.Client]:
    port, certificate = proxy
    trust = ssl.create_default_context(cafile=str(certificate))
    with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trust, timeout=60, trust_env=False) as client:
        yield client


def test_voiceprints_and_recordings_are_heard_over_tls(client: httpx.Client) -> None:
    answer = client.post(PATH, json={"voiceprints": [voiceprint_text()]})
    assert answer.status_code == 202
    assert client.get(answer.headers["location"]).json()["result"]["voiceprints"]
    answer = client.post("/api/technology/gender-identification", files={"file": recording(voice("male"))})
    assert answer.status_code == 202
    task = client.get(answer.headers["location"], headers={"prefer": "wait=60"}).json()["task"]
    assert task["state"] == "done"


def test_the_page_s_requests_are_known_by_name_and_port_where_a_browser_says_no_more(client: httpx.Client) -> None:
    own = str(client.base_url).rstrip("/")
    told = {"voiceprints": [voiceprint_text()]}
    assert client.post(PATH, json=told, headers={"origin": own}).status_code == 202
    assert client.post(PATH, json=told, headers={"origin": own.rpartition(":")[0]}).status_code == 403


def test_a_body_that_is_too_large_is_refused_by_the_service_itself(client: httpx.Client) -> None:
    answer = client.post(PATH, content=b" " * (129 * 1024**2), headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["type"]


def test_grpc_goes_through_the_same_port(proxy: tuple[int, Path]) -> None:
    port, certificate = proxy
    trust = grpc.ssl_channel_credentials(certificate.read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{port}", trust, [("grpc.enable_http_proxy", 0)]) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_metrics_are_not_told_to_everybody(client: httpx.Client) -> None:
    assert client.get("/metrics").status_code == 404
    assert "nginx" in client.get("/metrics").text
    for path in (
        "/metrics%0a",
        "/metrics%0d",
        "/metrics%00",
        "/metrics%20",
        "/metrics/",
        "/metrics?",
        "/metrics;",
        "//metrics",
        "/.//metrics",
        "/%6detrics",
        "/x/..%2fmetrics",
        "/metrics%23",
        "/metrics%3f",
    ):
        answer = client.get(httpx.URL(client.base_url, raw_path=path.encode()))
        assert answer.status_code in (400, 404), path
        assert "voxgender_" not in answer.text
