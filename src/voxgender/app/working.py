"""A worker as a program: with its store, until a signal comes."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal

import structlog

from voxgender.app.admission import Admission
from voxgender.app.assembly import licence_of, scorer_of, spool_of, store_of
from voxgender.app.extraction_process import ExtractionLimits, ExtractionProcess
from voxgender.app.key_ring import KeyRing
from voxgender.app.licence import Licence
from voxgender.app.metrics_port import metrics_answered
from voxgender.app.metrics_tally import flush
from voxgender.app.parent import watch_parent
from voxgender.app.scrape import look
from voxgender.app.settings import Settings
from voxgender.app.spool import Spool
from voxgender.app.store import Store
from voxgender.app.traces import Traces, traces_of
from voxgender.app.work_process import extractors_of
from voxgender.app.worker import Worker
from voxgender.core.scorer import Scorer
from voxgender.files.audio_stream import AudioLimits

log = structlog.get_logger()


async def work(settings: Settings) -> None:
    """Do jobs until SIGINT or SIGTERM, or until the parent process, if there is one, has died.

    Raises:
        SettingsError: Where the store, the spool, the licence file or the model cannot be used.
    """
    traces = traces_of(settings)
    licence, scorer = licence_of(settings), scorer_of(settings)
    store, spool = store_of(settings), spool_of(settings)
    worker = _worker_of(settings, store, spool, scorer, licence, traces)
    models = ",".join(sorted(scorer.heads))
    loop = asyncio.get_running_loop()
    # Ctrl-C goes to all processes of a terminal; a server tells the worker beside it to stop when its time has come.
    signals = (signal.SIGINT, signal.SIGTERM) if multiprocessing.parent_process() is None else (signal.SIGTERM,)
    for number in signals:
        loop.add_signal_handler(number, worker.stop)
    watch_parent(lambda: loop.call_soon_threadsafe(worker.stop))
    await store.open()
    try:
        spool.open(store.store_id)
        log.info("waiting for jobs", extractors=extractors_of(settings))
        # What works beside a server is told by that.
        port = settings.metrics_port if multiprocessing.parent_process() is None else None
        async with metrics_answered(settings.host, port, lambda: look(store, spool, licence, models)):
            await worker.run()
    finally:
        await store.close()
        flush()
        await asyncio.to_thread(traces.close)
        log.info("worker stopped")


def _worker_of(
    settings: Settings, store: Store, spool: Spool, scorer: Scorer, licence: Licence | None, traces: Traces
) -> Worker:
    limits = ExtractionLimits(
        AudioLimits(max_seconds=settings.max_audio_s), settings.task_time_limit_s, settings.task_memory_bytes
    )
    processes = [ExtractionProcess(settings.model, limits) for _ in range(extractors_of(settings))]
    admission = Admission(None, licence, KeyRing(store, is_demanded=False))
    return Worker(store, spool, scorer, admission, settings.task_ttl_s, processes, traces)
