"""Any order of a store's operations, on each engine, has the outcome that a simple model says."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from store_engines import FAILED, HOLD_S, ROW_BYTES, Engine, charge, finished_task, pending_task
from voxgender.app.job import Job, NewJob
from voxgender.app.outcome import outcome_bytes
from voxgender.app.store import MAX_TRIES, WORKER_LOST, Store
from voxgender.app.task import TaskState, Technology
from voxgender.core.decision import Decision
from voxgender.core.errors import LicenceCapacityError, StorageFullError, TaskNotFoundError
from voxgender.core.media import ALL

CAPACITY_BYTES = 12 * ROW_BYTES
ALLOWED = 9
TTL_S = 25.0
PERIOD = "month 2026-11"


@dataclass
class Kept:
    """A task as the model has it; ``left_s`` counts down to its end, or to that of its hold."""

    technology: Technology
    state: TaskState
    stored_bytes: int
    left_s: float
    tries: int = 0
    hold: str = ""


@dataclass
class Model:
    """What a store is to tell, with the tasks in the order in which they came."""

    kept: dict[uuid.UUID, Kept] = field(default_factory=dict)
    used: float = 0.0

    @property
    def stored_bytes(self) -> int:
        return sum(task.stored_bytes for task in self.kept.values())

    def expired(self) -> list[uuid.UUID]:
        return [task_id for task_id, task in self.kept.items() if task.state.is_finished and task.left_s <= 0]

    def fits(self, wanted_bytes: int) -> bool:
        """Whether so much fits, after what has expired has gone where it does not fit with it."""
        if self.stored_bytes + wanted_bytes > CAPACITY_BYTES:
            for task_id in self.expired():
                del self.kept[task_id]
        return self.stored_bytes + wanted_bytes <= CAPACITY_BYTES

    def end(self, task: Kept, state: TaskState, result_bytes: int) -> None:
        task.state, task.hold, task.left_s = state, "", TTL_S
        task.stored_bytes += result_bytes

    def next_waiting(self) -> uuid.UUID | None:
        """The task whose job is to be claimed next; those that were begun too often fail on the way."""
        for task_id, task in self.kept.items():
            if task.state is TaskState.PENDING or (task.state is TaskState.RUNNING and task.left_s <= 0):
                if task.tries < MAX_TRIES:
                    return task_id
                self.end(task, TaskState.FAILED, len(outcome_bytes(WORKER_LOST)))
        return None


class Walk:
    """Does each step on the stores and on the model."""

    def __init__(self, engine: Engine, stores: list[Store]) -> None:
        self._engine = engine
        self._stores = stores
        self._model = Model()
        self._jobs: list[Job] = []

    async def step(self, name: str, at: int, number: int) -> None:
        """Take a step: which, on which store, and a number that means something else in each."""
        await getattr(self, name)(self._stores[at % len(self._stores)], number)
        await self._compare(self._stores[(at + 1) % len(self._stores)])

    async def add(self, store: Store, number: int) -> None:
        items, amount = 1 + 20 * (number % 4), number % 3
        task = finished_task(self._engine, items, TTL_S)
        if self._model.used + amount > ALLOWED:
            with pytest.raises(LicenceCapacityError):
                await store.add(task, charge(amount, ALLOWED))
        elif not self._model.fits(ROW_BYTES + 8 * items):
            with pytest.raises(StorageFullError):
                await store.add(task, charge(amount, ALLOWED))
        else:
            await store.add(task, charge(amount, ALLOWED))
            self._model.used += amount
            self._model.kept[task.task_id] = Kept(task.technology, task.state, ROW_BYTES + 8 * items, TTL_S)

    async def charge(self, store: Store, number: int) -> None:
        amount = number % 3
        if self._model.used + amount > ALLOWED:
            with pytest.raises(LicenceCapacityError):
                await store.charge(charge(amount, ALLOWED))
        else:
            await store.charge(charge(amount, ALLOWED))
            self._model.used += amount

    async def enqueue(self, store: Store, number: int) -> None:
        technology = [Technology.GENDER_OF_MEDIA, Technology.EXTRACTION][number % 2]
        task, before = pending_task(self._engine, technology), dict(self._model.kept)
        new = NewJob(ALL, Decision())
        if self._model.used >= ALLOWED:
            with pytest.raises(LicenceCapacityError):
                await store.enqueue(task, new, charge(0, ALLOWED))
        elif not self._model.fits(ROW_BYTES):
            self._model.kept = before  # what was to be stored and what made room for it, all or nothing
            with pytest.raises(StorageFullError):
                await store.enqueue(task, new, charge(0, ALLOWED))
        else:
            await store.enqueue(task, new, charge(0, ALLOWED))
            self._model.kept[task.task_id] = Kept(technology, task.state, ROW_BYTES, 0.0)

    async def claim(self, store: Store, _: int) -> None:
        expected = self._model.next_waiting()
        job = await store.claim(self._engine.now_s() + TTL_S)
        assert (job.task_id if job else None) == expected
        if job:
            task = self._model.kept[job.task_id]
            task.state, task.tries, task.hold, task.left_s = TaskState.RUNNING, task.tries + 1, job.hold, HOLD_S
            assert (job.technology, job.tries) == (task.technology, task.tries)
            self._jobs.append(job)

    async def renew(self, store: Store, number: int) -> None:
        if job := self._job(number):
            held = self._held(job)
            assert await store.renew(job, 0.5) == bool(held)
            if held:
                held.left_s = HOLD_S

    async def finish(self, store: Store, number: int) -> None:
        if not (job := self._job(number)):
            return
        held, amount = self._held(job), number % 4
        finish = store.finish(job, TaskState.FAILED, FAILED, self._engine.now_s() + TTL_S, charge(amount, ALLOWED))
        if held and self._model.used + amount > ALLOWED:
            with pytest.raises(LicenceCapacityError):
                await finish
            return
        assert await finish == bool(held)
        if held:
            self._model.used += amount
            self._model.end(held, TaskState.FAILED, len(outcome_bytes(FAILED)))

    async def give_back(self, store: Store, number: int) -> None:
        if job := self._job(number):
            await store.give_back(job, is_try=number % 2 == 0)
            if held := self._held(job):
                held.state, held.hold = TaskState.PENDING, ""
                held.tries -= number % 2

    async def forget(self, store: Store, number: int) -> None:
        if self._model.kept:
            task_id = list(self._model.kept)[number % len(self._model.kept)]
            is_there = task_id not in self._model.expired()
            assert await store.forget(task_id, self._model.kept.pop(task_id).technology) == is_there

    async def forget_expired(self, store: Store, _: int) -> None:
        expired = self._model.expired()
        assert await store.forget_expired() == len(expired)
        for task_id in expired:
            del self._model.kept[task_id]

    async def pass_time(self, _: Store, number: int) -> None:
        seconds = [3.0, 7.0, 11.0][number % 3]
        self._engine.pass_time(seconds)
        for task in self._model.kept.values():
            task.left_s -= seconds

    def _job(self, number: int) -> Job | None:
        """One of the last jobs that were claimed, perhaps one that is held no more."""
        return self._jobs[-1 - number % min(len(self._jobs), 4)] if self._jobs else None

    def _held(self, job: Job) -> Kept | None:
        task = self._model.kept.get(job.task_id)
        return task if task and task.hold == job.hold else None

    async def _compare(self, store: Store) -> None:
        kept = self._model.kept
        usage = await store.usage()
        assert (usage.tasks, usage.stored_bytes) == (len(kept), self._model.stored_bytes)
        assert (await store.licence_used(PERIOD)).get("audio_s", 0.0) == self._model.used
        unfinished = {task_id for task_id, task in kept.items() if not task.state.is_finished}
        assert await store.unfinished(kept.keys()) == unfinished
        expired = self._model.expired()
        for task_id, task in kept.items():
            if task_id in expired:
                with pytest.raises(TaskNotFoundError):
                    await store.get(task_id)
            else:
                found = await store.get(task_id)
                assert (found.state, found.technology) == (task.state, task.technology)


names = ["add", "charge", "enqueue", "enqueue", "claim", "claim", "renew", "finish", "give_back"]
names += ["forget", "forget_expired"]
steps = st.lists(
    st.tuples(st.sampled_from([*names, "pass_time", "pass_time"]), st.integers(0, 1), st.integers(0, 11)),
    min_size=60,
    max_size=80,
)


@settings(
    max_examples=4,
    phases=[Phase.reuse, Phase.generate],  # to make a failing walk shorter would take minutes
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps)
def test_whatever_is_done_in_whatever_order_the_store_tells_what_the_model_tells(
    engine: Engine, steps: list[tuple[str, int, int]]
) -> None:
    async def run() -> None:
        stores = [engine.store(CAPACITY_BYTES) for _ in range(2)]
        for store in stores:
            await store.open()
        walk = Walk(engine, stores)
        for name, at, number in steps:
            await walk.step(name, at, number)
        for store in stores:
            await store.close()

    engine.empty()
    asyncio.run(run())
