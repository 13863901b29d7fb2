"""A worker that hangs is found out, whatever keeps it, and its place is taken by another."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from serving import PATH, ServerProcess, voiceprint_text, wait_for

WAIT_S = 120.0
IMPATIENT = """
import sys
from voxgender.cli import main
from voxgender.serving import workers
workers.LOOK_S = 1.0
sys.argv = ["voxgender", *sys.argv[4:]]
sys.exit(main())
"""
"""The same program, which takes a worker for hung after 6 s instead of 30 s."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path, [sys.executable, "-c", IMPATIENT], workers=2, extractors=0)
    yield server
    server.kill()


def test_a_hung_worker_is_killed_so_that_its_clients_are_told_and_another_one_answers(server: ServerProcess) -> None:
    wait_for(lambda: len(server.entries("worker answers")) == 2)
    with httpx.Client(base_url=server.client.base_url, timeout=WAIT_S) as client, ThreadPoolExecutor(1) as thread:
        location = client.post(PATH, json={"voiceprints": [voiceprint_text()]}).headers["location"]
        client.get("/livez", headers={"x-request-id": "who"})
        wait_for(lambda: any(entry["request_id"] == "who" for entry in server.entries("request")))
        (hung,) = (entry["worker"] for entry in server.entries("request") if entry["request_id"] == "who")
        os.kill(int(str(hung)), signal.SIGSTOP)
        left_alone = thread.submit(client.get, location)
        with httpx.Client(base_url=server.client.base_url, timeout=WAIT_S) as other:
            assert other.get(location).status_code == 200
            with pytest.raises(httpx.TransportError):
                left_alone.result()
            wait_for(lambda: len(server.entries("worker answers")) == 3)
            (ended,) = server.entries("worker ended")
            assert (ended["worker"], ended["level"]) == (hung, "error")
            assert "hung" in str(ended["reason"])
            assert other.get(location).status_code == 200
        assert client.get(location).status_code == 200
