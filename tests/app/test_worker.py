"""The worker, with a real store, a real spool and real processes: whatever happens to it, each task has one end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from unittest import mock

import numpy as np

from recordings import call, recording, voice
from voxgender.app import worker as worker_module
from voxgender.app.admission import ANYONE, Admission
from voxgender.app.extraction_process import ExtractionLimits, ExtractionProcess
from voxgender.app.job import Job, NewJob
from voxgender.app.key_ring import KeyRing
from voxgender.app.licence import Licence, read_licence
from voxgender.app.spool import Spool
from voxgender.app.sqlite_store import SqliteStore
from voxgender.app.store import MAX_TRIES
from voxgender.app.task import NEVER_S, Task, TaskError, TaskState, Technology
from voxgender.app.worker import Worker
from voxgender.core.channels import ChannelResults
from voxgender.core.decision import Decision
from voxgender.core.errors import StoreUnavailableError
from voxgender.core.media import ALL, MediaOptions
from voxgender.files.audio_stream import AudioLimits
from voxgender.files.heads import load_scorer
from voxgender.files.models import DEFAULT_MODEL

LIMITS = ExtractionLimits(AudioLimits(), time_s=60, memory_bytes=1024**3)
LONG = recording(*[np.tile(voice("male"), 40)] * 8, form="FLAC")
"""Some seconds of work."""
ENOUGH_BYTES = 190 * 1024**2
"""Memory that is enough for a short recording, which takes less than 160 MiB, and not for the long one."""


class Bench:
    """A store with a spool, and what waits in it."""

    def __init__(self, folder: Path, limits: ExtractionLimits, licence: Licence | None) -> None:
        self.store = SqliteStore(folder / "tasks.db", 10**8)
        self.spool = Spool(folder / "media", 10**9, 10**8)
        self.process = ExtractionProcess(DEFAULT_MODEL, limits)
        self.admission = Admission(None, licence, KeyRing(self.store, is_demanded=False))
        self.worker = self.new_worker()

    def new_worker(self) -> Worker:
        scorer = load_scorer(DEFAULT_MODEL)
        return Worker(self.store, self.spool, scorer, self.admission, 60.0, [self.process])

    async def enqueue(self, media: bytes, options: MediaOptions = ALL) -> uuid.UUID:
        upload = await self.spool.begin(uuid.uuid4(), len(media))
        await upload.write(media)
        await upload.finish()
        task = Task(upload.task_id, Technology.GENDER_OF_MEDIA, TaskState.PENDING, time.time(), NEVER_S, None, 0.0)
        await self.store.enqueue(
            task, NewJob(options, Decision()), *self.admission.charges(ANYONE, "audio_s", 0, time.time())
        )
        upload.keep()
        return task.task_id

    async def task_when(self, task_id: uuid.UUID, is_so: Callable[[Task], bool]) -> Task:
        async with asyncio.timeout(60):
            while not is_so(task := await self.store.get(task_id)):
                await asyncio.sleep(0.02)
        return task

    async def end_of(self, task_id: uuid.UUID) -> Task:
        return await self.task_when(task_id, lambda task: task.state.is_finished)

    def files(self) -> set[str]:
        return {path.name for path in self.spool.path(uuid.uuid4()).parent.glob("*.media")}

    async def kill_process(self) -> None:
        """Kill the process that works, as a decoder that crashes would."""
        async with asyncio.timeout(30):
            while self.process._process is None or self.process._process.pid is None:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        os.kill(self.process._process.pid, signal.SIGKILL)


@contextlib.asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[None]:
    running = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        await running


def with_bench(
    folder: Path,
    use: Callable[[Bench], Awaitable[None]],
    limits: ExtractionLimits = LIMITS,
    licence: Licence | None = None,
) -> None:
    async def run() -> None:
        bench = Bench(folder, limits, licence)
        await bench.store.open()
        bench.spool.open(bench.store.store_id)
        try:
            await use(bench)
        finally:
            bench.process.close()
            await bench.store.close()

    asyncio.run(run())


def test_tasks_are_done_in_their_order_and_their_media_are_gone(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        tasks = [await bench.enqueue(media) for media in (call(), b"no audio", call())]
        async with working(bench.worker):
            ended = [await bench.end_of(task_id) for task_id in tasks]
        assert [task.state for task in ended] == [TaskState.DONE, TaskState.REJECTED, TaskState.DONE]
        assert isinstance(ended[0].outcome, ChannelResults)
        assert ended[0].expires_s <= ended[2].expires_s < time.time() + 61
        assert bench.files() == set()

    with_bench(tmp_path, use)


def test_progress_is_told_while_a_task_is_running(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        with mock.patch.object(worker_module, "RENEWALS", 240):
            task_id = await bench.enqueue(LONG)
            async with working(bench.worker):
                task = await bench.task_when(task_id, lambda task: task.progress > 0)
                assert task.state is TaskState.RUNNING
                assert 0 < task.progress <= 1
                await bench.store.forget(task_id, Technology.GENDER_OF_MEDIA)

    with_bench(tmp_path, use)


def test_a_task_whose_process_dies_is_done_at_the_next_try(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        task_id = await bench.enqueue(call())
        async with working(bench.worker):
            await bench.kill_process()
            assert (await bench.end_of(task_id)).state is TaskState.DONE

    with_bench(tmp_path, use)


def test_a_file_that_kills_its_process_each_time_fails_alone(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        bad, good = await bench.enqueue(LONG), await bench.enqueue(call())
        begun = []
        hear = bench.process.hear

        async def hear_and_die(path: Path, *more: object) -> object:
            begun.append(path.stem)
            hearing = asyncio.create_task(hear(path, *more))  # type: ignore[arg-type]
            if path.stem == str(bad):
                await bench.kill_process()
            return await hearing

        with mock.patch.object(bench.process, "hear", hear_and_die):
            async with working(bench.worker):
                ended = [await bench.end_of(task_id) for task_id in (bad, good)]
        assert [task.state for task in ended] == [TaskState.FAILED, TaskState.DONE]
        assert begun == [str(bad)] * MAX_TRIES + [str(good)]
        assert isinstance(ended[0].outcome, TaskError)
        assert (ended[0].outcome.type, ended[0].outcome.code) == ("internal", "task.crashed")
        assert bench.files() == set()

    with_bench(tmp_path, use)


def test_a_task_that_takes_too_long_fails_and_the_next_one_is_begun(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        tasks = [await bench.enqueue(LONG) for _ in range(2)]
        async with working(bench.worker):
            ended = [await bench.end_of(task_id) for task_id in tasks]
        for task in ended:
            assert task.state is TaskState.FAILED
            assert isinstance(task.outcome, TaskError)
            assert task.outcome.code == "task.limit-exceeded"
        assert bench.files() == set()

    with_bench(tmp_path, use, ExtractionLimits(AudioLimits(), 0.3, 1024**3))


def test_a_task_that_takes_too_much_memory_fails_and_the_next_one_is_done(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        tasks = [await bench.enqueue(media) for media in (LONG, call())]
        async with working(bench.worker):
            bad, good = [await bench.end_of(task_id) for task_id in tasks]
        assert (bad.state, good.state) == (TaskState.FAILED, TaskState.DONE)
        assert isinstance(bad.outcome, TaskError)
        # A library that does not look at what it was given may crash instead of telling that there is no memory.
        assert bad.outcome.code in ("task.limit-exceeded", "task.crashed")
        assert bench.files() == set()

    with_bench(tmp_path, use, ExtractionLimits(AudioLimits(), 60, ENOUGH_BYTES))


def test_a_task_that_is_deleted_while_it_runs_is_stopped_and_the_next_one_goes_on(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        with mock.patch.object(worker_module, "RENEWALS", 240):
            long, short = await bench.enqueue(LONG), await bench.enqueue(call())
            async with working(bench.worker):
                await bench.task_when(long, lambda task: task.state is TaskState.RUNNING)
                assert await bench.store.forget(long, Technology.GENDER_OF_MEDIA)
                assert (await bench.end_of(short)).state is TaskState.DONE

    with_bench(tmp_path, use)


def test_a_worker_that_stops_finishes_what_is_under_way_and_leaves_the_rest(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        first, second = await bench.enqueue(call()), await bench.enqueue(call())
        async with working(bench.worker):
            await bench.task_when(first, lambda task: task.state is TaskState.RUNNING)
        assert (await bench.store.get(first)).state is TaskState.DONE
        assert (await bench.store.get(second)).state is TaskState.PENDING

    with_bench(tmp_path, use)


def test_what_is_not_finished_in_time_when_a_worker_stops_is_given_back_and_no_try_is_lost(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        task_id = await bench.enqueue(LONG)
        with mock.patch.object(worker_module, "DRAIN_S", 0.1):
            async with working(bench.worker):
                await bench.task_when(task_id, lambda task: task.state is TaskState.RUNNING)
        assert (await bench.store.get(task_id)).state is TaskState.PENDING
        job = await bench.store.claim(NEVER_S)
        assert isinstance(job, Job)
        assert (job.task_id, job.tries) == (task_id, 1)

    with_bench(tmp_path, use)


def test_a_task_whose_worker_was_killed_is_done_by_another_and_its_late_word_is_not_heard(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        task_id = await bench.enqueue(call())
        with mock.patch.object(bench.store, "hold_s", 0.1):
            lost = await bench.store.claim(NEVER_S)
        assert lost is not None
        await asyncio.sleep(0.15)
        async with working(bench.worker):
            done = await bench.end_of(task_id)
        assert done.state is TaskState.DONE
        late = TaskError("internal", "I am late.", "task.crashed")
        assert not await bench.store.finish(lost, TaskState.FAILED, late, NEVER_S)
        assert (await bench.store.get(task_id)).state is TaskState.DONE

    with_bench(tmp_path, use)


def test_a_task_whose_media_are_lost_fails(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        task_id = await bench.enqueue(call())
        await bench.spool.delete(task_id)
        async with working(bench.worker):
            task = await bench.end_of(task_id)
        assert isinstance(task.outcome, TaskError)
        assert (task.state, task.outcome.code) == (TaskState.FAILED, "media.lost")

    with_bench(tmp_path, use)


def test_a_store_that_fails_for_a_while_loses_nothing(tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        failing = {"claim": 2, "finish": 2}

        def flaky(name: str) -> object:
            works = getattr(bench.store, name)

            async def call_it(*arguments: object, **more: object) -> object:
                if failing[name]:
                    failing[name] -= 1
                    raise StoreUnavailableError("gone for a while")
                return await works(*arguments, **more)

            return mock.patch.object(bench.store, name, call_it)

        task_id = await bench.enqueue(call())
        with flaky("claim"), flaky("finish"), mock.patch.object(worker_module, "RETRY_S", 0.01):  # type: ignore[attr-defined]
            async with working(bench.worker):
                assert (await bench.end_of(task_id)).state is TaskState.DONE
        assert failing == {"claim": 0, "finish": 0}

    with_bench(tmp_path, use)


def test_the_licence_is_charged_for_the_audio_that_was_heard_and_never_exceeded(tmp_path: Path) -> None:
    file = tmp_path / "licence.json"
    capacity = '{"period": "total", "audio_s": 20}'
    file.write_text(f'{{"licensee": "A", "valid_until": "2100-01-01T00:00:00Z", "capacity": {capacity}}}')

    async def use(bench: Bench) -> None:
        tasks = [await bench.enqueue(call()) for _ in range(3)]  # two channels of 4 s each
        async with working(bench.worker):
            ended = [await bench.end_of(task_id) for task_id in tasks]
        assert [task.state for task in ended] == [TaskState.DONE, TaskState.DONE, TaskState.FAILED]
        assert isinstance(ended[2].outcome, TaskError)
        assert ended[2].outcome.code == "licensing.capacity-exceeded"
        assert await bench.store.licence_used("total") == {"audio_s": 16.0}

    with_bench(tmp_path, use, licence=read_licence(file))
