"""The server that is killed, and a worker beside it: their processes, their kills, and what they leave."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from chaos.processes import descendants, is_alive
from reliability.kills.snapshot import demand
from serving import ServerProcess

END_S: Final = 60.0
"""Longest that processes may take to end whose parent was killed: they finish what is under way."""


class Victim:
    """A server, and at times a worker of its own, which can be killed and started again; each is a process group.

    Args:
        folder: For their logs.
        flags: Those that never change.
    """

    def __init__(self, folder: Path, **flags: object) -> None:
        self._folder = folder
        self._flags = flags
        self._server: ServerProcess | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        self._seen: set[int] = set()

    @property
    def has_worker(self) -> bool:
        """Whether a worker of its own runs."""
        return self._worker is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill what is left of them."""
        for process in (self._server and self._server.process, self._worker):
            if process is not None and process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def start(self, **flags: object) -> None:
        """Start the server and wait until it is ready.

        Args:
            flags: Those of this time.
        """
        self._server = ServerProcess(self._folder, under=("setsid",), **self._flags, **flags)

    def start_worker(self, **flags: object) -> None:
        """Start a worker; it is not waited for."""
        self._worker = self._started("work", **flags)

    def kill_while_starting(self, chance: random.Random, **flags: object) -> None:
        """Start the server, and kill all of it some time before it is ready, or shortly after."""
        process = self._started("serve", **flags)
        time.sleep(chance.uniform(0.3, 2.5))
        self._kill_group(process)

    def kill_all(self) -> None:
        """Kill all processes at once, those of the worker among them."""
        assert self._server is not None
        self._server.client.close()
        self._kill_group(self._server.process)
        self.kill_worker()

    def kill_main(self) -> None:
        """Kill the process that the server's others were started by; they must end by themselves."""
        assert self._server is not None
        self._seen |= set(descendants(self.pid))
        self._server.kill()
        self._wait_until_gone(self.pid)

    def kill_worker(self) -> None:
        """Kill the worker's main process, if there is a worker; what reads files for it must end by itself."""
        if self._worker is not None:
            self._worker.kill()
            self._worker.wait()
            self._wait_until_gone(self._worker.pid)
            self._worker = None

    def kill_one(self, chance: random.Random) -> None:
        """Kill one of the other processes, which is started again by those that are left."""
        until_s = time.monotonic() + END_S
        while not (below := descendants(self.pid)) and time.monotonic() < until_s:
            time.sleep(0.01)
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(below), signal.SIGKILL)

    @property
    def pid(self) -> int:
        """Its main process."""
        assert self._server is not None
        return self._server.process.pid

    def stop(self) -> list[int]:
        """End all as an operator would; return the exit codes."""
        assert self._server is not None
        codes = [self._server.stop()]
        self._wait_until_gone(self.pid)
        if self._worker is not None:
            self._worker.terminate()
            codes.append(self._worker.wait(END_S))
            self._wait_until_gone(self._worker.pid)
        return codes

    def _started(self, command: str, **flags: object) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VOXGENDER_")}
        arguments = [f"--{name}={value}" for name, value in {**self._flags, **flags}.items()]
        with (self._folder / f"{command}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "voxgender", command, *arguments],
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def _kill_group(self, process: subprocess.Popen[bytes]) -> None:
        self._seen |= set(descendants(process.pid))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._wait_until_gone(process.pid)

    def _wait_until_gone(self, group: int) -> None:
        """Wait until no process is left of a killed server.

        Raises:
            BrokenPromiseError: Where one stays.
        """
        until_s = time.monotonic() + END_S
        while left := {pid for pid in self._seen | _members(group) if is_alive(pid)}:
            demand(time.monotonic() < until_s, f"processes are left of a killed server: {left}")
            time.sleep(0.01)
        self._seen.clear()


def _members(group: int) -> set[int]:
    """Return the processes of a group."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                found.add(int(path.parent.name))
    return found
