"""The worker: claims jobs, has them done in processes of their own, and tells the store how they ended."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Final

import structlog

from voxgender.app.admission import Admission
from voxgender.app.extraction_process import ExtractionProcess
from voxgender.app.job import Job
from voxgender.app.metrics import count_heard, count_scored, count_stage, count_task
from voxgender.app.spool import Spool
from voxgender.app.store import MAX_TRIES, Store
from voxgender.app.task import Outcome, TaskError, TaskState, Technology
from voxgender.app.traces import OFF, Traces
from voxgender.core.channels import ChannelResults, ChannelVoiceprints
from voxgender.core.errors import (
    CapacityError,
    InputError,
    KeyCapacityError,
    LicenceExpiredError,
    StorageFullError,
    StoreUnavailableError,
    TaskCrashError,
    VoxgenderError,
)
from voxgender.core.scorer import Scorer
from voxgender.core.voiceprint import decode_voiceprint
from voxgender.files.stage_times import StageTimes

LOOK_S: Final = 0.2
"""Seconds between two looks for a job where none waits."""
RENEWALS: Final = 6
"""So often a holder says that it is alive in the time after which it is taken for lost: some words may be lost."""
RETRY_S: Final = 1.0
"""Seconds until a store that does not work is asked again."""
DRAIN_S: Final = 8.0
"""Seconds that work under way has to finish once the worker is told to stop; then it is given back. Container engines
kill what has not ended after 10 s."""

MEDIA_LOST: Final = "The media file is not in the spool any more; send it again."

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Ending:
    state: TaskState
    outcome: Outcome
    audio_s: float = 0.0


class Worker:
    """Does the jobs of a store, several at a time.

    Args:
        store: Where they wait; opened and closed by whoever runs the worker.
        spool: Where their media lie.
        scorer: Scores voiceprints.
        admission: Prices work.
        task_ttl_s: Seconds that a finished task is kept.
        processes: What does the work, one job at a time each.
        traces: Makes a span of each job, in the trace of the request that it came with.
    """

    def __init__(
        self,
        store: Store,
        spool: Spool,
        scorer: Scorer,
        admission: Admission,
        task_ttl_s: float,
        processes: list[ExtractionProcess],
        traces: Traces = OFF,
    ) -> None:
        self._store = store
        self._spool = spool
        self._scorer = scorer
        self._admission = admission
        self._task_ttl_s = task_ttl_s
        self._processes = processes
        self._traces = traces
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Do jobs until :meth:`stop`; then finish those under way, or give them back."""
        slots = [asyncio.create_task(self._keep_working(process)) for process in self._processes]
        try:
            await self._stopping.wait()
            await asyncio.wait(slots, timeout=DRAIN_S)
        finally:
            for slot in slots:
                slot.cancel()
            await asyncio.wait(slots)
            for process in self._processes:
                process.close()

    def stop(self) -> None:
        """Let :meth:`run` take no more jobs and come to its end; on the event loop's thread."""
        self._stopping.set()

    async def _keep_working(self, process: ExtractionProcess) -> None:
        while not self._stopping.is_set():
            job, pause_s = None, LOOK_S
            try:
                job = await self._store.claim(self._store.now_s() + self._task_ttl_s)
            except VoxgenderError as error:
                log.warning("no job can be claimed", error=str(error))
                pause_s = RETRY_S
            if job is not None:
                try:
                    await self._do(job, process)
                    continue
                except Exception:  # the next job may do; this one waits until it is taken for lost
                    log.exception("work ended in an error", task_id=str(job.task_id))
                    pause_s = RETRY_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)

    async def _do(self, job: Job, process: ExtractionProcess) -> None:
        """Do a job; it is given back where this is cancelled."""
        began_s = time.monotonic()
        ids = {"task_id": str(job.task_id), "correlation_id": job.correlation_id, "request_id": job.request_id}
        if job.tries == 1:
            count_stage(job.technology, "waiting", self._store.now_s() - job.created_s)
        spanned = self._traces.task(f"work {job.technology.value}", job.traceparent, tries=job.tries, **ids)
        with structlog.contextvars.bound_contextvars(**ids), spanned:
            log.info("task begun", technology=job.technology.value, tries=job.tries)
            try:
                ending = await self._ending(job, process)
                if ending is not None and await self._finish(job, ending):
                    log.info("task ended", state=ending.state.value, work_s=round(time.monotonic() - began_s, 3))
            except asyncio.CancelledError:
                process.close()
                await self._give_back(job, is_try=False)
                raise

    async def _ending(self, job: Job, process: ExtractionProcess) -> _Ending | None:
        """Have a job done; return how it ended, or None where it is no longer ours, or was given back."""
        path, progress = self._spool.path(job.task_id), 0.0
        if not path.exists():
            return _Ending(TaskState.FAILED, TaskError("internal", MEDIA_LOST, "media.lost"))

        def take(told: float) -> None:
            nonlocal progress
            progress = told

        def take_times(told: StageTimes) -> None:
            count_stage(job.technology, "decoding", told.decoding_s)
            count_stage(job.technology, "detecting", told.detecting_s)
            count_stage(job.technology, "encoding", told.encoding_s)
            self._traces.note(decoding_s=told.decoding_s, detecting_s=told.detecting_s, encoding_s=told.encoding_s)

        with self._traces.span("hear"):
            hearing = asyncio.create_task(process.hear(path, job.options, take, take_times))
            try:
                while not (await asyncio.wait([hearing], timeout=self._store.hold_s / RENEWALS))[0]:
                    if not await self._is_ours(job, progress):
                        log.info("task is not ours any more")
                        return None
            finally:
                if not hearing.done():
                    hearing.cancel()
                    await asyncio.wait([hearing])
        try:
            return self._scored(job, hearing.result())
        except TaskCrashError as error:
            log.warning("process died", error=str(error), tries=job.tries)
            if job.tries < MAX_TRIES:
                await self._give_back(job, is_try=True)
                return None
            return _failed(error, f"The process that read the file died {MAX_TRIES} times.")
        except InputError as error:
            told = TaskError("task.validation-error", error.sentence, error.code, ("body", "file"))
            return _Ending(TaskState.REJECTED, told)
        except VoxgenderError as error:
            log.warning("task failed", code=error.code, error=str(error))
            return _failed(error, error.sentence)

    def _scored(self, job: Job, heard: ChannelVoiceprints) -> _Ending:
        outcome: Outcome = heard
        if job.technology is Technology.GENDER_OF_MEDIA:
            began_s = time.perf_counter()
            with self._traces.span("score", voiceprints=len(heard.voiceprints)):
                outcome = heard.score(self._scorer, job.decision)
            count_stage(job.technology, "scoring", time.perf_counter() - began_s)
        return _Ending(TaskState.DONE, outcome, heard.audio_s)

    async def _is_ours(self, job: Job, progress: float) -> bool:
        try:
            return await self._store.renew(job, progress)
        except (StoreUnavailableError, StorageFullError) as error:
            # The job goes on: whether it is still ours is asked again when it ends.
            log.warning("job cannot be renewed", error=str(error))
            return True

    async def _finish(self, job: Job, ending: _Ending) -> bool:
        """Store how a job ended, however long the store does not work; return whether it was ours."""
        began_s = time.perf_counter()
        while True:
            try:
                permit = await self._admission.permit_of(job.owner)
                amount = ending.audio_s
                charges = self._admission.charges(permit, "audio_s", amount, time.time()) if amount else ()
                expires_s = self._store.now_s() + self._task_ttl_s
                with self._traces.span("store", state=ending.state.value):
                    is_ours = await self._store.finish(job, ending.state, ending.outcome, expires_s, *charges)
            except (CapacityError, LicenceExpiredError) as error:
                location = ("header", "authorization") if isinstance(error, KeyCapacityError) else ("license",)
                told = TaskError("internal", error.sentence, error.code, location)
                ending = _Ending(TaskState.FAILED, told)
            except (StoreUnavailableError, StorageFullError) as error:
                log.warning("task cannot be finished yet", error=str(error))
                await asyncio.sleep(RETRY_S)
            else:
                if is_ours:
                    count_stage(job.technology, "storing", time.perf_counter() - began_s)
                    _count(job.technology, ending)
                    await self._spool.delete(job.task_id)
                return is_ours

    async def _give_back(self, job: Job, *, is_try: bool) -> None:
        try:
            await self._store.give_back(job, is_try=is_try)
        except VoxgenderError as error:
            log.warning("job cannot be given back; it waits until it is taken for lost", error=str(error))


def _count(technology: Technology, ending: _Ending) -> None:
    count_task(technology, ending.state)
    if isinstance(ending.outcome, ChannelResults):
        speech_s = float(ending.outcome.results.speech_s.sum())
        count_scored(technology, len(ending.outcome.numbers), 0.0)
        count_heard(technology, ending.audio_s, speech_s)
    elif isinstance(ending.outcome, ChannelVoiceprints):
        speech_s = sum(decode_voiceprint(data).speech_s for data in ending.outcome.voiceprints)
        count_heard(technology, ending.audio_s, speech_s)


def _failed(error: VoxgenderError, message: str) -> _Ending:
    return _Ending(TaskState.FAILED, TaskError("internal", message, error.code))
