"""The servers that are compared, each a process of its own on a free port of the loopback address."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

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


class ReadyProcess:
    """A server as a process, which is ready within the context, and ended after it.

    Args:
        name: What it is called in errors and in the name of its log.
        arguments: For Python.
        port: Where it answers HTTP.
        folder: Where its log goes.
        core: The core that it runs on; None leaves that open.

    Attributes:
        pid: Its process.
    """

    def __init__(self, name: str, arguments: Sequence[str], port: int, folder: Path, core: int | None) -> None:
        self.name = name
        self.port = port
        self._log = folder / f"{name}.log"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("VOXGENDER_")}
        # Pinned before it starts, so that each of its threads is.
        with pinned(core), self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
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


class Server(ReadyProcess):
    """A server that is ready; a context manager that ends it.

    Args:
        name: Which one, of ``SERVERS``.
        folder: Where its store and its log go.
        core: The core that it runs on; None leaves that open.
        answers: The floor's prebuilt answers, a file for each length of body.
    """

    def __init__(self, name: str, folder: Path, core: int | None, answers: Path) -> None:
        port = free_ports(1)[0]
        super().__init__(name, _arguments(name, port, folder, answers), port, folder, core)


def _arguments(name: str, port: int, folder: Path, answers: Path) -> list[str]:
    if name == VOXGENDER:
        store = f"--store-url=sqlite:///{folder / 'tasks.db'}"
        return ["-m", "voxgender", "serve", f"--port={port}", "--grpc=off", store, "--log-level=warning"]
    if name == USUAL:
        return ["-m", "benchmarks.serving.usual_server", str(port)]
    return ["-m", "benchmarks.serving.floor_server", str(port), str(answers)]


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago."""
    with contextlib.ExitStack() as taken:
        sockets = [taken.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]
