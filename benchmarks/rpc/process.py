"""``voxgender serve`` as a process of its own, and what the kernel tells of it (Linux)."""

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

START_S: Final = 30.0
STOP_S: Final = 20.0


class Serve:
    """A service that is ready; a context manager that ends it.

    Args:
        folder: Where its store and its log go; made where it is missing.
        core: The core that it runs on; None leaves that open.
        flags: Further settings.

    Attributes:
        pid: Its process, which has no children: nobody works on media.
        port: For REST.
        address: For gRPC.
    """

    def __init__(self, folder: Path, core: int | None, **flags: object) -> None:
        folder.mkdir(exist_ok=True)
        self.port, rpc_port = _free_ports()
        self.address = f"{HOST}:{rpc_port}"
        self._log = folder / "serve.log"
        settings = {
            "port": self.port,
            "grpc_port": rpc_port,
            "store_url": f"sqlite:///{folder / 'tasks.db'}",
            "log_level": "warning",
            "extractors": 0,
            **flags,
        }
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("VOXGENDER_")}
        # Pinned before it starts, so that each of its threads is.
        with pinned(core), self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "voxgender", "serve", *arguments],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )
        self.pid = self._process.pid

    def __enter__(self) -> Serve:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), Connection(self.port, START_S) as connection:
                if connection.exchange(get("/readyz")).status == 200:
                    return self
            time.sleep(0.02)
        self._end()
        raise RuntimeError(f"the service did not become ready:\n{self._log.read_text(errors='replace')[-2000:]}")

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._end()

    def cpu_s(self) -> float:
        """Return the processor seconds of all its threads so far, in hundredths (proc_pid_stat(5), utime and stime)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _free_ports() -> tuple[int, int]:
    """Return two ports that were free a moment ago: the service tells the ports that it takes in its log of infos."""
    with socket.socket() as one, socket.socket() as other:
        for sock in (one, other):
            sock.bind((HOST, 0))
        return one.getsockname()[1], other.getsockname()[1]
