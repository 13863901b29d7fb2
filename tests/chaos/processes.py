"""A service of several processes that can be killed: a server, a worker beside it, and a worker of its own."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx

from serving import ServerProcess


class Cluster:
    """A server and a worker on one store, each started again whenever it is killed.

    Args:
        folder: For logs, the spool and a SQLite store.
        settings: Flags of both.
    """

    def __init__(self, folder: Path, **settings: object) -> None:
        self._folder = folder
        self._settings = settings
        self._guard = threading.Lock()
        self._server = ServerProcess(folder, **settings)
        self._worker = self._new_worker()
        self._dead: list[ServerProcess] = []
        self.kills: list[str] = []

    @property
    def client(self) -> httpx.Client:
        """A client of the server that runs now."""
        with self._guard:
            return self._server.client

    def kill_something(self, chance: random.Random) -> None:
        """Kill one process, whichever it is, as a power cut would, and start again what does not do so by itself."""
        what = chance.choice(["server", "worker", "process beside the server", "process of the worker"])
        with self._guard:
            self.kills.append(what)
            if what == "server":
                self._server.process.kill()
                self._server.process.wait()
                # Threads may be using its client. One that waits would never learn that another has closed its socket.
                self._dead.append(self._server)
                self._server = ServerProcess(self._folder, **self._settings)
            elif what == "worker":
                self._worker.kill()
                self._worker.wait()
                self._worker = self._new_worker()
            else:
                parent = self._server.process.pid if "server" in what else self._worker.pid
                if below := descendants(parent):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(chance.choice(below), signal.SIGKILL)

    def stop(self) -> list[int]:
        """End all as an operator would; return their exit codes."""
        with self._guard:
            # One that has only begun is not ready to be asked.
            while self._ready() == self._ready_before and self._worker.poll() is None:
                time.sleep(0.05)
            for dead in self._dead:
                dead.client.close()
            self._worker.terminate()
            return [self._worker.wait(60), self._server.stop()]

    def log(self) -> str:
        """What all of them have logged."""
        return "".join(path.read_text() for path in self._folder.glob("*.log"))

    def _new_worker(self) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VOXGENDER_")}
        flags = {"store-url": f"sqlite:///{self._folder}/tasks.db", **self._settings}
        command = [sys.executable, "-m", "voxgender", "work", *(f"--{name}={value}" for name, value in flags.items())]
        self._ready_before = self._ready()
        with (self._folder / "worker.log").open("ab") as log:
            return subprocess.Popen(command, stderr=log, env=environment)

    def _ready(self) -> int:
        """How many of the workers that were started have become ready."""
        log = self._folder / "worker.log"
        return log.read_text().count('"waiting for jobs"') if log.exists() else 0


def descendants(parent: int) -> list[int]:
    """Return the processes below one, at any depth."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            pid, _, rest = path.read_text().rpartition(")")
            children.setdefault(int(rest.split()[1]), []).append(int(pid.split()[0]))
    found = list(children.get(parent, []))
    for one in found:
        found += children.get(one, [])
    return found


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended and is still listed does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False
