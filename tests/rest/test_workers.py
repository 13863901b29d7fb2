"""``voxgender serve --workers N``: several processes are one service."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import multiprocessing
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import httpx
import pytest
import structlog

from serving import PATH, START_S, ServerProcess, voiceprint_text, wait_for
from voxgender.app.settings import load_settings
from voxgender.core.errors import VoxgenderError
from voxgender.serving.workers import Workers

LICENSED = 200
RATE = 400
BODIES = [json.dumps({"voiceprints": [voiceprint_text(seed, speech_s=1 + seed)]}).encode() for seed in range(20)]

Clients = Mapping[int, httpx.Client]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Three workers with a licence and a rate limit."""
    folder = tmp_path_factory.mktemp("store")
    capacity = {"period": "total", "voiceprints": LICENSED}
    licence = folder / "licence.json"
    licence.write_text(json.dumps({"licensee": "A", "valid_until": "2999-01-01T00:00:00Z", "capacity": capacity}))
    server = ServerProcess(folder, workers=3, **{"licence-file": licence, "rate-limit": f"{RATE} per hour"})
    yield server
    server.kill()


def entries(server: ServerProcess, event: str) -> list[dict[str, object]]:
    """The log's lines of one kind."""
    lines = server.log_path.read_bytes().splitlines(keepends=True)
    told = [json.loads(line) for line in lines if line.startswith(b"{") and line.endswith(b"\n")]
    return [entry for entry in told if entry["event"] == event]


def workers(server: ServerProcess, started: int) -> set[int]:
    """The processes that answer, once so many have ever begun to."""
    wait_for(lambda: len(entries(server, "worker answers")) >= started)
    begun = {int(str(entry["worker"])) for entry in entries(server, "worker answers")}
    return begun - {int(str(entry["worker"])) for entry in entries(server, "worker ended")}


@contextlib.contextmanager
def client_of_each(server: ServerProcess, pids: set[int]) -> Iterator[Clients]:
    """A client for each worker, whose one connection that worker has: the others are halted while it is made."""
    clients = {}
    with contextlib.ExitStack() as opened:
        for pid in pids:
            for other in pids - {pid}:
                os.kill(other, signal.SIGSTOP)
            try:
                limits = httpx.Limits(max_connections=1, keepalive_expiry=None)
                client = httpx.Client(base_url=server.client.base_url, limits=limits, timeout=60)
                clients[pid] = opened.enter_context(client)
                client.get("/livez", headers={"x-request-id": f"of {pid}"})
            finally:
                for other in pids - {pid}:
                    os.kill(other, signal.SIGCONT)
        yield clients


def post(client: httpx.Client, body: bytes | Iterator[bytes]) -> httpx.Response:
    return client.post(PATH, content=body, headers={"content-type": "application/json"})


def test_a_killed_worker_is_started_again_until_that_succeeds_and_each_knows_every_task_that_was_accepted(
    server: ServerProcess,
) -> None:
    accepted: dict[str, int] = {}
    licence = server.log_path.parent / "licence.json"
    text = licence.read_text()
    before = workers(server, 3)
    victim = min(before)

    def send(pid: int, client: httpx.Client) -> None:
        for number in range(20):
            if pid == victim and number == 10:
                licence.write_text("{")
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(httpx.TransportError):
                answer = post(client, BODIES[number])
                assert answer.status_code == 202
                accepted[answer.headers["location"]] = number

    with client_of_each(server, before) as clients, ThreadPoolExecutor(3) as pool:
        list(pool.map(send, clients.keys(), clients.values()))
    assert len(accepted) >= 50
    wait_for(lambda: any("licence" in str(entry["reason"]) for entry in entries(server, "worker ended")))
    licence.write_text(text)
    after = workers(server, 4)
    assert len(after) == 3
    assert after & before == before - {victim}
    with client_of_each(server, after) as clients:
        for client in clients.values():
            for location, number in accepted.items():
                (result,) = client.get(location).json()["result"]["voiceprints"]
                assert result["speech_length"] == 1 + number


def test_together_they_accept_as_much_as_the_licence_allows_and_not_one_more(server: ServerProcess) -> None:
    with closing(sqlite3.connect(server.log_path.parent / "tasks.db")) as store:
        ((used,),) = store.execute("SELECT used FROM licence_use").fetchall() or [(0,)]
    numbers = iter(range(LICENSED))
    with client_of_each(server, workers(server, 3)) as clients, ThreadPoolExecutor(3) as pool:
        sent = pool.map(lambda client: [post(client, BODIES[0]).status_code for _ in numbers], clients.values())
        statuses = Counter(status for ones in sent for status in ones)
    assert statuses == Counter({202: LICENSED - used, 403: used})


def test_together_they_let_in_as_much_as_the_rate_limit_allows_and_not_one_more(server: ServerProcess) -> None:
    location = f"{PATH}/{entries(server, 'task accepted')[0]['task_id']}"
    with client_of_each(server, workers(server, 3)) as clients, ThreadPoolExecutor(3) as pool:
        left = int(next(iter(clients.values())).get(location).headers["x-ratelimit-remaining"])
        numbers = iter(range(left + 30))
        sent = pool.map(lambda client: [client.get(location).status_code for _ in numbers], clients.values())
        statuses = Counter(status for ones in sent for status in ones)
    assert statuses == {200: left, 429: 30}


