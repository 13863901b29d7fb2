"""Readiness tells the truth over REST and gRPC: a store that is gone, a disk that is full, a server that stops."""

from __future__ import annotations

import asyncio
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from postgres import PostgresServer, postgres_server
from recordings import call
from rpc.stubs import stubs_of
from serving import GENDER, PATH, START_S, ServerProcess, running_server, voiceprint_text
from voxgender.app import readiness
from voxgender.app.readiness import Readiness
from voxgender.app.store import QueueState, StoreUsage
from voxgender.serving.server import SAME_S

__all__ = ["postgres_server"]


def answer_when(client: httpx.Client, is_so: Callable[[httpx.Response], bool]) -> httpx.Response:
    """What readiness tells once something is so."""
    deadline = time.monotonic() + START_S
    while not is_so(answer := client.get("/readyz")):
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)
    return answer


def test_each_check_is_named_and_none_tells_a_path(tmp_path: Path) -> None:
    with running_server(tmp_path) as client:
        told = client.get("/readyz").json()
    assert told["status"] == "ok"
    assert set(told["checks"]) == {"service", "store", "media", "disk"}
    assert str(tmp_path) not in str(told)


def test_a_store_that_is_gone_makes_it_not_ready_until_it_is_back(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    url = postgres_server.new_database()
    flags = {"store-url": url, "spool-dir": tmp_path / "spool", "grpc": "on", "grpc-port": 0, "extractors": 0}
    server = ServerProcess(tmp_path, **flags)
    with stubs_of(server) as stubs:

        def health() -> int:
            status: int = stubs.health.Check(HealthCheckRequest(), timeout=30).status
            return status

        assert health() == HealthCheckResponse.SERVING
        postgres_server.stop()
        try:
            gone = answer_when(server.client, lambda answer: answer.status_code == 503)
            assert gone.headers["retry-after"] == "1"
            assert gone.json()["checks"]["store"] == {"state": "failed", "told": "does not answer"}
            assert server.client.get("/api/system/status").status_code == 503
            assert server.client.get("/livez").status_code == 200
            assert url.partition("@")[2].partition("/")[0] not in gone.text
            page = server.client.get("/metrics").text
            assert "\nvoxgender_ready 0.0\n" in page
            assert "\nvoxgender_store_up 0.0\n" in page
            deadline = time.monotonic() + START_S
            while health() != HealthCheckResponse.NOT_SERVING:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        finally:
            postgres_server.start()
        answer_when(server.client, lambda answer: answer.status_code == 200)
        deadline = time.monotonic() + START_S
        while health() != HealthCheckResponse.SERVING:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert server.stop() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_drains_says_that_it_is_not_ready_and_still_answers(tmp_path: Path, workers: int) -> None:
    server = ServerProcess(tmp_path, workers=workers, extractors=0, **{"drain-s": 6})
    for _ in range(2):  # as it comes to all processes of a group, and to the workers once more
        server.process.send_signal(signal.SIGTERM)
    told = answer_when(server.client, lambda answer: answer.status_code == 503)
    assert told.json()["checks"] == {"service": {"state": "failed", "told": "is stopping"}}
    assert told.headers["retry-after"] == "1"
    assert server.client.get("/livez").status_code == 200
    assert server.client.post(PATH, json={"voiceprints": [voiceprint_text()]}).status_code == 202
    if workers == 1:
        time.sleep(SAME_S)
        server.process.send_signal(signal.SIGTERM)  # the second one leaves no more time for it
    assert server.process.wait(START_S) == 0
    server.client.close()


def test_a_full_disk_makes_it_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_server(tmp_path) as client:
        full = Mock(return_value=Mock(free=readiness.MIN_FREE_BYTES - 1))
        monkeypatch.setattr(shutil, "disk_usage", full)
        told = answer_when(client, lambda answer: answer.status_code == 503).json()
    assert told["checks"]["disk"] == {"state": "failed", "told": "63 MiB are free, less than 64 MiB"}


def test_recordings_that_no_worker_takes_are_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "LATE_S", 0.0)
    with running_server(tmp_path, extractors=0) as client:
        assert client.post(GENDER, files={"file": ("a", call())}).status_code == 202
        told = answer_when(client, lambda answer: answer.json()["checks"]["media"]["state"] == "warning")
    assert told.status_code == 200
    assert "1 recordings wait" in told.json()["checks"]["media"]["told"]


def test_a_store_that_hangs_is_not_waited_for_and_all_who_ask_share_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "LOOK_S", 0.05)
    asked = 0

    class Store:
        async def usage(self) -> StoreUsage:
            nonlocal asked
            asked += 1
            await asyncio.sleep(60)
            return StoreUsage(0, 0, 1)

        async def check(self) -> None:
            pass

        async def queue(self) -> QueueState:
            return QueueState(0, 0, 0)

    async def run() -> list[Any]:
        looked = Readiness(Store(), Mock(free_bytes=Mock(return_value=10**12)), lambda: "")  # type: ignore[arg-type]
        return await asyncio.gather(*(looked.look() for _ in range(50)))

    checks = asyncio.run(run())
    assert asked == 1
    assert {check["store"].told for check in checks} == {"does not answer"}


def test_a_busy_store_and_a_slow_disk_are_waited_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "LOOK_S", 60.0)
    both = threading.Barrier(2, timeout=60)

    class Store:
        async def usage(self) -> StoreUsage:
            return StoreUsage(0, 0, 1)

        async def check(self) -> None:
            await asyncio.to_thread(both.wait)

        async def queue(self) -> QueueState:
            return QueueState(0, 0, 0)

    def free_bytes() -> int:
        both.wait()
        return 10**12

    looked = Readiness(Store(), Mock(free_bytes=free_bytes), lambda: "")  # type: ignore[arg-type]
    assert asyncio.run(looked.is_ready())


def test_a_store_whose_file_was_deleted_is_told(tmp_path: Path) -> None:
    with running_server(tmp_path) as client:
        answer_when(client, lambda answer: answer.status_code == 200)
        (tmp_path / "tasks.db").unlink()
        told = answer_when(client, lambda answer: answer.status_code == 503).json()
    assert told["checks"]["store"]["state"] == "failed"
