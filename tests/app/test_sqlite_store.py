"""Promises of the embedded store alone, on a real file; those of every store are in test_stores*.py."""

from __future__ import annotations

import asyncio
import errno
import shutil
import sqlite3
import stat
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TypeVar
from unittest.mock import Mock

import numpy as np
import pytest

from voxgender.app.job import NewJob
from voxgender.app.licence import Charge
from voxgender.app.sqlite_store import WAL_BYTES, SqliteStore
from voxgender.app.task import NEVER_S, Task, TaskState, Technology
from voxgender.core.channels import ChannelVoiceprints
from voxgender.core.decision import Decision
from voxgender.core.errors import (
    SettingsError,
    StorageFullError,
    StoreUnavailableError,
)
from voxgender.core.media import ALL
from voxgender.core.result import Results

T = TypeVar("T")
NOW_S = 1_000_000.0
LARGE = 10**9


def make_task(items: int = 3, ttl_s: float = 60.0, created_s: float = NOW_S) -> Task:
    numbers = np.random.default_rng(items).normal(size=(2, items)).astype(np.float32)
    results = Results(np.abs(numbers[0]), numbers[1], Decision(0.25, 0.75))
    return Task(uuid.uuid4(), Technology.GENDER_OF_VOICEPRINTS, TaskState.DONE, created_s, created_s + ttl_s, results)


def charge(amount: float, capacity: float | None = 10) -> Charge:
    return Charge("voiceprints", amount, "month 2026-11", capacity)


class Clock:
    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


def writer_of(store: SqliteStore) -> sqlite3.Connection:
    assert store._writer is not None
    return store._writer.connection


def with_store(
    path: Path, work: Callable[[SqliteStore], Awaitable[T]], capacity_bytes: int = LARGE, clock: Clock | None = None
) -> T:
    async def run() -> T:
        store = SqliteStore(path, capacity_bytes, now_s=clock or Clock())
        await store.open()
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


SCHEMA_1 = f"""
    CREATE TABLE task (
        task_id BLOB PRIMARY KEY,
        state TEXT NOT NULL,
        created_s REAL NOT NULL,
        expires_s REAL NOT NULL,
        male_prior REAL NOT NULL,
        min_probability REAL NOT NULL,
        stored_bytes INTEGER NOT NULL,
        result BLOB NOT NULL
    );
    CREATE INDEX task_expires ON task (expires_s);
    CREATE TABLE total (name TEXT PRIMARY KEY, amount INTEGER NOT NULL);
    INSERT INTO total VALUES ('tasks', 1), ('stored_bytes', 264);
    CREATE TABLE licence_use (
        period TEXT NOT NULL, resource TEXT NOT NULL, used REAL NOT NULL, PRIMARY KEY (period, resource)
    );
    INSERT INTO licence_use VALUES ('month 2026-11', 'voiceprints', 7);
    INSERT INTO task VALUES (
        X'3fa85f6457174562b3fc2c963f66afa6', 'done', {NOW_S}, {NOW_S + 60}, 0.25, 0.75, 264, X'0000803f000000c0'
    );
    PRAGMA application_id = 0x766F7867;
    PRAGMA user_version = 1;
"""
"""A file as the first version of the schema has it, written down here so that no change of the code changes it."""


def test_a_file_of_the_first_schema_is_opened_read_and_added_to(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "t.db")) as file:
        file.executescript(SCHEMA_1)

    async def work(store: SqliteStore) -> None:
        found = await store.get(uuid.UUID("3fa85f64-5717-4562-b3fc-2c963f66afa6"))
        assert (found.outcome.decision, list(found.outcome)) == (
            Decision(0.25, 0.75),
            list(Results(np.float32([1]), np.float32([-2]), Decision(0.25, 0.75))),
        )
        assert await store.licence_used("month 2026-11") == {"voiceprints": 7}
        await store.add(make_task(), charge(1))
        assert (await store.usage()).tasks == 2

    with_store(tmp_path / "t.db", work)


def test_many_tasks_at_once_are_all_stored_with_far_fewer_commits(tmp_path: Path) -> None:
    tasks = [make_task() for _ in range(500)]

    async def work(store: SqliteStore) -> int:
        commits = 0

        def count(statement: str) -> None:
            nonlocal commits
            commits += statement == "COMMIT"

        writer_of(store).set_trace_callback(count)
        await asyncio.gather(*(store.add(task) for task in tasks))
        writer_of(store).set_trace_callback(None)
        for task in tasks:
            await store.get(task.task_id)
        assert (await store.usage()).tasks == 500
        return commits

    assert with_store(tmp_path / "t.db", work) <= 100


