"""A server that tells what it is, and then does not do what it is asked for."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

INFO = {
    "name": "voxgender",
    "version": "1",
    "models": ["ge2e-2"],
    "limits": {
        "max_voiceprints": 10,
        "max_body_bytes": 10**9,
        "max_file_bytes": 10**9,
        "max_audio_s": 60,
        "task_ttl_s": 3600,
    },
    "defaults": {},
}
_PART_BYTES = 32 * 1024


class StubbornServer(ThreadingHTTPServer):
    """Answers what it is. A new task is read slowly, part by part, and never answered; nor is anything else.

    Attributes:
        url: Where it listens.
        received_bytes: What of new tasks has been read.
        asked: Set once a new task is asked for.
        held: Set once something else is.
        over: To be set to let all of them go.
    """

    daemon_threads = False  # so that they are waited for

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.received_bytes = 0
        self.asked = threading.Event()
        self.held = threading.Event()
        self.over = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StubbornServer

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        if self.path != "/api/system/info":
            self.server.held.set()
            self.server.over.wait()
            self.close_connection = True
            return
        body = json.dumps(INFO).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.server.asked.set()
        left_bytes = int(self.headers["content-length"])
        while left_bytes and not self.server.over.is_set():
            part = self.rfile.read1(min(left_bytes, _PART_BYTES))
            if not part:
                break
            left_bytes -= len(part)
            self.server.received_bytes += len(part)
            time.sleep(0.005)
        self.server.over.wait()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def stubborn_server() -> Iterator[StubbornServer]:
    """A server that is closed when the block ends."""
    with StubbornServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()
