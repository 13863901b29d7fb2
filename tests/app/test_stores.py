"""The promises of the store's port, kept by each engine: one suite for the SQLite file and for a real PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from store_engines import (
    FAILED,
    ROW_BYTES,
    Engine,
    SqliteEngine,
    charge,
    claimed,
    enqueued,
    finished_task,
    refusals,
    with_stores,
)
from voxgender.app.outcome import outcome_bytes
from voxgender.app.store import Store
from voxgender.app.task import TaskState
from voxgender.core.errors import (
    LicenceCapacityError,
    StorageFullError,
    StoreUnavailableError,
    TaskNotFoundError,
)


def test_a_task_is_read_back_bit_by_bit_also_by_a_later_process_s_store(engine: Engine) -> None:
    for items in (1, 3, 50_000):
        task = finished_task(engine, items)
        with_stores(engine, lambda store, task=task: store.add(task, None))
        found = with_stores(engine, lambda store, task=task: store.get(task.task_id))
        assert replace(found, outcome=task.outcome) == task
        assert outcome_bytes(found.outcome) == outcome_bytes(task.outcome)
        assert found.outcome.decision == task.outcome.decision


def test_an_unknown_and_an_expired_task_are_not_found(engine: Engine) -> None:
    task = finished_task(engine, ttl_s=50)

    async def work(store: Store) -> None:
        with pytest.raises(TaskNotFoundError):
            await store.get(uuid.uuid4())
        await store.add(task, None)
        engine.pass_time(25)
        await store.get(task.task_id)
        engine.pass_time(25)
        with pytest.raises(TaskNotFoundError):
            await store.get(task.task_id)

    with_stores(engine, work)


def test_many_tasks_at_once_are_all_stored_and_counted(engine: Engine) -> None:
    tasks = [finished_task(engine, items) for items in range(1, 401)]

    async def work(one: Store, other: Store) -> None:
        await asyncio.gather(*((one, other)[at % 2].add(task, None) for at, task in enumerate(tasks)))
        for task in tasks[::50]:
            assert outcome_bytes((await one.get(task.task_id)).outcome) == outcome_bytes(task.outcome)
        usage = await other.usage()
        assert (usage.tasks, usage.stored_bytes) == (400, 400 * ROW_BYTES + 8 * sum(range(1, 401)))

    with_stores(engine, work, 2)


def test_one_refused_task_of_a_group_does_not_touch_the_others(engine: Engine) -> None:
    async def work(store: Store) -> list[type[BaseException] | None]:
        told = await refusals([store.add(finished_task(engine), charge(amount)) for amount in (4, 100, 5)])
        assert await store.licence_used("month 2026-11") == {"audio_s": 9}
        assert (await store.usage()).tasks == 2
        return told

    assert with_stores(engine, work) == [None, LicenceCapacityError, None]


def test_what_a_licence_has_used_outlives_the_process_and_counts_by_period_and_resource(engine: Engine) -> None:
    with_stores(engine, lambda store: store.add(finished_task(engine), charge(7)))

    async def work(store: Store) -> None:
        with pytest.raises(LicenceCapacityError, match="7 are used and 4 more"):
            await store.add(finished_task(engine), charge(4))
        await store.add(finished_task(engine), charge(3))
        await store.add(finished_task(engine), replace(charge(10), period="month 2026-12"))
        await store.add(finished_task(engine), replace(charge(10), resource="voiceprints"))
        await store.add(finished_task(engine), charge(99, capacity=None))
        assert await store.licence_used("month 2026-11") == {"audio_s": 109, "voiceprints": 10}
        assert await store.licence_used("month 2027-01") == {}

    with_stores(engine, work)


def test_stores_that_charge_at_the_same_time_never_go_beyond_the_licence(engine: Engine) -> None:
    async def work(*stores: Store) -> None:
        adds = [store.add(finished_task(engine), charge(1, 50)) for _ in range(40) for store in stores]
        told = await refusals(adds)
        assert (told.count(None), told.count(LicenceCapacityError)) == (50, 110)
        assert await stores[0].licence_used("month 2026-11") == {"audio_s": 50}
        assert (await stores[1].usage()).tasks == 50

    with_stores(engine, work, 4)


def test_holders_that_finish_at_the_same_time_never_go_beyond_the_licence(engine: Engine) -> None:
    async def work(*stores: Store) -> None:
        await enqueued(engine, stores[0], 12)
        jobs = [(store, await claimed(store)) for _ in range(4) for store in stores]
        expires_s = engine.now_s() + 60
        told = await refusals(
            [store.finish(job, TaskState.FAILED, FAILED, expires_s, charge(3)) for store, job in jobs]
        )
        assert (told.count(None), told.count(LicenceCapacityError)) == (3, 9)
        assert await stores[0].licence_used("month 2026-11") == {"audio_s": 9}

    with_stores(engine, work, 3)


def test_stores_that_add_at_the_same_time_never_go_beyond_the_capacity(engine: Engine) -> None:
    async def work(*stores: Store) -> None:
        told = await refusals([store.add(finished_task(engine, 10), None) for _ in range(10) for store in stores])
        assert (told.count(None), told.count(StorageFullError)) == (12, 28)
        assert (await stores[0].usage()).stored_bytes == 12 * (ROW_BYTES + 80)

    with_stores(engine, work, 4, capacity_bytes=12 * (ROW_BYTES + 80) + 79)


def test_a_task_that_the_storage_refuses_is_not_charged(engine: Engine) -> None:
    async def work(store: Store) -> None:
        with pytest.raises(StorageFullError, match="VOXGENDER_STORAGE_CAPACITY_BYTES"):
            await store.add(finished_task(engine, 1000), charge(5))
        assert await store.licence_used("month 2026-11") == {}
        usage = await store.usage()
        assert (usage.stored_bytes, usage.capacity_bytes) == (0, ROW_BYTES + 7999)

    with_stores(engine, work, capacity_bytes=ROW_BYTES + 7999)
    with_stores(
        engine, lambda store: store.add(finished_task(engine, 1000), charge(5)), capacity_bytes=ROW_BYTES + 8000
    )


def test_a_full_store_makes_room_from_what_has_expired(engine: Engine) -> None:
    async def work(store: Store) -> None:
        await store.add(finished_task(engine, 10, ttl_s=50), None)
        with pytest.raises(StorageFullError):
            await store.add(finished_task(engine, 10), None)
        with pytest.raises(StorageFullError):
            await enqueued(engine, store)
        engine.pass_time(50)
        await store.add(finished_task(engine, 10), None)
        usage = await store.usage()
        assert (usage.tasks, usage.stored_bytes) == (1, ROW_BYTES + 80)

    with_stores(engine, work, capacity_bytes=ROW_BYTES + 80)


def test_a_task_that_does_not_fit_takes_no_room_from_those_that_come_with_it(engine: Engine) -> None:
    async def work(store: Store) -> None:
        for _ in range(2):
            await store.add(finished_task(engine, 10, ttl_s=50), None)
        engine.pass_time(50)
        tasks = [finished_task(engine, items) for items in (1000, 10, 10)]
        assert await refusals([store.add(task, None) for task in tasks]) == [StorageFullError, None, None]
        assert (await store.usage()).tasks == 2

    with_stores(engine, work, capacity_bytes=2 * (ROW_BYTES + 80))


def test_expired_tasks_go_however_many_they_are_and_unfinished_ones_stay(engine: Engine) -> None:
    async def work(store: Store) -> None:
        await asyncio.gather(*(store.add(finished_task(engine, ttl_s=50), None) for _ in range(520)))
        (waiting,) = await enqueued(engine, store)
        assert await store.forget_expired() == 0
        engine.pass_time(50)
        assert await store.forget_expired() == 520
        usage = await store.usage()
        assert (usage.tasks, usage.stored_bytes) == (1, ROW_BYTES)
        assert (await store.get(waiting)).state is TaskState.PENDING

    with_stores(engine, work)


def test_what_waits_is_still_committed_when_the_store_closes(engine: Engine) -> None:
    tasks = [finished_task(engine) for _ in range(50)]

    async def run() -> None:
        store = engine.store()
        await store.open()
        adding = [asyncio.create_task(store.add(task, None)) for task in tasks]
        await asyncio.sleep(0)
        await store.close()
        await asyncio.gather(*adding)

    asyncio.run(run())
    assert with_stores(engine, lambda store: store.usage()).tasks == 50


def test_a_caller_that_goes_away_does_not_undo_what_was_accepted(engine: Engine) -> None:
    task = finished_task(engine)

    async def work(store: Store) -> None:
        adding = asyncio.create_task(store.add(task, None))
        await asyncio.sleep(0)
        adding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await adding
        await store.add(finished_task(engine), None)
        await store.get(task.task_id)

    with_stores(engine, work)


def test_a_closed_store_and_one_that_was_never_opened_refuse_at_once(engine: Engine) -> None:
    async def run() -> None:
        never, closed = engine.store(), engine.store()
        await never.close()
        await closed.open()
        await closed.close()
        for store in (never, closed):
            calls = [store.add(finished_task(engine), None), store.usage(), store.claim(0.0), enqueued(engine, store)]
            assert await refusals(calls) == [StoreUnavailableError] * 4

    asyncio.run(run())


def test_a_store_is_known_by_an_id_of_its_own(engine: Engine, tmp_path: Path) -> None:
    async def ids(*stores: Store) -> set[str]:
        return {store.store_id for store in stores}

    (one,) = with_stores(engine, ids, 2)
    assert with_stores(engine, ids) == {one}
    (tmp_path / "other").mkdir()
    assert with_stores(SqliteEngine(tmp_path / "other"), ids).isdisjoint({one, ""})


def test_stores_that_open_at_once_on_nothing_all_work(new_engine: Engine) -> None:
    async def run() -> None:
        stores = [new_engine.store() for _ in range(4)]
        await asyncio.gather(*(store.open() for store in stores))
        for store in stores:
            await store.add(finished_task(new_engine), None)
        assert (await stores[0].usage()).tasks == 4
        await asyncio.gather(*(store.close() for store in stores))

    asyncio.run(run())
