"""A store that an earlier version wrote is brought to the present one with all that is in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import psycopg

from store_engines import (
    FAILED,
    Engine,
    PostgresEngine,
    charge,
    claimed,
    finished_task,
    pending_task,
    with_stores,
)
from voxgender.app.job import NewJob
from voxgender.app.key import new_key
from voxgender.app.outcome import outcome_bytes
from voxgender.app.store import Store
from voxgender.app.submission import Submission
from voxgender.app.task import TaskState
from voxgender.core.decision import Decision
from voxgender.core.media import MediaOptions

OLD_TEXT = '{"options":{"channel_mode":"mix","channels":[1]},"correlation_id":"call-7"}'
"""What a version before the traces wrote of a job."""
COLUMNS = ("owner", "submission", "fingerprint")


def take_back_the_keys(engine: Engine) -> None:
    """Make the tables those of the version before keys and repeated requests, with the rows that are in them."""
    if isinstance(engine, PostgresEngine):
        with psycopg.connect(engine.url, autocommit=True) as connection:
            connection.execute("DROP TABLE voxgender.api_key")
            for column in COLUMNS:
                connection.execute(f"ALTER TABLE voxgender.task DROP COLUMN {column}")
            connection.execute("UPDATE voxgender.task SET options = %s WHERE options IS NOT NULL", [OLD_TEXT])
            connection.execute("UPDATE voxgender.version SET tables = 1")
        return
    with closing(sqlite3.connect(engine.path, isolation_level=None)) as connection:
        connection.execute("DROP TABLE api_key")
        connection.execute("DROP INDEX task_submission")
        for column in COLUMNS:
            connection.execute(f"ALTER TABLE task DROP COLUMN {column}")
        connection.execute("UPDATE job SET options = ?", [OLD_TEXT])
        connection.execute("PRAGMA user_version = 2")


def test_tasks_jobs_and_charges_of_before_the_keys_are_there_after_the_upgrade(new_engine: Engine) -> None:
    engine = new_engine
    done, waiting = finished_task(engine), pending_task(engine)
    key, _ = new_key("new", 0.0)

    async def before(store: Store) -> None:
        await store.add(done, charge(4))
        await store.enqueue(waiting, NewJob(MediaOptions("mix", (1,)), Decision(0.3, 0.6), "call-7"))

    async def after(store: Store) -> None:
        found = await store.get(done.task_id)
        assert replace(found, outcome=done.outcome) == done
        assert outcome_bytes(found.outcome) == outcome_bytes(done.outcome)
        assert (await store.usage()).tasks == 2
        assert await store.licence_used(charge(1).period) == {charge(1).resource: 4}
        job = await claimed(store)
        assert (job.task_id, job.owner, job.correlation_id) == (waiting.task_id, "", "call-7")
        assert (job.options, job.decision) == (MediaOptions("mix", (1,)), Decision(0.3, 0.6))
        assert await store.finish(job, TaskState.FAILED, FAILED, engine.now_s() + 60)
        await store.add_key(key)
        assert await store.keys() == [key]
        again = [finished_task(engine) for _ in range(2)]
        told = [await store.add(task, submission=Submission(b"a", b"b")) for task in again]
        assert told == [again[0].task_id] * 2

    with_stores(engine, before)
    take_back_the_keys(engine)
    with_stores(engine, after)
