"""The engines that keep the store's promises, in the same terms, and tasks for them."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psycopg
import pytest

from postgres import empty_store
from voxgender.app.job import Job, NewJob
from voxgender.app.licence import Charge
from voxgender.app.postgres_store import PostgresStore
from voxgender.app.sqlite_store import SqliteStore
from voxgender.app.store import Store
from voxgender.app.task import NEVER_S, Task, TaskError, TaskState, Technology
from voxgender.core.decision import Decision
from voxgender.core.media import ALL
from voxgender.core.result import Results

T = TypeVar("T")
HOLD_S = 10.0
LARGE = 10**9
ROW_BYTES = 256
"""What a task takes up besides its result, in every engine."""
FAILED = TaskError("internal", "It took too long.", "task.limit-exceeded")


class SqliteEngine:
    """Stores on one file; time is a clock of the test's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clock_s = time.time()
        self.empty()

    def empty(self) -> None:
        """Have nothing; no store is open."""
        self.path = self._folder / f"{uuid.uuid4()}.db"

    def store(self, capacity_bytes: int = LARGE) -> Store:
        return SqliteStore(self.path, capacity_bytes, HOLD_S, self.now_s)

    def now_s(self) -> float:
        return self._clock_s

    def pass_time(self, seconds: float) -> None:
        self._clock_s += seconds


class PostgresEngine:
    """Stores on one database; its clock is the server's, so everything that is in it becomes older instead."""

    def __init__(self, url: str) -> None:
        self.url = url

    def empty(self) -> None:
        """Have nothing in the tables, which have been made."""
        empty_store(self.url)

    def store(self, capacity_bytes: int = LARGE) -> Store:
        return PostgresStore(self.url, capacity_bytes, HOLD_S)

    def now_s(self) -> float:
        return time.time()

    def pass_time(self, seconds: float) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("UPDATE voxgender.task SET expires_s = expires_s - %s", [seconds])
            connection.execute(
                "UPDATE voxgender.pgqueuer SET heartbeat = heartbeat - make_interval(secs => %s),"
                " created = created - make_interval(secs => %s)",
                [seconds, seconds],
            )


Engine = SqliteEngine | PostgresEngine


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """An engine with nothing in it."""
    if request.param == "sqlite":
        return SqliteEngine(tmp_path)
    engine = PostgresEngine(request.getfixturevalue("store_url"))
    engine.empty()
    return engine


@pytest.fixture(params=["sqlite", "postgres"])
def new_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """An engine without so much as tables."""
    if request.param == "sqlite":
        return SqliteEngine(tmp_path)
    return PostgresEngine(request.getfixturevalue("postgres_url"))


def with_stores(engine: Engine, work: Callable[..., Awaitable[T]], count: int = 1, capacity_bytes: int = LARGE) -> T:
    """Do some work on as many stores as there would be processes, which all have the same tasks."""

    async def run() -> T:
        stores = [engine.store(capacity_bytes) for _ in range(count)]
        for store in stores:
            await store.open()
        try:
            return await work(*stores)
        finally:
            for store in stores:
                await store.close()

    return asyncio.run(run())


def results(items: int, decision: Decision) -> Results:
    numbers = np.random.default_rng(items).normal(size=(2, items)).astype(np.float32)
    return Results(np.abs(numbers[0]), numbers[1], decision)


def finished_task(engine: Engine, items: int = 3, ttl_s: float = 60.0) -> Task:
    now_s = engine.now_s()
    outcome = results(items, Decision(0.25, 0.75))
    return Task(uuid.uuid4(), Technology.GENDER_OF_VOICEPRINTS, TaskState.DONE, now_s, now_s + ttl_s, outcome)


def pending_task(engine: Engine, technology: Technology = Technology.GENDER_OF_MEDIA) -> Task:
    return Task(uuid.uuid4(), technology, TaskState.PENDING, engine.now_s(), NEVER_S, None, 0.0)


async def enqueued(engine: Engine, store: Store, count: int = 1) -> list[uuid.UUID]:
    """Enqueue some tasks one after the other and return their ids."""
    tasks = [pending_task(engine) for _ in range(count)]
    for task in tasks:
        await store.enqueue(task, NewJob(ALL, Decision()))
    return [task.task_id for task in tasks]


async def claimed(store: Store, lost_expires_s: float = 0.0) -> Job:
    job = await store.claim(lost_expires_s)
    assert job is not None
    return job


def charge(amount: float, capacity: float | None = 10) -> Charge:
    return Charge("audio_s", amount, "month 2026-11", capacity)


async def refusals(calls: list[Awaitable[Any]]) -> list[type[BaseException] | None]:
    """Await calls at the same time and return the class of each one's error."""
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    return [type(outcome) if isinstance(outcome, BaseException) else None for outcome in outcomes]
