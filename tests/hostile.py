"""What clients do that mean harm, or break: raw connections, and how a server is afterwards."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import struct
from pathlib import Path

import httpx

from serving import PATH, ServerProcess, voiceprint_text

PATIENCE_S = 60.0
GOOD = json.dumps({"voiceprints": [voiceprint_text()]}).encode()
AT_ONCE = struct.pack("ii", 1, 0)


def connected(server: ServerProcess) -> socket.socket:
    """A connection of its own."""
    url = server.client.base_url
    return socket.create_connection((url.host, url.port or 0), timeout=PATIENCE_S)


def head(method: str, path: str, **headers: object) -> bytes:
    """A request line with headers; an underscore in a name stands for a hyphen."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n".encode()


def submission(body: bytes = GOOD, kind: str = "application/json", path: str = PATH) -> bytes:
    """A whole request with a body."""
    return head("POST", path, content_type=kind, content_length=len(body)) + body


def asked(connection: socket.socket, request: bytes) -> tuple[int, bytes]:
    """Send a request and read its answer: status and body; 0 where the connection was closed without one."""
    with contextlib.suppress(ConnectionError):
        connection.sendall(request)
    try:
        with http.client.HTTPResponse(connection) as answer:
            answer.begin()
            return answer.status, answer.read()
    except (ConnectionError, http.client.BadStatusLine):
        return 0, b""


def reset(connection: socket.socket) -> None:
    """End a connection at once, with all that is on its way."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    connection.close()


def is_well(server: ServerProcess) -> bool:
    """Whether a client that means well is served, from its connection to its result."""
    with contextlib.suppress(httpx.TransportError), httpx.Client(base_url=server.client.base_url, timeout=30) as client:
        headers = {"content-type": "application/json"}
        accepted = client.post(PATH, content=GOOD, headers=headers)
        return accepted.status_code == 202 and client.get(accepted.headers["location"]).status_code == 200
    return False


def descriptors(server: ServerProcess) -> int:
    """The files and sockets that the server has open."""
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def memory_bytes(server: ServerProcess, field: str = "VmRSS") -> int:
    """What the server has in memory; ``VmHWM`` for the most that it has had."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def cpu_s(server: ServerProcess) -> float:
    """Seconds of a processor that the server has used."""
    told = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def errors(server: ServerProcess) -> list[str]:
    """The lines of the log that tell of errors or warnings."""
    lines = server.log_path.read_text().splitlines()
    return [line for line in lines if '"level":"info"' not in line]
