"""Several processes that answer on the same ports, and the one that keeps them going."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Final

import structlog
from limits.errors import StorageError

from voxgender.app.logs import configure_logs
from voxgender.app.metrics_folder import count_in, forget_live
from voxgender.app.parent import watch_parent
from voxgender.app.rate_storage import machine_windows
from voxgender.app.reports import next_report
from voxgender.app.settings import Settings
from voxgender.core.errors import SettingsError, VoxgenderError

STOP_S: Final = 30.0
"""Seconds that a worker has to end once it is told to; then it is killed. It gives itself about 10."""
STEADY_S: Final = 60.0
"""A worker that has answered for so long is started again at once when it ends."""
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 30.0
"""Between the end of a worker and its next start; each end that comes soon doubles the pause."""

BEAT_S: Final = 1.0
"""Seconds between two words of a worker that its event loop goes round."""
LOOK_S: Final = 5.0
"""Longest wait for a word at a time; so long a worker is waited for, once more, where all were halted together."""
SILENT_LOOKS: Final = 6
"""After so many such waits without a word, one after the other, a worker hangs and is killed."""
SAME_S: Final = 1.0
"""Signals that come so shortly one after the other are one."""

_SPAWN: Final = multiprocessing.get_context("spawn")

log = structlog.get_logger()


class Workers:
    """Keeps the processes going that answer on a socket, and answers nothing itself.

    A worker that ends is started again, and one that hangs is killed. Where one cannot start and no other answers, that
    is the end. What is under way when a signal comes is finished first. The workers also end when this process dies, in
    whatever way.

    Args:
        settings: How each of them is to work, and how many they are.
        listener: A bound socket for HTTP, which they share.
        rpc_address: Where they answer gRPC, each with a socket of its own; None for nowhere.
        on_listening: Called once the first of them answers.
        on_stopping: Called once they are told to stop.
        metrics: The folder where they count together; None where each counts for itself.

    Raises:
        SettingsError: Where the system cannot share a socket.
    """

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        rpc_address: str | None,
        on_listening: Callable[[], None],
        on_stopping: Callable[[], None],
        metrics: Path | None = None,
    ) -> None:
        if os.name != "posix":
            raise SettingsError(
                f"VOXGENDER_WORKERS (--workers) is {settings.workers}: this system allows 1; run several services"
            )
        self._settings = settings
        self._listener = listener
        self._rpc_address = rpc_address
        self._on_listening = on_listening
        self._on_stopping = on_stopping
        self._metrics = metrics
        self._processes: set[SpawnProcess] = set()
        self._answering: set[SpawnProcess] = set()
        self._is_listening = False
        self._signal_s = 0.0
        self._stopping = asyncio.Event()

    def run(self) -> None:
        """Keep the workers going until a signal comes, and return once they have ended.

        Raises:
            SettingsError: Where they cannot start with the settings.
            VoxgenderError: Where they cannot start for another reason.
        """
        windows = machine_windows(self._settings)
        if windows is not None:
            with contextlib.closing(windows):
                try:
                    windows.reset()
                except StorageError as error:
                    log.warning("requests of an earlier run count", error=str(error.storage_error))
        asyncio.run(self._run())
        log.info("stopped")

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._take_signal)
        kept = [loop.create_task(self._keep_one(f"serve{place}")) for place in range(self._settings.workers)]
        await asyncio.wait(kept, return_when=asyncio.FIRST_EXCEPTION)
        self._stop()
        for outcome in await asyncio.gather(*kept, return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def _keep_one(self, place: str) -> None:
        """Start a worker, and again whenever it ends, until all are to stop.

        Args:
            place: The metrics' name for the one that is kept.

        Raises:
            VoxgenderError: Where it cannot start and no other answers.
        """
        loop = asyncio.get_running_loop()
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            began_s = loop.time()
            pid, has_answered, end = await self._watch_one(place)
            if self._stopping.is_set():
                return
            if not has_answered and not self._answering:
                raise end
            if loop.time() - began_s >= STEADY_S:
                pause_s = FIRST_PAUSE_S
            log.error("worker ended", worker=pid, reason=str(end), next_start_s=pause_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _watch_one(self, place: str) -> tuple[int | None, bool, VoxgenderError]:
        """Start a worker and wait for its end; return which it was, whether it has answered, and why it ended."""
        try:
            process, reports = self._start(place)
        except OSError as error:  # no memory, no more processes or files for now
            return None, False, VoxgenderError(f"a worker cannot be started: {error.strerror or error}")
        with reports:
            report = await next_report(reports)
            if has_answered := report is True:
                self._tell_of(process)
                report = await self._last_report(reports, process)
                self._answering.discard(process)
        # In a thread: one that waits for a dead disk does not end even if it is killed, and the others go on.
        await asyncio.to_thread(process.join)
        forget_live(self._metrics, place)
        self._processes.discard(process)
        if not isinstance(report, VoxgenderError):
            report = VoxgenderError(f"a worker ended with exit code {process.exitcode}")
        return process.pid, has_answered, report

    async def _last_report(self, reports: Connection, process: SpawnProcess) -> object:
        """Return what a worker tells by its end; one that says nothing for long is killed."""
        silent = 0
        while silent < SILENT_LOOKS:
            try:
                async with asyncio.timeout(LOOK_S):
                    if (report := await next_report(reports)) is not True:
                        return report
                silent = 0
            except TimeoutError:
                silent += 1
        process.kill()
        return VoxgenderError(f"a worker hung, and was killed after {SILENT_LOOKS * LOOK_S:g} s without a word")

    def _start(self, place: str) -> tuple[SpawnProcess, Connection]:
        """Start a worker; return it and where it reports: ``True`` while it answers, and an error by its end."""
        reports, told = _SPAWN.Pipe(duplex=False)
        process = _SPAWN.Process(
            target=_work,
            args=(self._settings, self._listener, self._rpc_address, told, self._metrics, place),
            daemon=True,
        )
        # Ctrl-C goes to all processes of a terminal. One that has only begun leaves it to this one to end it.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process.start()
        finally:
            signal.signal(signal.SIGINT, before)
            # With the worker's end open in the worker alone, its death can be read here as well.
            told.close()
        self._processes.add(process)
        return process, reports

    def _tell_of(self, process: SpawnProcess) -> None:
        """Log that a worker answers; the first of them makes the service one that listens."""
        self._answering.add(process)
        log.info("worker answers", worker=process.pid)
        if not self._is_listening and not self._stopping.is_set():
            self._is_listening = True
            self._on_listening()

    def _take_signal(self) -> None:
        """Stop; a second signal goes on to the workers, which then leave no time to those who send requests."""
        now_s = asyncio.get_running_loop().time()
        if not self._stopping.is_set():
            self._signal_s = now_s
            self._stop()
        elif now_s - self._signal_s >= SAME_S:
            self._signal_s = now_s
            for process in self._processes:
                process.terminate()

    def _stop(self) -> None:
        """Tell all workers to finish what is under way."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._on_stopping()
            # The workers have it as well; once the last of them has closed it, new clients are refused at once.
            self._listener.close()
            for process in self._processes:
                process.terminate()
            asyncio.get_running_loop().call_later(STOP_S, self._kill)

    def _kill(self) -> None:
        for process in self._processes:
            log.error("worker killed, because it does not end", worker=process.pid)
            process.kill()


def _work(
    settings: Settings,
    listener: socket.socket,
    rpc_address: str | None,
    told: Connection,
    metrics: Path | None,
    place: str,
) -> None:
    """Be a worker; tell ``True`` once it answers and again and again, or the error that keeps it from that."""
    configure_logs(settings.log_level)
    structlog.contextvars.bind_contextvars(worker=os.getpid())
    count_in(metrics, place)
    # Only now, because the metrics come with them.
    from voxgender.app.service import Service
    from voxgender.serving.server import Server

    def tell(report: object) -> None:
        with contextlib.suppress(OSError):  # nobody is there any more; watch_parent sees to it
            told.send(report)

    def beat() -> None:
        tell(True)
        asyncio.get_running_loop().call_later(BEAT_S, beat)

    # Where nobody reads what is told, nobody is to be waited for.
    os.set_blocking(told.fileno(), False)
    try:
        server = Server(Service.of_settings(settings), listener, rpc_address, beat)
        watch_parent(server.stop)
        server.serve()
    except (VoxgenderError, OSError) as error:
        # Errors of other classes need not survive the way through a pipe.
        tell(error if isinstance(error, SettingsError) else VoxgenderError(str(error)))
        sys.exit(1)