def test_expired_results_give_their_space_in_the_file_back(tmp_path: Path) -> None:
    clock = Clock()
    path = tmp_path / "t.db"

    async def fill(store: SqliteStore) -> None:
        for _ in range(20):
            await store.add(make_task(50_000, ttl_s=5))

    async def forget(store: SqliteStore) -> None:
        assert await store.forget_expired() == 0
        clock.now_s += 5
        assert await store.forget_expired() == 20
        assert (await store.usage()).stored_bytes == 0

    with_store(path, fill, clock=clock)
    full = path.stat().st_size
    assert full > 20 * 400_000
    with_store(path, forget, clock=clock)
    assert path.stat().st_size < full / 10


def test_a_task_is_on_disk_when_add_returns_even_if_the_store_is_never_closed(tmp_path: Path) -> None:
    async def work(store: SqliteStore) -> None:
        task = make_task()
        await store.add(task)
        with sqlite3.connect(tmp_path / "t.db") as other:
            assert other.execute("SELECT count(*) FROM task WHERE task_id = ?", (task.task_id.bytes,)).fetchone() == (
                1,
            )
        other.close()

    with_store(tmp_path / "t.db", work)


def test_a_disk_that_is_full_is_told_as_such_and_the_store_goes_on_once_there_is_room(tmp_path: Path) -> None:
    async def work(store: SqliteStore) -> None:
        pages = writer_of(store).execute("PRAGMA page_count").fetchone()[0]
        writer_of(store).execute(f"PRAGMA max_page_count = {pages + 20}")
        with pytest.raises(StorageFullError, match="disk"):
            await store.add(make_task(50_000), charge(1))
        assert await store.licence_used("month 2026-11") == {}
        writer_of(store).execute("PRAGMA max_page_count = 1000000")
        await store.add(make_task(50_000), charge(1))

    with_store(tmp_path / "t.db", work)


def test_an_error_that_nobody_foresaw_reaches_its_caller_and_not_the_others(tmp_path: Path) -> None:
    async def work(store: SqliteStore) -> None:
        def fail(_: sqlite3.Connection) -> None:
            raise ZeroDivisionError

        task = make_task()
        outcomes = await asyncio.gather(store._write(fail), store.add(task), return_exceptions=True)
        assert isinstance(outcomes[0], ZeroDivisionError)
        assert outcomes[1] == task.task_id

    with_store(tmp_path / "t.db", work)


def test_only_the_service_s_user_may_read_the_files_of_a_store(tmp_path: Path) -> None:
    async def work(store: SqliteStore) -> None:
        await store.add(make_task())
        files = list(tmp_path.iterdir())
        assert len(files) >= 4
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}

    with_store(tmp_path / "t.db", work)


def test_a_locked_store_is_told_as_unavailable(tmp_path: Path) -> None:
    async def work(store: SqliteStore) -> None:
        writer_of(store).execute("PRAGMA busy_timeout = 10")
        other = sqlite3.connect(tmp_path / "t.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="locked"):
            await store.add(make_task())
        other.execute("COMMIT")
        other.close()
        await store.add(make_task())

    with_store(tmp_path / "t.db", work)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda path: path.write_bytes(b"no database" * 1000), "not a database"),
        (lambda path: path.mkdir(), "unable to open"),
        (lambda path: _alter(path, "PRAGMA user_version = 99"), "later voxgender"),
        (lambda path: _alter(path, "PRAGMA application_id = 1"), "another program"),
    ],
    ids=["no database", "a folder", "a later version", "another program's"],
)
def test_a_file_that_cannot_be_used_stops_the_start_with_one_sentence(
    tmp_path: Path, prepare: Callable[[Path], object], reason: str
) -> None:
    path = tmp_path / "t.db"
    prepare(path)

    async def nothing(_: SqliteStore) -> None:
        return

    with pytest.raises(SettingsError, match=rf"VOXGENDER_STORE_URL \(--store-url\) is sqlite:///.*{reason}"):
        with_store(path, nothing)


def test_a_disk_that_does_not_say_what_is_free_is_told_as_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", Mock(side_effect=OSError(errno.EIO, "Input/output error")))
    with pytest.raises(StoreUnavailableError, match="disk does not answer: Input/output error"):
        with_store(tmp_path / "tasks.db", SqliteStore.usage)


