"""A submission that comes again makes no second task: with each engine, however many hosts it comes to at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from store_engines import (
    FAILED,
    Engine,
    charge,
    claimed,
    finished_task,
    pending_task,
    refusals,
    with_stores,
)
from voxgender.app.job import NewJob
from voxgender.app.store import Store
from voxgender.app.submission import Submission
from voxgender.app.task import TaskState
from voxgender.core.decision import Decision
from voxgender.core.errors import LicenceCapacityError, RequestValidationError
from voxgender.core.media import ALL

FIRST = Submission(b"name one", b"a list")
OTHER = Submission(b"name one", b"another list")
SECOND = Submission(b"name two", b"a list")


def test_a_repeat_is_told_the_first_task_and_neither_stored_nor_charged(engine: Engine) -> None:
    tasks = [finished_task(engine) for _ in range(3)]

    async def work(store: Store) -> None:
        assert await store.add(tasks[0], charge(6), submission=FIRST) == tasks[0].task_id
        assert await store.add(tasks[1], charge(6), submission=FIRST) == tasks[0].task_id
        assert await store.add(tasks[2], charge(4), submission=SECOND) == tasks[2].task_id
        assert (await store.usage()).tasks == 2
        assert await store.licence_used(charge(1).period) == {charge(1).resource: 10}

    with_stores(engine, work)


def test_a_repeat_is_told_its_task_also_where_nothing_more_may_be_used(engine: Engine) -> None:
    task = finished_task(engine)

    async def work(store: Store) -> None:
        await store.add(task, charge(10), submission=FIRST)
        with pytest.raises(LicenceCapacityError):
            await store.add(finished_task(engine), charge(10), submission=SECOND)
        assert await store.add(finished_task(engine), charge(10), submission=FIRST) == task.task_id

    with_stores(engine, work)


def test_of_many_repeats_at_once_on_several_hosts_one_is_stored(engine: Engine) -> None:
    tasks = [finished_task(engine) for _ in range(60)]

    async def work(*stores: Store) -> None:
        adding = [
            stores[at % len(stores)].add(task, charge(1), submission=Submission(bytes([at % 5]), b"x"))
            for at, task in enumerate(tasks)
        ]
        told = await asyncio.gather(*adding)
        for at in range(5):
            assert len(set(told[at::5])) == 1
        assert len(set(told)) == (await stores[0].usage()).tasks == 5
        assert await stores[1].licence_used(charge(1).period) == {charge(1).resource: 5}

    with_stores(engine, work, count=3)


def test_the_same_name_with_something_else_is_refused_and_changes_nothing(engine: Engine) -> None:
    task = finished_task(engine)

    async def work(store: Store) -> None:
        calls = [
            store.add(task, submission=FIRST),
            store.add(finished_task(engine), charge(1), submission=OTHER),
            store.add(finished_task(engine), charge(1)),
        ]
        assert await refusals(calls) == [None, RequestValidationError, None]
        with pytest.raises(RequestValidationError, match="another request") as refused:
            await store.add(finished_task(engine), submission=OTHER)
        assert refused.value.reason == "idempotency-key.reused"
        assert await store.add(finished_task(engine), submission=FIRST) == task.task_id
        assert (await store.usage()).tasks == 2

    with_stores(engine, work)


def test_a_refused_submission_may_come_again(engine: Engine) -> None:
    async def work(store: Store) -> None:
        for allowed in (0, 10):
            task = finished_task(engine)
            told = await refusals([store.add(task, charge(1, allowed), submission=FIRST)])
            assert told == [LicenceCapacityError if allowed == 0 else None]
        assert await store.add(finished_task(engine), submission=FIRST) == task.task_id

    with_stores(engine, work)


def test_the_name_of_an_expired_or_deleted_task_is_free_again(engine: Engine) -> None:
    async def work(store: Store) -> None:
        before, after, last = (finished_task(engine, ttl_s=ttl_s) for ttl_s in (50, 500, 500))
        await store.add(before, submission=FIRST)
        engine.pass_time(60)
        after = replace(after, expires_s=engine.now_s() + 50)
        assert await store.add(after, submission=OTHER) == after.task_id
        assert await store.forget(after.task_id, after.technology)
        assert await store.add(last, submission=FIRST) == last.task_id

    with_stores(engine, work)


def test_a_job_that_comes_again_is_done_once_and_its_task_told_when_it_is_over_too(engine: Engine) -> None:
    task, job = pending_task(engine), NewJob(ALL, Decision())

    async def work(*stores: Store) -> None:
        repeats = [stores[at % 2].enqueue(pending_task(engine), job, charge(1), submission=FIRST) for at in range(6)]
        first = await stores[0].enqueue(task, job, submission=FIRST)
        assert set(await asyncio.gather(*repeats)) == {first}
        held = await claimed(stores[1])
        assert await stores[0].claim(0.0) is None
        expires_s = engine.now_s() + 60
        assert await stores[1].finish(held, TaskState.FAILED, FAILED, expires_s)
        assert await stores[0].enqueue(pending_task(engine), job, submission=FIRST) == first
        assert (await stores[0].get(first)).state is TaskState.FAILED
        assert await stores[0].claim(0.0) is None

    with_stores(engine, work, count=2)


def test_the_owner_of_a_task_is_kept_and_told_to_who_does_its_job(engine: Engine) -> None:
    async def work(store: Store) -> None:
        done, waiting = replace(finished_task(engine), owner="3f9a17c2"), replace(pending_task(engine), owner="77aa")
        await store.add(done)
        await store.enqueue(waiting, NewJob(ALL, Decision()))
        assert (await store.get(done.task_id)).owner == "3f9a17c2"
        assert (await claimed(store)).owner == "77aa"

    with_stores(engine, work)
