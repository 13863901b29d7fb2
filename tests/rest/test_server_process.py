"""``voxgender serve`` as a process: full requests, crashes, restarts, memory."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from serving import PATH, ServerProcess, voiceprint_text, wait_until_ready

GOOD = voiceprint_text()


Start = Callable[..., ServerProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers on one store, one after the other; none outlives the test."""
    servers: list[ServerProcess] = []

    def start(**flags: object) -> ServerProcess:
        servers.append(ServerProcess(tmp_path, **flags))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def server(start: Start) -> ServerProcess:
    return start()


def body_of(count: int) -> bytes:
    return json.dumps({"voiceprints": [GOOD] * count}).encode()


def post(client: httpx.Client, body: bytes) -> httpx.Response:
    return client.post(PATH, content=body, headers={"content-type": "application/json"})


def resident_bytes(server: ServerProcess, field: str) -> int:
    """VmRSS (now) or VmHWM (peak) of the server."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def test_50_000_voiceprints_are_accepted_and_answered_in_full_and_one_more_is_422(server: ServerProcess) -> None:
    accepted = post(server.client, body_of(50_000))
    assert accepted.status_code == 202
    results = server.client.get(accepted.headers["location"]).json()["result"]["voiceprints"]
    assert len(results) == 50_000
    assert all(result == results[0] for result in results)
    refused = post(server.client, body_of(50_001))
    assert refused.status_code == 422
    (detail,) = refused.json()["detail"]
    assert detail["type"] == "list.too-long"
    assert detail["context"] == {"items": 50_001, "max_items": 50_000}


def test_every_202_that_a_client_has_seen_is_found_after_a_kill_with_its_result(start: Start) -> None:
    server = start()
    answers: dict[str, dict[str, object]] = {}

    def submit(seed: int) -> None:
        body = json.dumps({"voiceprints": [voiceprint_text(seed, speech_s=1 + seed)]}).encode()
        with contextlib.suppress(httpx.TransportError):
            answer = post(server.client, body)
            answers[answer.headers["location"]] = {"seed": seed, "status": answer.status_code}
        if seed == 150:
            server.process.kill()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(submit, range(200)))
    server.kill()
    assert len(answers) >= 100
    again = start()
    for location, told in answers.items():
        assert told["status"] == 202
        answer = again.client.get(location)
        assert answer.status_code == 200
        (result,) = answer.json()["result"]["voiceprints"]
        assert result["speech_length"] == 1 + told["seed"]  # type: ignore[operator]


def test_a_task_says_the_same_whenever_it_is_asked_also_after_a_restart_with_other_settings(start: Start) -> None:
    server = start()
    asked = ["", "?min_probability=0.999999", "?male_prior=0.001&min_probability=0.75"]
    locations = [server.client.post(PATH + query, json={"voiceprints": [GOOD]}).headers["location"] for query in asked]
    before = [server.client.get(location).content for location in locations]
    assert len({answer.partition(b'"result"')[2] for answer in before}) == len(asked)
    server.kill()
    again = start(**{"min-probability": 0.98, "male-prior": 0.3})
    assert [again.client.get(location).content for location in locations] == before


def test_what_the_licence_has_used_survives_a_kill(start: Start, tmp_path: Path) -> None:
    licence = tmp_path / "licence.json"
    capacity = {"period": "total", "voiceprints": 10}
    licence.write_text(json.dumps({"licensee": "A", "valid_until": "2999-01-01T00:00:00Z", "capacity": capacity}))
    server = start(**{"licence-file": licence})
    assert post(server.client, body_of(9)).status_code == 202
    server.kill()
    again = start(**{"licence-file": licence})
    assert post(again.client, body_of(2)).status_code == 403
    assert post(again.client, body_of(1)).status_code == 202


def test_a_terminated_server_finishes_the_request_under_way_and_exits_with_0(start: Start) -> None:
    server = start()
    body = body_of(20_000)
    with socket.create_connection((server.client.base_url.host, server.client.base_url.port or 0), timeout=30) as raw:
        head = (
            f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        raw.sendall(head.encode() + body[:-1])
        server.process.terminate()
        raw.sendall(body[-1:])
        answer = http.client.HTTPResponse(raw)
        answer.begin()
        assert answer.status == 202
    assert server.process.wait(30) == 0
    server.client.close()


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_body_over_the_limit_is_refused_without_being_held_in_memory(start: Start, declared: bool) -> None:
    server = start(**{"max-body-bytes": 1_000_000})
    before = resident_bytes(server, "VmHWM")
    size = 200_000_000
    answer = server.client.post(
        PATH,
        content=(b" " * 1_000_000 for _ in range(size // 1_000_000)),
        headers={"content-type": "application/json"} | ({"content-length": str(size)} if declared else {}),
    )
    assert answer.status_code == 413
    assert resident_bytes(server, "VmHWM") - before < 20_000_000


def test_neither_a_voiceprint_nor_a_score_is_ever_logged(start: Start) -> None:
    server = start(**{"log-level": "debug"})
    accepted = post(server.client, body_of(3))
    post(server.client, body_of(3).replace(b"]", b', "%s*"]' % GOOD.encode()))
    server.client.get(accepted.headers["location"])
    log = server.log_path.read_text()
    assert accepted.json()["task"]["task_id"] in log
    assert accepted.headers["x-correlation-id"] in log
    assert accepted.headers["x-request-id"] in log
    assert GOOD[:40] not in log
    assert GOOD[100:140] not in log
    assert "score" not in log
    assert "llr" not in log


def test_only_results_and_never_voiceprints_reach_the_disk(server: ServerProcess, tmp_path: Path) -> None:
    assert post(server.client, body_of(100)).status_code == 202
    server.stop()
    from voxgender.core.base64 import decode_base64

    vector = decode_base64(GOOD)[97:130]
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        content = path.read_bytes()
        assert vector not in content
        assert GOOD[100:140].encode() not in content


def test_the_documents_name_no_other_host(server: ServerProcess) -> None:
    for path in ("/docs", "/redoc"):
        page = server.client.get(path)
        assert page.status_code == 200
        references = [part.split('"')[0] for part in page.text.replace("'", '"').split('="')[1:]]
        assert [reference for reference in references if "//" in reference] == []
        for script in (reference for reference in references if reference.endswith((".js", ".css"))):
            assert server.client.get(script).status_code == 200
    document = server.client.get("/openapi.json").json()
    assert set(document["paths"]) >= {PATH, PATH + "/{task_id}", "/api/system/info", "/api/system/status"}
    request = document["components"]["schemas"]["VoiceprintsRequest"]["properties"]["voiceprints"]
    assert (request["minItems"], request["maxItems"]) == (1, 50_000)
    assert "HTTPValidationError" not in document["components"]["schemas"]
    parameters = {one["name"]: one for one in document["paths"][PATH]["post"]["parameters"] if one["in"] == "query"}
    bounds = {
        "male_prior": {"exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "min_probability": {"minimum": 0.5, "exclusiveMaximum": 1},
    }
    assert set(parameters) == set(bounds)
    for name, bound in bounds.items():
        assert not parameters[name]["required"]
        assert parameters[name]["schema"].items() >= {"type": "number", **bound}.items()
    assert set(document["paths"][PATH]["post"]["responses"]) == {
        "202", "400", "403", "413", "422", "429", "500", "507", "default",
    }  # fmt: skip


def test_system_info_tells_version_models_and_limits(server: ServerProcess) -> None:
    told = server.client.get("/api/system/info").json()
    assert told["version"]
    assert told["models"] == ["ge2e-2"]
    assert told["limits"]["max_voiceprints"] == 50_000
    assert server.client.get("/api/system/status").json() == {"status": "ok"}


@pytest.mark.parametrize(
    "flag", ["--port=taken", "--port=many", "--store-url=sqlite:////dev/null/x", "--licence-file=/none"]
)
def test_what_prevents_the_start_is_told_in_one_sentence_that_names_the_setting(
    server: ServerProcess, tmp_path: Path, flag: str
) -> None:
    flag = flag.replace("taken", str(server.client.base_url.port))
    store = f"--store-url=sqlite:///{tmp_path}/other.db"
    command = [sys.executable, "-m", "voxgender", "serve", "--grpc=off", "--port=0", store, flag]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 2
    (sentence,) = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert f"VOXGENDER_{flag[2:].partition('=')[0].upper().replace('-', '_')}" in sentence


def raw_connection(server: ServerProcess) -> socket.socket:
    return socket.create_connection((server.client.base_url.host, server.client.base_url.port or 0), timeout=30)


def read_to_the_end(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(65_536):
            received += chunk
    return bytes(received)


@pytest.mark.parametrize("kind", ["header", "request line", "many headers"])
def test_a_request_head_that_does_not_end_is_refused_with_the_contract_s_body(server: ServerProcess, kind: str) -> None:
    begin, more = {
        "header": (b"GET / HTTP/1.1\r\nx: ", b"a" * 65_536),
        "request line": (b"GET /", b"a" * 65_536),
        "many headers": (b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 10_000),
    }[kind]
    with raw_connection(server) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(begin)
            for _ in range(20):
                connection.sendall(more)
        # A client that sends on may lose the answer with the connection; what counts is that it is closed.
        answer = read_to_the_end(connection)
    assert answer == b"" or (answer.startswith(b"HTTP/1.1 400 ") and b'"request.invalid"' in answer)
    assert resident_bytes(server, "VmHWM") < 200_000_000


def test_a_refused_upload_without_an_end_is_ended_by_the_server(server: ServerProcess) -> None:
    head = (
        f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        "content-length: 100000000000\r\n\r\n"
    )
    sent = 0
    with raw_connection(server) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(head.encode())
        while sent < 10**10:
            connection.sendall(bytes(1_000_000))
            sent += 1_000_000
    assert sent < 2 * 10**9


def test_a_client_that_waits_for_a_word_gets_the_refusal_at_once_and_the_connection_is_closed(
    server: ServerProcess,
) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    with raw_connection(server) as connection:
        connection.sendall(f"{head}expect: 100-continue\r\ncontent-length: 1000000000\r\n\r\n".encode())
        answer = read_to_the_end(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer
    assert b"100 Continue" not in answer


def test_a_connection_goes_on_after_a_refusal_whose_body_was_read(server: ServerProcess) -> None:
    with raw_connection(server) as connection:
        head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\n"
        connection.sendall(head.encode() + b"hello")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        answer.read()
        assert answer.status == 400
        connection.sendall(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
        again = http.client.HTTPResponse(connection)
        again.begin()
        assert again.status == 200


def test_a_body_of_millions_of_other_things_is_refused_without_building_them(server: ServerProcess) -> None:
    before = resident_bytes(server, "VmHWM")
    body = b'{"x": [' + b"[]," * 10_000_000 + b'1], "voiceprints": [' + b"[]," * 10_000_000 + b"1]}"
    answer = post(server.client, body)
    assert answer.status_code == 413
    assert "besides the voiceprints" in answer.json()["detail"][0]["message"].lower()
    assert resident_bytes(server, "VmHWM") - before < 50_000_000


def test_what_a_client_puts_into_the_path_is_not_logged(server: ServerProcess) -> None:
    assert server.client.get(f"{PATH}/{GOOD.replace('/', '_')}").status_code == 400
    assert server.client.get(f"/elsewhere/{GOOD}").status_code == 404
    assert GOOD[:40] not in server.log_path.read_text()


def test_a_log_that_cannot_be_written_does_not_fail_a_request(start: Start, tmp_path: Path) -> None:
    server = start()
    server.stop()
    command = [sys.executable, "-m", "voxgender", "serve", "--grpc=off", f"--store-url=sqlite:///{tmp_path}/tasks.db"]
    port = server.client.base_url.port
    with Path("/dev/full").open("w") as full:
        process = subprocess.Popen([*command, f"--port={port}"], stderr=full)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            wait_until_ready(client)
            answer = post(client, body_of(1))
            assert answer.status_code == 202
            assert client.get(answer.headers["location"]).status_code == 200
    finally:
        process.terminate()
        assert process.wait(30) == 0