def test_closing_a_store_that_was_never_opened_does_nothing(tmp_path: Path) -> None:
    asyncio.run(SqliteStore(tmp_path / "t.db", LARGE).close())
    assert not (tmp_path / "t.db").exists()


def test_no_thread_is_left_after_closing(tmp_path: Path) -> None:
    with_store(tmp_path / "t.db", lambda store: store.add(make_task()))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("store-")]


def test_a_database_of_another_program_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE precious (x)")
    before = path.read_bytes()
    with pytest.raises(SettingsError, match="another program"):
        with_store(path, lambda store: store.usage())
    assert path.read_bytes() == before


def test_processes_that_start_at_once_on_a_new_file_all_get_a_store(tmp_path: Path) -> None:
    async def run() -> None:
        stores = [SqliteStore(tmp_path / "t.db", LARGE) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda store: asyncio.run(_open_and_close(store)), stores))

    asyncio.run(run())
    assert with_store(tmp_path / "t.db", lambda store: store.usage()).tasks == 0


class FailingConnection:
    """A connection whose commits and rollbacks fail as long as it is told so."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.is_failing = True

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)

    def execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        if self.is_failing and statement in ("COMMIT", "ROLLBACK"):
            raise sqlite3.OperationalError("disk I/O error")
        return self._connection.execute(statement, values)

    def rollback(self) -> None:
        self._connection.rollback()
        if self.is_failing:
            raise sqlite3.OperationalError("disk I/O error")


def test_a_writer_whose_commit_and_rollback_fail_answers_everybody_and_goes_on(tmp_path: Path) -> None:
    async def work(store: SqliteStore) -> None:
        assert store._writer is not None
        failing = FailingConnection(store._writer.connection)
        store._writer.connection = failing  # type: ignore[assignment]
        outcomes = await asyncio.gather(*(store.add(make_task()) for _ in range(5)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StoreUnavailableError}
        failing.is_failing = False
        await store.add(make_task())
        assert (await store.usage()).tasks == 1

    with_store(tmp_path / "t.db", work)


def test_the_write_ahead_log_is_cut_back_once_its_content_is_in_the_file(tmp_path: Path) -> None:
    async def work(store: SqliteStore) -> int:
        for _ in range(30):
            await store.add(make_task(50_000))
        for _ in range(2):
            _checkpoint(tmp_path / "t.db")
            await store.add(make_task())
        return (tmp_path / "t.db-wal").stat().st_size

    assert with_store(tmp_path / "t.db", work) <= WAL_BYTES


def _checkpoint(path: Path) -> None:
    """Move all of the log into the file, on a connection of its own: the writer's may be at work."""
    deadline_s = time.monotonic() + 30
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        # The store may be doing the same just now.
        while connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0]:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)


async def _open_and_close(store: SqliteStore) -> None:
    await store.open()
    await store.close()


def _alter(path: Path, statement: str) -> None:
    with_store(path, lambda store: store.usage())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)


def test_nothing_of_a_deleted_or_expired_voiceprint_is_left_in_the_files(tmp_path: Path) -> None:
    mark = bytes(range(97, 122)) * 8
    clock = Clock()

    async def work(store: SqliteStore) -> None:
        outcome = ChannelVoiceprints((0,), (mark,))
        tasks = [
            Task(uuid.uuid4(), Technology.EXTRACTION, TaskState.DONE, clock.now_s, clock.now_s + 5, outcome)
            for _ in range(30)
        ]
        for task in tasks:
            await store.add(task)
        assert any(mark in path.read_bytes() for path in tmp_path.iterdir())
        assert await store.forget(tasks[0].task_id, Technology.EXTRACTION)
        clock.now_s += 6
        assert await store.forget_expired() == 29
        assert not any(mark in path.read_bytes() for path in tmp_path.iterdir())

    with_store(tmp_path / "t.db", work, clock=clock)


def test_a_job_that_seems_to_be_held_for_hours_was_held_before_the_clock_was_set_back(tmp_path: Path) -> None:
    clock = Clock()

    async def work(store: SqliteStore) -> None:
        pending = Task(uuid.uuid4(), Technology.EXTRACTION, TaskState.PENDING, clock.now_s, NEVER_S, None, 0.0)
        await store.enqueue(pending, NewJob(ALL, Decision()))
        assert await store.claim(0)
        clock.now_s -= 2 * 3600
        assert await store.claim(0)

    with_store(tmp_path / "t.db", work, clock=clock)
