"""The promises of the store's port, kept by each engine: one suite for the SQLite file and for a real PostgreSQL."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Mapping
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
        with_stores(engine, lambda store, task=task: store.add(task))
        found = with_stores(engine, lambda store, task=task: store.get(task.task_id))
        assert replace(found, outcome=task.outcome) == task
        assert outcome_bytes(found.outcome) == outcome_bytes(task.outcome)
        assert found.outcome.decision == task.outcome.decision


def test_an_unknown_and_an_expired_task_are_not_found(engine: Engine) -> None:
    task = finished_task(engine, ttl_s=50)

    async def work(store: Store) -> None:
        with pytest.raises(TaskNotFoundError):
            await store.get(uuid.uuid4())
        await store.add(task)
        engine.pass_time(25)
        await store.get(task.task_id)
        engine.pass_time(25)
        with pytest.raises(TaskNotFoundError):
            await store.get(task.task_id)

    with_stores(engine, work)


def test_to_forget_an_expired_task_deletes_it_and_finds_none(engine: Engine) -> None:
    kept, expired = finished_task(engine, ttl_s=100), finished_task(engine, ttl_s=50)

    async def work(store: Store) -> None:
        await store.add(kept)
        await store.add(expired)
        engine.pass_time(75)
        assert not await store.forget(expired.task_id, expired.technology)
        assert (await store.usage()).tasks == 1
        assert await store.forget(kept.task_id, kept.technology)
        assert (await store.usage()).tasks == 0

    with_stores(engine, work)


def test_many_tasks_at_once_are_all_stored_and_counted(engine: Engine) -> None:
    tasks = [finished_task(engine, items) for items in range(1, 401)]

    async def work(one: Store, other: Store) -> None:
        await asyncio.gather(*((one, other)[at % 2].add(task) for at, task in enumerate(tasks)))
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


def test_charges_of_which_nothing_is_stored_add_up_and_outlive_the_process(engine: Engine) -> None:
    async def work(one: Store, other: Store) -> None:
        await one.charge(charge(7))
        assert await other.licence_used("month 2026-11") == {"audio_s": 7}
        await other.charge(charge(2.5))
        await one.charge(replace(charge(10), resource="voiceprints"))
        await one.charge(replace(charge(99, capacity=None), period="total"))
        assert (await one.usage()).tasks == 0

    async def used(store: Store) -> list[Mapping[str, float]]:
        return [await store.licence_used(period) for period in ("month 2026-11", "total")]

    with_stores(engine, work, 2)
    assert with_stores(engine, used) == [{"audio_s": 9.5, "voiceprints": 10}, {"audio_s": 99}]


def test_a_charge_beyond_the_licence_is_refused_and_not_booked(engine: Engine) -> None:
    async def work(store: Store) -> None:
        told = await refusals([store.charge(charge(amount)) for amount in (4, 100, 5)])
        assert told == [None, LicenceCapacityError, None]
        with pytest.raises(LicenceCapacityError, match="9 are used and 2 more"):
            await store.charge(charge(2))
        assert await store.licence_used("month 2026-11") == {"audio_s": 9}

    with_stores(engine, work)


def test_stores_that_charge_without_tasks_at_the_same_time_use_the_licence_up_exactly(engine: Engine) -> None:
    async def work(*stores: Store) -> None:
        told = await refusals([store.charge(charge(7, 1000)) for _ in range(50) for store in stores])
        assert (told.count(None), told.count(LicenceCapacityError)) == (142, 58)
        assert await stores[0].licence_used("month 2026-11") == {"audio_s": 994}

    with_stores(engine, work, 4)


def test_charges_with_tasks_finished_jobs_and_alone_never_go_beyond_the_licence_together(engine: Engine) -> None:
    async def work(*stores: Store) -> None:
        await enqueued(engine, stores[0], 12)
        jobs = [(store, await claimed(store)) for _ in range(4) for store in stores]
        expires_s = engine.now_s() + 60
        alone = [store.charge(charge(3, 100)) for _ in range(20) for store in stores]
        adds = [store.add(finished_task(engine), charge(4, 100)) for _ in range(20) for store in stores]
        ends = [store.finish(job, TaskState.FAILED, FAILED, expires_s, charge(5, 100)) for store, job in jobs]
        calls = list(zip([3] * len(alone) + [4] * len(adds) + [5] * len(ends), alone + adds + ends, strict=True))
        random.Random(1).shuffle(calls)
        told = await refusals([call for _, call in calls])
        assert set(told) == {None, LicenceCapacityError}
        (used,) = (await stores[0].licence_used("month 2026-11")).values()
        assert used == sum(amount for (amount, _), refusal in zip(calls, told, strict=True) if refusal is None)
        assert 100 - 3 < used <= 100
        accepted_adds = sum(amount == 4 and refusal is None for (amount, _), refusal in zip(calls, told, strict=True))
        assert (await stores[0].usage()).tasks == 12 + accepted_adds

    with_stores(engine, work, 3)


def test_a_full_store_still_charges_for_what_it_does_not_store(engine: Engine) -> None:
    async def work(store: Store) -> None:
        await store.add(finished_task(engine, 10))
        calls = [store.charge(charge(1)), store.add(finished_task(engine), charge(1)), store.charge(charge(1))]
        assert await refusals(calls) == [None, StorageFullError, None]
        assert await store.licence_used("month 2026-11") == {"audio_s": 2}

    with_stores(engine, work, capacity_bytes=ROW_BYTES + 80)


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
        told = await refusals([store.add(finished_task(engine, 10)) for _ in range(10) for store in stores])
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
        await store.add(finished_task(engine, 10, ttl_s=50))
        with pytest.raises(StorageFullError):
            await store.add(finished_task(engine, 10))
        with pytest.raises(StorageFullError):
            await enqueued(engine, store)
        engine.pass_time(50)
        await store.add(finished_task(engine, 10))
        usage = await store.usage()
        assert (usage.tasks, usage.stored_bytes) == (1, ROW_BYTES + 80)

    with_stores(engine, work, capacity_bytes=ROW_BYTES + 80)


def test_a_task_that_does_not_fit_takes_no_room_from_those_that_come_with_it(engine: Engine) -> None:
    async def work(store: Store) -> None:
        for _ in range(2):
            await store.add(finished_task(engine, 10, ttl_s=50))
        engine.pass_time(50)
        tasks = [finished_task(engine, items) for items in (1000, 10, 10)]
        assert await refusals([store.add(task) for task in tasks]) == [StorageFullError, None, None]
        assert (await store.usage()).tasks == 2

    with_stores(engine, work, capacity_bytes=2 * (ROW_BYTES + 80))


def test_expired_tasks_go_however_many_they_are_and_unfinished_ones_stay(engine: Engine) -> None:
    async def work(store: Store) -> None:
        await asyncio.gather(*(store.add(finished_task(engine, ttl_s=50)) for _ in range(520)))
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
        begun = [asyncio.create_task(store.add(task)) for task in tasks]
        begun += [asyncio.create_task(store.charge(charge(1, 50))) for _ in tasks]
        await asyncio.sleep(0)
        await store.close()
        await asyncio.gather(*begun)

    asyncio.run(run())
    assert with_stores(engine, lambda store: store.usage()).tasks == 50
    assert with_stores(engine, lambda store: store.licence_used("month 2026-11")) == {"audio_s": 50}


def test_a_caller_that_goes_away_does_not_undo_what_was_accepted(engine: Engine) -> None:
    task = finished_task(engine)

    async def work(store: Store) -> None:
        for call in (store.add(task), store.charge(charge(1))):
            caller = asyncio.create_task(call)
            await asyncio.sleep(0)
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
        await store.add(finished_task(engine), charge(2))
        await store.get(task.task_id)
        assert await store.licence_used("month 2026-11") == {"audio_s": 3}

    with_stores(engine, work)


def test_a_closed_store_and_one_that_was_never_opened_refuse_at_once(engine: Engine) -> None:
    async def run() -> None:
        never, closed = engine.store(), engine.store()
        await never.close()
        await closed.open()
        await closed.close()
        for store in (never, closed):
            calls = [store.add(finished_task(engine)), store.usage(), store.claim(0.0), enqueued(engine, store)]
            assert await refusals([*calls, store.charge(charge(1))]) == [StoreUnavailableError] * 5

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
            await store.add(finished_task(new_engine))
        assert (await stores[0].usage()).tasks == 4
        await asyncio.gather(*(store.close() for store in stores))

    asyncio.run(run())
