"""A worker as a process beside a server: started, and started again when it dies.

This loads nothing of what the worker works with; the process does so itself, once it knows where to count.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import sys
import threading
import time
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import structlog

from voxgender.app.logs import configure_logs
from voxgender.app.metrics_folder import count_in
from voxgender.app.settings import Settings
from voxgender.core.errors import VoxgenderError
from voxgender.files.cores import usable_cores

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 30.0
"""Between the death of a worker and its next start; each death doubles the pause until a worker has lived so long."""

LOOK_S: Final = 0.1
"""Seconds between two looks whether the worker is to stop."""
SPARE_S: Final = 5.0
"""Seconds that a worker has to end after its work has."""

_SPAWN: Final = multiprocessing.get_context("spawn")

log = structlog.get_logger()


def extractors_of(settings: Settings) -> int:
    """Return how many jobs are done at a time: what the settings say, or as many as there are cores."""
    return usable_cores() if settings.extractors is None else settings.extractors


class WorkProcess:
    """A worker beside a server: started again when it dies, and stopped at the end of the context.

    A thread of its own does all that is done to the process, so that its start, its end and the order to stop do not
    meet.

    Args:
        settings: How it is to work; nothing is started where they ask for no extractors.
        metrics: The folder where it counts with the server; None where it counts for itself.
    """

    def __init__(self, settings: Settings, metrics: Path | None = None) -> None:
        self._settings = settings
        self._metrics = metrics
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="work-keeper", daemon=True)

    def start(self) -> None:
        """Start the worker, once the server answers: what keeps a server from its start is told by it alone."""
        if extractors_of(self._settings):
            self._keeper.start()

    def stop(self) -> None:
        """Have the worker finish what is under way, or give it back, and end; this does not wait for it."""
        self._stopping.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the worker and wait for its end."""
        self.stop()
        if self._keeper.is_alive():
            self._keeper.join()

    def _keep(self) -> None:
        """Start the worker, and again whenever it dies, until it is to stop."""
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            began_s = time.monotonic()
            process = _SPAWN.Process(target=_work, args=(self._settings, self._metrics), name="voxgender-work")
            try:
                process.start()
            except OSError as error:  # no memory, no more processes or files for now
                log.error("worker cannot be started", error=error.strerror, next_start_s=pause_s)  # noqa: TRY400
            else:
                while process.is_alive() and not self._stopping.is_set():
                    process.join(LOOK_S)
                if self._stopping.is_set():
                    _end(process)
                    return
                if time.monotonic() - began_s > LONGEST_PAUSE_S:
                    pause_s = FIRST_PAUSE_S
                log.error("worker died", exit_code=process.exitcode, next_start_s=pause_s)
            self._stopping.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _end(process: SpawnProcess) -> None:
    """Ask a worker to end, and end it if it does not."""
    from voxgender.app.worker import DRAIN_S

    process.terminate()
    process.join(DRAIN_S + SPARE_S)
    if process.is_alive():
        log.error("worker killed, because it does not end", worker=process.pid)
        process.kill()
        process.join()


def _work(settings: Settings, metrics: Path | None) -> None:
    """Be the worker beside a server."""
    configure_logs(settings.log_level)
    count_in(metrics, "work")
    # Only now, because the metrics come with it.
    from voxgender.app.working import work

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        asyncio.run(work(settings))
    except VoxgenderError as error:
        log.error("worker cannot work", code=error.code, error=str(error))  # noqa: TRY400 - no traceback for users
        sys.exit(1)
