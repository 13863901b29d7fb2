"""A worker as a program: with its store, until a signal comes; and as a process beside a server."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import sys
import threading
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Final, Self

import structlog

from voxgender.app.admission import Admission
from voxgender.app.extraction_process import ExtractionLimits, ExtractionProcess
from voxgender.app.licence import read_licence
from voxgender.app.logs import configure_logs
from voxgender.app.settings import Settings
from voxgender.app.spool import Spool
from voxgender.app.store import Store
from voxgender.app.stores import spool_of, store_of
from voxgender.app.worker import DRAIN_S, Worker
from voxgender.core.errors import ModelError, SettingsError, VoxgenderError
from voxgender.files.audio_stream import AudioLimits
from voxgender.files.cores import usable_cores
from voxgender.files.heads import load_scorer

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 30.0
"""Between the death of a worker and its next start; each death doubles the pause until a worker has lived so long."""

_SPAWN: Final = multiprocessing.get_context("spawn")

log = structlog.get_logger()


def extractors_of(settings: Settings) -> int:
    """Return how many jobs are done at a time: what the settings say, or as many as there are cores."""
    return usable_cores() if settings.extractors is None else settings.extractors


async def work(settings: Settings) -> None:
    """Do jobs until SIGINT or SIGTERM, or until the parent process, if there is one, has died.

    Raises:
        SettingsError: Where the store, the spool, the licence file or the model cannot be used.
    """
    worker, store, spool = _worker_of(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        if sys.platform != "win32":
            loop.add_signal_handler(number, worker.stop)
    threading.Thread(target=_stop_with_parent, args=(loop, worker), name="parent-watch", daemon=True).start()
    spool.open()
    await store.open()
    try:
        log.info("waiting for jobs", extractors=extractors_of(settings))
        await worker.run()
    finally:
        await store.close()
        log.info("worker stopped")


class WorkProcess:
    """A worker beside a server: started again when it dies, and stopped at the end of the context.

    Args:
        settings: How it is to work; nothing is started where they ask for no extractors.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._process: SpawnProcess | None = None
        self._keeper: threading.Thread | None = None

    def start(self) -> None:
        """Start the worker, once the server answers: what keeps a server from its start is told by it alone."""
        if extractors_of(self._settings):
            self._start()
            self._keeper = threading.Thread(target=self._keep, name="work-keeper", daemon=True)
            self._keeper.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the worker finish what is under way, or give it back, and end it."""
        self._stopping.set()
        if self._process is None or self._keeper is None:
            return
        self._process.terminate()
        self._keeper.join(DRAIN_S + 5)
        if self._process.is_alive():
            log.error("worker killed, because it does not end", worker=self._process.pid)
            self._process.kill()
            self._process.join()

    def _start(self) -> None:
        self._process = _SPAWN.Process(target=_work, args=(self._settings,), name="voxgender-work")
        self._process.start()

    def _keep(self) -> None:
        """Start the worker again whenever it dies."""
        pause_s = FIRST_PAUSE_S
        while self._process is not None:
            self._process.join(LONGEST_PAUSE_S)
            if self._stopping.is_set():
                self._process.terminate()
                self._process.join(DRAIN_S)
                return
            if self._process.is_alive():
                pause_s = FIRST_PAUSE_S
                continue
            log.error("worker died", exit_code=self._process.exitcode, next_start_s=pause_s)
            if not self._stopping.wait(pause_s):
                self._start()
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _worker_of(settings: Settings) -> tuple[Worker, Store, Spool]:
    licence = read_licence(settings.licence_file) if settings.licence_file else None
    try:
        scorer = load_scorer(settings.model)
    except ModelError as error:
        raise SettingsError(f"VOXGENDER_MODEL (--model) is {settings.model}: {error}") from None
    store, spool = store_of(settings), spool_of(settings)
    limits = ExtractionLimits(
        AudioLimits(max_seconds=settings.max_audio_s), settings.task_time_limit_s, settings.task_memory_bytes
    )
    processes = [ExtractionProcess(settings.model, limits) for _ in range(extractors_of(settings))]
    worker = Worker(store, spool, scorer, Admission(None, licence), settings.task_ttl_s, processes)
    return worker, store, spool


def _work(settings: Settings) -> None:
    """Be the worker beside a server."""
    # Ctrl-C goes to all processes of a terminal; until it is listened for, the server's word is enough.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    configure_logs(settings.log_level)
    try:
        asyncio.run(work(settings))
    except VoxgenderError as error:
        log.error("worker cannot work", code=error.code, error=str(error))  # noqa: TRY400 - no traceback for users
        sys.exit(1)


def _stop_with_parent(loop: asyncio.AbstractEventLoop, worker: Worker) -> None:
    """Stop a worker whose server has died, however that was: nobody else would."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        loop.call_soon_threadsafe(worker.stop)
