"""A poll that waits for its task ends with its client."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest

from hostile import PATIENCE_S, connected, head
from serving import GENDER, ServerProcess


@pytest.mark.parametrize("behind", [b"", head("GET", "/livez")])
def test_a_poll_whose_client_has_gone_waits_no_longer(tmp_path: Path, behind: bytes) -> None:
    server = ServerProcess(tmp_path, extractors=0, keys="off")
    try:
        location = server.client.post(GENDER, files={"file": b"nobody hears it"}).headers["location"]
        gone = [connected(server) for _ in range(20)]
        for connection in gone:
            connection.sendall(head("GET", location, prefer="wait=60") + behind)
        with connected(server) as there:
            there.sendall(head("GET", location, prefer="wait=2"))
            for connection in gone:
                connection.shutdown(socket.SHUT_RDWR)
                connection.close()
            assert there.recv(15) == b"HTTP/1.1 200 OK"
        deadline = time.monotonic() + PATIENCE_S / 2
        while ended_polls(server) < len(gone) + 1 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert ended_polls(server) == len(gone) + 1
    finally:
        server.kill()


def ended_polls(server: ServerProcess) -> int:
    lines = [json.loads(line) for line in server.log_path.read_text().splitlines()]
    return sum(line["event"] == "request" and line["path"].endswith("{task_id}") for line in lines)
