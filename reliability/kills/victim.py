"""The server that is killed: its processes, its kills, and what it leaves."""

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
    """A server in a process group of its own, which can be killed and started again.

    Args:
        folder: For its log.
        flags: Those that never change.
    """

    def __init__(self, folder: Path, **flags: object) -> None:
        self._folder = folder
        self._flags = flags
        self._server: ServerProcess | None = None
        self._seen: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill what is left of it."""
        if self._server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def start(self, **flags: object) -> None:
        """Start it and wait until it is ready.

        Args:
            flags: Those of this time.
        """
        self._server = ServerProcess(self._folder, under=("setsid",), **self._flags, **flags)

    def kill_while_starting(self, chance: random.Random, **flags: object) -> None:
        """Start it, and kill all of it some time before it is ready, or shortly after."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VOXGENDER_")}
        arguments = [f"--{name}={value}" for name, value in {**self._flags, **flags}.items()]
        command = [sys.executable, "-m", "voxgender", "serve", *arguments]
        with (self._folder / "server.log").open("ab") as log:
            process = subprocess.Popen(command, stderr=log, env=environment, start_new_session=True)
        time.sleep(chance.uniform(0.3, 2.5))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._wait_until_gone(process.pid)

    def kill_all(self) -> None:
        """Kill all of its processes at once."""
        self._seen |= set(descendants(self.pid))
        os.killpg(self.pid, signal.SIGKILL)
        self._end()

    def kill_main(self) -> None:
        """Kill the process that the others were started by; they must end by themselves."""
        self._seen |= set(descendants(self.pid))
        os.kill(self.pid, signal.SIGKILL)
        self._end()

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

    def stop(self) -> int:
        """End it as an operator would; return its exit code."""
        assert self._server is not None
        code = self._server.stop()
        self._wait_until_gone(self.pid)
        return code

    def _end(self) -> None:
        assert self._server is not None
        self._server.kill()
        self._wait_until_gone(self.pid)

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
