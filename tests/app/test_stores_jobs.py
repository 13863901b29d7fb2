"""The promises of the store's port about jobs, kept by each engine."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

import pytest

from store_engines import (
    FAILED,
    HOLD_S,
    ROW_BYTES,
    Engine,
    charge,
    claimed,
    enqueued,
    finished_task,
    pending_task,
    results,
    with_stores,
)
from voxgender.app.job import NewJob
from voxgender.app.outcome import outcome_bytes
from voxgender.app.store import MAX_TRIES, WORKER_LOST, Store
from voxgender.app.task import Outcome, TaskError, TaskState, Technology
from voxgender.core.channels import ChannelResults, ChannelVoiceprints
from voxgender.core.decision import Decision
from voxgender.core.errors import (
    LicenceCapacityError,
    TaskNotFoundError,
)
from voxgender.core.media import ALL, MediaOptions


def test_a_job_comes_with_what_was_enqueued_and_its_task_is_running(engine: Engine) -> None:
    options = MediaOptions("mix", (0, 3), 1.5, 7.25, 30.0)
    task = pending_task(engine, Technology.EXTRACTION)

    async def work(one: Store, other: Store) -> None:
        await one.enqueue(task, NewJob(options, Decision(0.3, 0.6), "call-7"))
        assert await other.get(task.task_id) == task
        job = await claimed(other)
        assert (job.task_id, job.technology, job.tries) == (task.task_id, Technology.EXTRACTION, 1)
        assert (job.options, job.decision, job.correlation_id) == (options, Decision(0.3, 0.6), "call-7")
        assert await one.get(task.task_id) == replace(task, state=TaskState.RUNNING)
        assert await other.renew(job, 0.625)
        assert (await one.get(task.task_id)).progress == 0.625

    with_stores(engine, work, 2)


ENDS: list[tuple[Technology, TaskState, Outcome]] = [
    (Technology.GENDER_OF_MEDIA, TaskState.DONE, ChannelResults((0, 2), results(2, Decision(0.3, 0.6)))),
    (Technology.EXTRACTION, TaskState.DONE, ChannelVoiceprints((0, 1), (b"\x00one\xff", b"two"))),
    (Technology.GENDER_OF_MEDIA, TaskState.FAILED, FAILED),
    (
        Technology.EXTRACTION,
        TaskState.REJECTED,
        TaskError("task.validation-error", "It is no audio.", "media.invalid", ("body", "file"), {"bytes": 3.5}),
    ),
]


def test_whatever_a_holder_finishes_with_is_told_with_the_decision_that_was_enqueued(engine: Engine) -> None:
    async def work(store: Store) -> None:
        stored_bytes = 0
        for technology, state, outcome in ENDS:
            task, expires_s = pending_task(engine, technology), engine.now_s() + 60
            await store.enqueue(task, NewJob(ALL, Decision(0.3, 0.6)))
            assert await store.finish(await claimed(store), state, outcome, expires_s)
            found = await store.get(task.task_id)
            assert outcome_bytes(found.outcome) == outcome_bytes(outcome)
            if isinstance(found.outcome, ChannelResults):
                assert found.outcome.results.decision == Decision(0.3, 0.6)
            told = replace(task, state=state, expires_s=expires_s, progress=1.0)
            assert replace(found, outcome=None) == told
            stored_bytes += ROW_BYTES + len(outcome_bytes(outcome))
        assert (await store.usage()).stored_bytes == stored_bytes
        engine.pass_time(60)
        assert await store.forget_expired() == len(ENDS)
        assert (await store.usage()).stored_bytes == 0

    with_stores(engine, work)


def test_jobs_are_claimed_in_the_order_in_which_they_came(engine: Engine) -> None:
    async def work(one: Store, other: Store) -> None:
        expected = [(await enqueued(engine, store))[0] for store in (one, other, other, one, other)]
        assert [(await claimed(store)).task_id for store in (other, one, other, other, one)] == expected
        assert await one.claim(0.0) is None

    with_stores(engine, work, 2)


def test_of_many_that_claim_at_once_each_job_goes_to_one(engine: Engine) -> None:
    async def work(*stores: Store) -> None:
        expected = await enqueued(engine, stores[0], 20)
        jobs = await asyncio.gather(*(store.claim(0.0) for store in stores for _ in range(8)))
        assert sorted(job.task_id for job in jobs if job) == sorted(expected)

    with_stores(engine, work, 3)


def test_a_job_whose_holder_says_nothing_goes_to_another_and_the_first_is_not_heard_any_more(engine: Engine) -> None:
    async def work(one: Store, other: Store) -> None:
        (task_id,) = await enqueued(engine, one)
        lost = await claimed(one)
        engine.pass_time(HOLD_S - 2)
        assert await one.renew(lost, 0.5)
        engine.pass_time(HOLD_S - 2)
        assert await other.claim(0.0) is None
        engine.pass_time(2.5)
        job = await claimed(other)
        assert (job.task_id, job.tries, (await one.get(task_id)).progress) == (task_id, 2, 0.0)
        assert not await one.renew(lost, 0.9)
        assert not await one.finish(lost, TaskState.FAILED, FAILED, engine.now_s() + 60, charge(1))
        await one.give_back(lost, is_try=True)
        assert await one.claim(0.0) is None
        assert await other.renew(job, 0.25)
        assert (await one.get(task_id)).progress == 0.25
        assert await one.licence_used("month 2026-11") == {}

    with_stores(engine, work, 2)


def test_how_long_a_job_is_held_is_for_its_holder_to_say_not_for_who_claims(engine: Engine) -> None:
    async def work(patient: Store, hasty: Store) -> None:
        patient.hold_s, hasty.hold_s = 100.0, 1.0
        await enqueued(engine, patient, 2)
        slow, quick = await claimed(patient), await claimed(hasty)
        engine.pass_time(5)
        assert (await claimed(hasty)).task_id == quick.task_id
        assert await hasty.claim(0) is None
        assert await patient.renew(slow, 0.5)
        engine.pass_time(99)
        assert (await claimed(hasty)).task_id == quick.task_id
        assert await hasty.claim(0) is None
        engine.pass_time(2)
        assert (await claimed(patient)).task_id == slow.task_id

    with_stores(engine, work, 2)


def test_a_holder_that_is_late_keeps_a_job_that_nobody_has_taken(engine: Engine) -> None:
    async def work(store: Store) -> None:
        await enqueued(engine, store)
        job = await claimed(store)
        engine.pass_time(HOLD_S + 5)
        assert await store.renew(job, 0.5)
        assert await store.claim(0.0) is None
        engine.pass_time(HOLD_S + 5)
        assert await store.finish(job, TaskState.FAILED, FAILED, engine.now_s() + 60)

    with_stores(engine, work)


def test_a_task_whose_workers_die_each_time_has_failed_after_some_tries(engine: Engine) -> None:
    async def work(store: Store) -> None:
        first, second = await enqueued(engine, store, 2)
        expires_s = engine.now_s() + 1000
        for tries in range(1, MAX_TRIES + 1):
            job = await claimed(store)
            assert (job.task_id, job.tries) == (first, tries)
            engine.pass_time(HOLD_S + 1)
        assert (await claimed(store, expires_s)).task_id == second
        found = await store.get(first)
        assert (found.state, found.outcome, found.progress) == (TaskState.FAILED, WORKER_LOST, 1.0)
        assert expires_s - 1000 < found.expires_s <= expires_s
        assert not await store.finish(job, TaskState.FAILED, FAILED, expires_s)
        assert await store.unfinished([first, second]) == {second}
        assert (await store.usage()).stored_bytes == 2 * ROW_BYTES + len(outcome_bytes(WORKER_LOST))

    with_stores(engine, work)


@pytest.mark.parametrize("is_try", [True, False])
def test_a_job_that_is_given_back_keeps_its_place_and_counts_as_a_try_or_not(engine: Engine, is_try: bool) -> None:
    async def work(one: Store, other: Store) -> None:
        first, _ = await enqueued(engine, one, 2)
        for time_ in range(5):
            job = await other.claim(engine.now_s() + 60)
            assert job is not None
            if is_try and time_ >= MAX_TRIES:
                assert job.task_id != first
                assert (await one.get(first)).outcome == WORKER_LOST
                return
            assert (job.task_id, job.tries) == (first, time_ + 1 if is_try else 1)
            await other.give_back(job, is_try=is_try)
            assert (await one.get(first)).state is TaskState.PENDING
            assert not await other.renew(job, 0.5)
        assert not is_try

    with_stores(engine, work, 2)


def test_of_two_ways_to_finish_at_the_same_time_one_counts(engine: Engine) -> None:
    async def work(*stores: Store) -> None:
        for _ in range(10):
            (task_id,) = await enqueued(engine, stores[0])
            job, expires_s = await claimed(stores[0]), engine.now_s() + 60
            ends = [store.finish(job, TaskState.FAILED, FAILED, expires_s, charge(1, None)) for store in stores]
            assert sorted(await asyncio.gather(*ends)) == [False, False, True]
            assert (await stores[0].get(task_id)).state is TaskState.FAILED
        assert await stores[0].licence_used("month 2026-11") == {"audio_s": 10}
        assert (await stores[0].usage()).stored_bytes == 10 * (ROW_BYTES + len(outcome_bytes(FAILED)))

    with_stores(engine, work, 3)


def test_a_charge_that_the_licence_does_not_allow_leaves_the_job_held(engine: Engine) -> None:
    async def work(store: Store) -> None:
        (task_id,) = await enqueued(engine, store)
        job, expires_s = await claimed(store), engine.now_s() + 60
        with pytest.raises(LicenceCapacityError, match="0 are used and 11 more"):
            await store.finish(job, TaskState.FAILED, FAILED, expires_s, charge(11))
        assert (await store.get(task_id)).state is TaskState.RUNNING
        assert await store.claim(0.0) is None
        assert await store.renew(job, 0.5)
        assert await store.finish(job, TaskState.FAILED, FAILED, expires_s, charge(10))
        assert await store.licence_used("month 2026-11") == {"audio_s": 10}

    with_stores(engine, work)


def test_nothing_is_enqueued_once_the_licence_is_used_up(engine: Engine) -> None:
    async def work(store: Store) -> None:
        await store.enqueue(pending_task(engine), NewJob(ALL, Decision()), charge(0, 10))
        assert await store.licence_used("month 2026-11") == {}
        await store.add(finished_task(engine), charge(10))
        with pytest.raises(LicenceCapacityError, match="10 are used"):
            await store.enqueue(pending_task(engine), NewJob(ALL, Decision()), charge(0))
        await store.enqueue(pending_task(engine), NewJob(ALL, Decision()), charge(0, None))
        assert (await store.usage()).tasks == 3

    with_stores(engine, work)


def test_a_deleted_task_is_gone_whatever_its_state_and_so_is_its_job(engine: Engine) -> None:
    async def work(one: Store, other: Store) -> None:
        running, pending, ended = await enqueued(engine, one, 3)
        finished = finished_task(engine)
        await one.add(finished)
        job = await claimed(one)
        assert job.task_id == running
        for task_id in (running, pending):
            assert not await other.forget(task_id, Technology.EXTRACTION)
            assert await other.forget(task_id, Technology.GENDER_OF_MEDIA)
            assert not await other.forget(task_id, Technology.GENDER_OF_MEDIA)
            with pytest.raises(TaskNotFoundError):
                await one.get(task_id)
        assert not await one.renew(job, 0.5)
        assert not await one.finish(job, TaskState.FAILED, FAILED, engine.now_s() + 60, charge(1))
        await one.give_back(job, is_try=False)
        last = await claimed(one)
        assert last.task_id == ended
        assert await one.finish(last, TaskState.FAILED, FAILED, engine.now_s() + 60)
        assert await one.forget(ended, Technology.GENDER_OF_MEDIA)
        assert await one.forget(finished.task_id, Technology.GENDER_OF_VOICEPRINTS)
        assert await one.claim(0.0) is None
        assert ((await one.usage()).tasks, (await one.usage()).stored_bytes) == (0, 0)
        assert await one.licence_used("month 2026-11") == {}

    with_stores(engine, work, 2)


def test_of_some_ids_those_of_unfinished_tasks_are_told(engine: Engine) -> None:
    async def work(store: Store) -> None:
        running, pending, ended = await enqueued(engine, store, 3)
        jobs = [await claimed(store) for _ in range(3)]
        finished = finished_task(engine)
        await store.add(finished)
        await store.give_back(jobs[1], is_try=True)
        await store.finish(jobs[2], TaskState.FAILED, FAILED, engine.now_s() + 60)
        ids = [running, pending, ended, finished.task_id, uuid.uuid4()]
        assert await store.unfinished(ids) == {running, pending}
        assert await store.unfinished([]) == set()

    with_stores(engine, work)


def test_deleting_finishing_and_claiming_at_the_same_time_end_in_order_and_never_in_a_deadlock(engine: Engine) -> None:
    async def act(store: Store, at: int) -> None:
        for _ in range(6):
            (task_id,) = await enqueued(engine, store)
            job, expires_s = await store.claim(0.0), engine.now_s() + 60
            if at % 3 == 0:
                await store.forget(task_id, Technology.GENDER_OF_MEDIA)
            if job is not None:
                await store.renew(job, 0.5)
                if at % 3 == 1:
                    await store.give_back(job, is_try=False)
                else:
                    await store.finish(job, TaskState.FAILED, FAILED, expires_s, charge(1, None))
            await store.forget_expired()

    async def work(*stores: Store) -> None:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for at in range(9):
                group.create_task(act(stores[at % 3], at))
        while (job := await stores[0].claim(0.0)) is not None:
            assert await stores[0].finish(job, TaskState.FAILED, FAILED, engine.now_s() + 60, charge(1, None))
        usage, used = await stores[1].usage(), await stores[1].licence_used("month 2026-11")
        assert usage.stored_bytes == usage.tasks * (ROW_BYTES + len(outcome_bytes(FAILED)))
        assert usage.tasks <= used["audio_s"] <= 54

    with_stores(engine, work, 3)