def test_that_it_listens_is_told_once_and_each_line_names_its_worker(server: ServerProcess) -> None:
    assert len(entries(server, "listening")) == 1
    asked = {entry["request_id"]: entry["worker"] for entry in entries(server, "request")}
    assert all(asked[f"of {pid}"] == pid for pid in workers(server, 3))


def test_workers_end_when_the_process_that_keeps_them_is_killed(server: ServerProcess) -> None:
    pids = workers(server, 3)
    server.process.kill()
    server.process.wait()
    wait_for(lambda: not any(is_running(pid) for pid in pids))
    assert is_refused(server)


def is_refused(server: ServerProcess) -> bool:
    """Whether nobody listens."""
    with socket.socket() as connection:
        return connection.connect_ex((server.client.base_url.host, server.client.base_url.port)) != 0


def is_running(pid: int) -> bool:
    """Whether a process is neither gone nor waiting for somebody to take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


ITEMS = 100
TASK_BYTES = 256 + 8 * ITEMS


@pytest.fixture
def small_store(tmp_path: Path) -> Iterator[ServerProcess]:
    """Two workers whose store has room for 30 tasks of 100 voiceprints and two of one."""
    server = ServerProcess(tmp_path, workers=2, **{"storage-capacity-bytes": 30 * TASK_BYTES + 2 * 264})
    yield server
    server.kill()


def test_together_they_fill_the_store_to_its_capacity_and_each_finishes_what_is_under_way_when_all_are_to_stop(
    small_store: ServerProcess,
) -> None:
    server = small_store
    large = json.dumps({"voiceprints": [voiceprint_text()] * ITEMS}).encode()
    begun, go_on = threading.Semaphore(0), threading.Event()

    def in_two_parts() -> Iterator[bytes]:
        yield BODIES[0][:-1]
        begun.release()
        go_on.wait(START_S)
        yield BODIES[0][-1:]

    with client_of_each(server, workers(server, 2)) as clients, ThreadPoolExecutor(2) as pool:
        statuses = pool.map(lambda client: [post(client, large).status_code for _ in range(20)], clients.values())
        assert Counter(status for ones in statuses for status in ones) == {202: 30, 507: 10}
        under_way = [pool.submit(post, client, in_two_parts()) for client in clients.values()]
        assert all(begun.acquire(timeout=START_S) for _ in clients)
        server.process.terminate()
        wait_for(lambda: is_refused(server))
        go_on.set()
        assert [one.result().status_code for one in under_way] == [202, 202]
        assert server.process.wait(START_S) == 0


def test_what_prevents_the_start_of_workers_is_told_once_in_one_sentence(tmp_path: Path) -> None:
    store = f"--store-url=sqlite:///{tmp_path}/tasks.db"
    command = [
        sys.executable,
        "-m",
        "voxgender",
        "serve",
        "--workers=2",
        "--port=0",
        "--grpc=off",
        store,
        "--licence-file=/none",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr == "voxgender: VOXGENDER_LICENCE_FILE (--licence-file) is /none: No such file or directory\n"


def test_a_second_signal_reaches_the_workers_too_and_an_echo_of_the_first_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = Workers(load_settings(workers=2), socket.socket(), None, lambda: None, lambda: None)
    process = Mock()
    kept._processes.add(process)

    async def run() -> None:
        for same_s, signals in ((1000.0, 1), (1000.0, 1), (0.0, 2)):
            monkeypatch.setattr("voxgender.serving.workers.SAME_S", same_s)
            kept._take_signal()
            assert process.terminate.call_count == signals

    asyncio.run(run())


def test_a_killed_worker_that_does_not_end_keeps_nothing_else_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Workers(load_settings(workers=2), socket.socket(), None, lambda: None, lambda: None)
    has_gone_on = threading.Event()
    waited: list[bool] = []
    process = Mock(join=lambda: waited.append(has_gone_on.wait(START_S)))
    reports, told = multiprocessing.Pipe(duplex=False)
    told.close()
    monkeypatch.setattr(kept, "_start", lambda _: (process, reports))

    async def run() -> None:
        watching = asyncio.create_task(kept._watch_one("serve0"))
        asyncio.get_running_loop().call_later(0.1, has_gone_on.set)
        await watching

    asyncio.run(run())
    kept._listener.close()
    assert waited == [True]


def test_a_worker_that_cannot_be_started_again_at_first_is_started_later_while_the_others_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = Workers(load_settings(workers=2), socket.socket(), None, lambda: None, lambda: None)
    told: list[tuple[int | None, str]] = []

    def fail(_: str) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    async def run() -> None:
        monkeypatch.setattr(kept, "_start", fail)
        with structlog.testing.capture_logs() as log:
            with pytest.raises(VoxgenderError, match="a worker cannot be started: Resource temporarily unavailable"):
                await kept._keep_one("serve0")  # none answers
            kept._answering.add(Mock())
            keeping = asyncio.create_task(kept._keep_one("serve0"))
            while len(log) < 3:
                await asyncio.sleep(0.01)
            kept._stopping.set()
            await keeping
        told.extend((entry["worker"], entry["reason"]) for entry in log)

    asyncio.run(run())
    kept._listener.close()
    assert told[:3] == [(None, "a worker cannot be started: Resource temporarily unavailable")] * 3
