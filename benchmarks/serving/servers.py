"""The servers that are compared, each a process of its own on a free port of the loopback address."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from benchmarks.serving import ROOT
from benchmarks.serving.bodies import get
from benchmarks.serving.client import HOST, Connection
from benchmarks.serving.machine import pinned

VOXGENDER: Final = "voxgender"
USUAL: Final = "usual"
FLOOR: Final = "floor"
SERVERS: Final = (VOXGENDER, USUAL, FLOOR)
START_S: Final = 30.0
STOP_S: Final = 20.0


class Server:
    """A server that is ready; a context manager that ends it.

    Args:
        name: Which one, of ``SERVERS``.
        folder: Where its store and its log go.
        core: The core that it runs on; None leaves that open.
        answers: The floor's prebuilt answers, a file for each length of body.
    """

    def __init__(self, name: str, folder: Path, core: int | None, answers: Path) -> None:
        self.name = name
        self.port = _free_port()
        self._log = folder / f"{name}.log"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("VOXGENDER_")}
        # Pinned before it starts, so that each of its threads is.
        with pinned(core), self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._arguments(folder, answers)], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        self.pid = self._process.pid

    def __enter__(self) -> Server:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), Connection(self.port, START_S) as connection:
                if connection.exchange(get("/readyz")).status == 200:
                    return self
            time.sleep(0.02)
        self._end()
        raise RuntimeError(f"{self.name} did not become ready:\n{self.log_tail()}")

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._end()

    def log_tail(self) -> str:
        """Return the end of what it wrote."""
        return self._log.read_text(errors="replace")[-2000:]

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _arguments(self, folder: Path, answers: Path) -> list[str]:
        port = str(self.port)
        if self.name == VOXGENDER:
            store = f"--store-url=sqlite:///{folder / 'tasks.db'}"
            return ["-m", "voxgender", "serve", f"--port={port}", "--grpc=off", store, "--log-level=warning"]
        if self.name == USUAL:
            return ["-m", "benchmarks.serving.usual_server", port]
        return ["-m", "benchmarks.serving.floor_server", port, str(answers)]


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        return port
