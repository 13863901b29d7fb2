"""Promises of the store on PostgreSQL alone; those of every store are in test_stores*.py."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import pytest
from pgqueuer.domain.settings import db_settings

from postgres import PostgresServer
from store_engines import FAILED, HOLD_S, LARGE, PostgresEngine, charge, claimed, enqueued, finished_task, with_stores
from voxgender.app import postgres_schema
from voxgender.app.assembly import spool_of, store_of
from voxgender.app.postgres_store import PostgresStore
from voxgender.app.rate_storage import shared_windows
from voxgender.app.settings import load_settings
from voxgender.app.sqlite_store import SqliteStore
from voxgender.app.store import Store
from voxgender.app.task import TaskState
from voxgender.core.errors import DependencyError, SettingsError, StorageFullError, StoreUnavailableError

T = TypeVar("T")
SECRET = "s3cr3t"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a server that is gone as long as a test can."""
    monkeypatch.setattr("voxgender.app.postgres_pool.WAIT_S", 0.3)
    monkeypatch.setattr("voxgender.app.postgres_pool.OPEN_WAIT_S", 0.0)


def with_store(url: str, work: Callable[[Store], Awaitable[T]]) -> T:
    return with_stores(PostgresEngine(url), work)


def execute(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Execute statements as another program and return the rows of the last one."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


async def asked_again_and_again(store: Store) -> None:
    """Ask until it refuses: on a connection that is there, a process of a killed server answers until it notices."""
    while True:
        await store.usage()


async def works_again(store: Store) -> None:
    """Wait until a store that was cut off from its server works."""
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        try:
            await store.usage()
        except StoreUnavailableError:
            await asyncio.sleep(0.05)
        else:
            return
    raise AssertionError("the store does not work again")


def test_a_server_that_dies_is_told_as_unavailable_and_nothing_that_was_accepted_is_lost(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    engine = PostgresEngine(postgres_url)

    async def work(store: Store) -> None:
        before = finished_task(engine)
        await store.add(before)
        await enqueued(engine, store)
        job = await claimed(store)
        tasks = [finished_task(engine) for _ in range(300)]
        adding = [asyncio.create_task(store.add(task, charge(1, None))) for task in tasks]
        await asyncio.wait(adding, return_when=asyncio.FIRST_COMPLETED)
        postgres_server.kill()
        try:
            outcomes = await asyncio.gather(*adding, return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} <= {UUID, StoreUnavailableError}
            calls = [store.get(before.task_id), store.claim(0.0), store.renew(job, 0.5), store.forget_expired()]
            told = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(error) for error in told] == [StoreUnavailableError] * 4
        finally:
            postgres_server.start()
        await works_again(store)
        accepted = [task for task, outcome in zip(tasks, outcomes, strict=True) if outcome == task.task_id]
        for task in [before, *accepted]:
            await store.get(task.task_id)
        usage, used = await store.usage(), await store.licence_used("month 2026-11")
        # Of those that were cut off in their commit nobody knows, but what is stored is also charged.
        assert usage.tasks - 2 == used.get("audio_s", 0.0) >= len(accepted)
        assert await store.renew(job, 0.5)
        assert await store.finish(job, TaskState.FAILED, FAILED, engine.now_s() + 60)

    with_store(postgres_url, work)


def test_a_server_that_was_started_again_meanwhile_is_no_matter_to_the_next_call(
    postgres_server: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxgender.app.postgres_pool.WAIT_S", 10.0)
    engine = PostgresEngine(postgres_url)

    async def work(store: Store) -> None:
        await asyncio.gather(*(store.get(finished_task(engine).task_id) for _ in range(8)), return_exceptions=True)
        postgres_server.restart()
        await store.add(finished_task(engine))
        assert (await store.usage()).tasks == 1

    with_store(postgres_url, work)


def test_a_server_that_is_still_starting_is_waited_for(
    postgres_server: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxgender.app.postgres_pool.OPEN_WAIT_S", 30.0)

    async def run() -> None:
        store = PostgresStore(postgres_url, LARGE)
        opening = asyncio.create_task(store.open())
        await asyncio.sleep(0.1)
        assert not opening.done()
        await asyncio.to_thread(postgres_server.start)
        await opening
        assert (await store.usage()).tasks == 0
        await store.close()

    postgres_server.stop()
    asyncio.run(run())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE voxgender.version SET tables = 99", "written by a later voxgender"),
        ("DROP TABLE voxgender.version", "tables of another program"),
    ],
)
def test_a_database_that_cannot_be_used_stops_the_start_with_one_sentence_and_is_not_touched(
    postgres_url: str, change: str, reason: str
) -> None:
    with_store(postgres_url, lambda store: store.usage())
    execute(postgres_url, change)
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'voxgender' ORDER BY 1"
    before = execute(postgres_url, tables)
    with pytest.raises(SettingsError, match=rf"VOXGENDER_STORE_URL \(--store-url\) is postgresql://.*{reason}"):
        with_store(postgres_url, lambda store: store.usage())
    assert execute(postgres_url, tables) == before


def test_a_later_version_s_step_keeps_what_is_there_and_earlier_versions_refuse_it_then(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = finished_task(PostgresEngine(postgres_url))
    with_store(postgres_url, lambda store: store.add(task, charge(2)))
    with monkeypatch.context() as later:
        step = ("ALTER TABLE voxgender.task ADD COLUMN note text NOT NULL DEFAULT 'none'",)
        later.setattr(postgres_schema, "_VERSIONS", (*postgres_schema._VERSIONS, step))
        later.setattr(postgres_schema, "SCHEMA_VERSION", len(postgres_schema._VERSIONS))
        for _ in range(2):
            with_store(postgres_url, lambda store: store.get(task.task_id))
        assert with_store(postgres_url, lambda store: store.licence_used("month 2026-11")) == {"audio_s": 2}
        assert execute(postgres_url, "SELECT note FROM voxgender.task") == [("none",)]
    with pytest.raises(SettingsError, match="later voxgender"):
        with_store(postgres_url, lambda store: store.usage())


@pytest.mark.parametrize(("found", "kept"), [("1.5.9", False), ("1.99.0", True)])
def test_the_queue_s_tables_of_an_earlier_version_are_upgraded_and_those_of_a_later_one_left_alone(
    postgres_url: str, found: str, kept: bool
) -> None:
    engine = PostgresEngine(postgres_url)
    with_store(postgres_url, lambda store: enqueued(engine, store))
    execute(
        postgres_url,
        f"UPDATE voxgender.version SET queue = '{found}'",
        "DROP INDEX voxgender.pgqueuer_picked_heartbeat_idx",
    )
    assert with_store(postgres_url, claimed).tries == 1
    query = "SELECT count(*) FROM pg_indexes WHERE indexname = 'pgqueuer_picked_heartbeat_idx'"
    assert execute(postgres_url, query) == [(0 if kept else 1,)]
    assert (execute(postgres_url, "SELECT queue FROM voxgender.version") == [(found,)]) == kept


def test_a_role_that_may_not_create_schemas_uses_one_that_was_made_for_it(postgres_url: str) -> None:
    execute(
        postgres_url,
        "DROP ROLE IF EXISTS guest",
        "CREATE ROLE guest LOGIN",
        "CREATE SCHEMA voxgender AUTHORIZATION guest",
    )
    guest_url = postgres_url.replace("//voxgender@", "//guest@")
    with_store(guest_url, lambda store: store.add(finished_task(PostgresEngine(guest_url))))
    execute(postgres_url, "DROP SCHEMA voxgender CASCADE")
    with pytest.raises(SettingsError, match="permission denied"):
        with_store(guest_url, lambda store: store.usage())
    execute(postgres_url, "DROP OWNED BY guest", "DROP ROLE guest")


def test_what_the_environment_says_of_the_queue_changes_nothing(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGQUEUER_PREFIX": "zz_", "QUEUE_TABLE": "theirs", "CHANNEL": "no name!"}.items():
        monkeypatch.setenv(name, value)
    db_settings.cache_clear()
    engine = PostgresEngine(postgres_url)

    async def work(store: Store) -> None:
        await enqueued(engine, store)
        assert await store.finish(await claimed(store), TaskState.FAILED, FAILED, engine.now_s() + 60)

    with_store(postgres_url, work)
    db_settings.cache_clear()
    others = "SELECT count(*) FROM pg_tables WHERE tablename ~ 'theirs|zz_' OR schemaname = 'public'"
    assert execute(postgres_url, others) == [(0,)]


def test_a_disk_that_is_full_is_told_as_such_and_the_store_goes_on_once_there_is_room(postgres_url: str) -> None:
    engine = PostgresEngine(postgres_url)

    async def work(store: Store) -> None:
        await asyncio.to_thread(
            execute,
            postgres_url,
            "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE 'no space' USING ERRCODE = 'disk_full'; END$$",
            "CREATE TRIGGER fill BEFORE INSERT ON voxgender.task EXECUTE FUNCTION fill()",
        )
        for call in (store.add(finished_task(engine), charge(1)), enqueued(engine, store)):
            with pytest.raises(StorageFullError, match="disk"):
                await call
        assert await store.licence_used("month 2026-11") == {}
        await asyncio.to_thread(execute, postgres_url, "DROP TRIGGER fill ON voxgender.task")
        await store.add(finished_task(engine), charge(1))

    with_store(postgres_url, work)


def test_tasks_expire_by_the_server_s_clock_whatever_this_machine_s_says(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time

    async def work(store: Store) -> None:
        assert store.now_s() == pytest.approx(real(), abs=60)

    for ahead_s in (-5 * 3600, 5 * 3600):
        monkeypatch.setattr(time, "time", lambda ahead_s=ahead_s: real() + ahead_s)
        with_store(postgres_url, work)


def test_nothing_is_left_in_the_queue_of_tasks_that_have_ended(postgres_url: str) -> None:
    engine = PostgresEngine(postgres_url)

    async def work(store: Store) -> None:
        for end in ("finish", "forget"):
            (task_id,) = await enqueued(engine, store)
            job = await claimed(store)
            if end == "finish":
                await store.finish(job, TaskState.FAILED, FAILED, engine.now_s() + 60)
            else:
                await store.forget(task_id, job.technology)
        await store.forget_expired()

    with_store(postgres_url, work)
    for table in ("pgqueuer", "pgqueuer_log"):
        assert execute(postgres_url, f"SELECT count(*) FROM voxgender.{table}") == [(0,)]


def test_a_job_whose_task_somebody_deleted_by_hand_is_passed_over(postgres_url: str) -> None:
    engine = PostgresEngine(postgres_url)

    async def work(store: Store) -> None:
        first, second = await enqueued(engine, store, 2)
        await asyncio.to_thread(execute, postgres_url, f"DELETE FROM voxgender.task WHERE task_id = '{first}'")
        assert (await claimed(store)).task_id == second
        assert await store.claim(0.0) is None

    with_store(postgres_url, work)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{SECRET}@127.0.0.1:1/voxgender",
        f"postgresql://127.0.0.1:1/voxgender?user=me&password={SECRET}",
        f"postgresql://me:x@{SECRET}/{SECRET}@127.0.0.1:1/voxgender",
        f"postgresql://me:{SECRET}@127.0.0.1:1/voxgender?nothing=1",
        f"postgresql://me:x/{SECRET}@127.0.0.1:1/voxgender",
        f"postgresql://me:x?{SECRET}@127.0.0.1:1/voxgender",
        f"postgresql://me:%zz{SECRET}@127.0.0.1:1/voxgender",
    ],
)
def test_no_error_and_no_log_line_tells_the_password(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(SettingsError) as refusal:
        with_store(url, lambda store: store.usage())
    assert "VOXGENDER_STORE_URL (--store-url) is postgresql://" in str(refusal.value)
    assert SECRET not in "".join(traceback.format_exception(refusal.value)) + caplog.text
    assert SECRET not in repr(load_settings(store_url=url))
    with pytest.raises(SettingsError) as refusal:
        load_settings(store_url=url.replace("postgresql", "mysql"))
    assert SECRET not in str(refusal.value)


def test_a_password_is_not_told_while_the_server_is_gone_and_comes_back(
    postgres_server: PostgresServer, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = postgres_url.replace("//voxgender@", f"//voxgender:{SECRET}@")
    assert SECRET not in repr(PostgresStore(url, LARGE))

    async def work(store: Store) -> None:
        postgres_server.kill()
        try:
            with pytest.raises(StoreUnavailableError) as refusal:
                await asked_again_and_again(store)
        finally:
            postgres_server.start()
        assert SECRET not in str(refusal.value)
        await works_again(store)

    with_store(url, work)
    assert caplog.text
    assert SECRET not in caplog.text


def test_the_settings_choose_the_store_and_hosts_must_name_the_spool_that_they_share(tmp_path: Path) -> None:
    for scheme in ("postgresql", "postgres"):
        settings = load_settings(store_url=f"{scheme}://me:{SECRET}@db/voxgender", hold_s=HOLD_S)
        store = store_of(settings)
        assert isinstance(store, PostgresStore)
        assert (store.hold_s, SECRET in repr(store)) == (HOLD_S, False)
        with pytest.raises(SettingsError, match=r"VOXGENDER_SPOOL_DIR \(--spool-dir\) is not set"):
            spool_of(settings)
    shared = load_settings(store_url="postgresql://db/voxgender", spool_dir=tmp_path)
    assert str(tmp_path) in repr(spool_of(shared))
    assert isinstance(store_of(load_settings(store_url=f"sqlite:///{tmp_path}/t.db")), SqliteStore)


def test_without_the_extra_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for name in ("postgres_store", "postgres_pool", "postgres_jobs", "postgres_windows"):
        monkeypatch.delitem(sys.modules, f"voxgender.app.{name}", raising=False)
    settings = load_settings(store_url=f"postgresql://me:{SECRET}@db/voxgender", rate_limit="1 per second")
    for make in (store_of, shared_windows):
        with pytest.raises(DependencyError, match=r'pip install "voxgender\[postgres\]"') as refusal:
            make(settings)
        assert SECRET not in str(refusal.value)
