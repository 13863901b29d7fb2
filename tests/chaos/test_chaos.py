"""Whatever is killed, and whenever: each accepted task has one end, and nothing is left over."""

from __future__ import annotations

import random
import re
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

import voxgender
from chaos.processes import Cluster
from postgres import running_postgres
from recordings import recording, voice

PATH = "/api/technology/gender-identification"
TASKS = 200
KILLS = 12
AUDIO_S = 2.0
CHAOS_S = 240.0
"""Longest that the whole may take."""

GOOD = {gender: recording(voice(gender, AUDIO_S), form="FLAC") for gender in ("male", "female")}
BAD = b"no audio at all"


def media_of(number: int) -> bytes:
    if number % 10 == 9:
        return BAD
    return GOOD["male" if number % 2 else "female"]


def accepted(cluster: Cluster, number: int, until_s: float) -> str:
    """Send one file until it is accepted; where the task is to be polled."""
    while time.monotonic() < until_s:
        try:
            answer = cluster.client.post(PATH, files={"file": ("x", media_of(number))})
        except httpx.TransportError:  # the server was killed
            time.sleep(0.1)
            continue
        if answer.status_code == 202:
            return answer.headers["location"]
        assert answer.status_code >= 500, answer.text
        time.sleep(0.1)
    raise AssertionError("a task was not accepted in time")


def ended(cluster: Cluster, location: str, until_s: float) -> dict[str, Any]:
    """Poll a task until it has ended."""
    while time.monotonic() < until_s:
        try:
            answer = cluster.client.get(location, headers={"prefer": "wait=5"})
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        assert answer.status_code == 200 or answer.status_code >= 500, answer.text
        if answer.status_code == 200 and answer.json()["task"]["state"] in ("done", "rejected", "failed"):
            told: dict[str, Any] = answer.json()
            return told
    raise AssertionError(f"a task did not end in time: {location}")


def survive(cluster: Cluster, seed: int, more_chaos: Callable[[], None] = lambda: None) -> list[dict[str, Any]]:
    """Send tasks while things are killed; return how each task ended."""
    until_s = time.monotonic() + CHAOS_S
    chance = random.Random(seed)
    sent = threading.Event()

    def be_chaos() -> None:
        while len(cluster.kills) < KILLS or not sent.is_set():
            time.sleep(chance.uniform(0.1, 1.5))
            cluster.kill_something(chance)
            more_chaos()

    with ThreadPoolExecutor(9) as threads:
        chaos = threads.submit(be_chaos)
        try:
            locations = list(threads.map(lambda number: accepted(cluster, number, until_s), range(TASKS)))
        finally:
            sent.set()
        chaos.result()
        ends = list(threads.map(lambda location: ended(cluster, location, until_s), locations))
    assert len({told["task"]["task_id"] for told in ends}) == TASKS
    expected = {
        gender: [{"channel_number": 0, **voxgender.identify(media)[0].as_dict()}] for gender, media in GOOD.items()
    }
    for number, told in enumerate(ends):
        state = told["task"]["state"]
        # A file is only given up if its workers were killed each time.
        assert state in ("failed", "rejected" if media_of(number) is BAD else "done"), told
        if state == "done":
            assert told["result"]["channels"] == expected["male" if number % 2 else "female"]
    return ends


def licence(folder: Path) -> Path:
    """A licence that counts the audio, so that what is done twice would be seen."""
    path = folder / "licence.json"
    capacity = '{"period": "total", "audio_s": 1e9}'
    path.write_text(f'{{"licensee": "A", "valid_until": "2100-01-01T00:00:00Z", "capacity": {capacity}}}')
    return path


HALF_STARTED = re.compile(
    r"Traceback .*\n(?:  .*\n)*  .*multiprocessing/spawn\.py.*\n(?:  .*\n)+"
    r"(?:EOFError: Ran out of input|_pickle\.UnpicklingError: .*)\n"
)
"""What Python prints in a process whose parent is killed while it starts it, before any line of ours runs in it."""


def assert_nothing_left(cluster: Cluster, spool: Path) -> None:
    """The spool must be empty soon: the service sweeps when it starts, and a file goes when its task ends."""
    until_s = time.monotonic() + 70
    while (left := list(spool.glob("*.media"))) and time.monotonic() < until_s:
        time.sleep(0.1)
    assert not left
    assert cluster.stop() == [0, 0]
    assert "Traceback" not in HALF_STARTED.sub("", cluster.log())


@pytest.mark.timeout(400)
def test_on_sqlite_each_accepted_task_ends_once_whatever_is_killed(tmp_path: Path) -> None:
    settings = {"extractors": 1, "hold-s": 2, "task-ttl-s": 400, "licence-file": licence(tmp_path)}
    cluster = Cluster(tmp_path, **settings)
    ends = survive(cluster, seed=7)
    assert_nothing_left(cluster, tmp_path / "tasks.db-media")
    with closing(sqlite3.connect(tmp_path / "tasks.db")) as store:
        in_store = Counter(dict(store.execute("SELECT state, count(*) FROM task GROUP BY state").fetchall()))
        (charged,) = store.execute("SELECT used FROM licence_use WHERE resource = 'audio_s'").fetchone()
        (jobs,) = store.execute("SELECT count(*) FROM job").fetchone()
    # A server that was killed before it answered may have stored tasks that nobody knows of.
    assert_in_store(in_store, ends, charged, jobs)


@pytest.mark.timeout(400)
def test_on_postgresql_each_accepted_task_ends_once_whatever_is_killed_and_restarted(tmp_path: Path) -> None:
    psycopg = pytest.importorskip("psycopg")
    with running_postgres() as postgres:
        url = postgres.new_database()
        settings = {"extractors": 1, "hold-s": 2, "task-ttl-s": 400, "licence-file": licence(tmp_path)}
        cluster = Cluster(tmp_path, **{"store-url": url, "spool-dir": tmp_path / "spool", **settings})

        def restart_postgres() -> None:
            if len(cluster.kills) in (3, 8):
                postgres.restart()
            elif len(cluster.kills) == 6:
                postgres.kill()
                postgres.start()

        ends = survive(cluster, seed=8, more_chaos=restart_postgres)
        assert_nothing_left(cluster, tmp_path / "spool")
        with psycopg.connect(url) as store:
            in_store = Counter(
                dict(store.execute("SELECT state, count(*) FROM voxgender.task GROUP BY state").fetchall())
            )
            (charged,) = store.execute("SELECT used FROM voxgender.licence_use WHERE resource = 'audio_s'").fetchone()
            (jobs,) = store.execute("SELECT count(*) FROM voxgender.pgqueuer").fetchone()
    assert_in_store(in_store, ends, charged, jobs)


def assert_in_store(in_store: Counter[str], ends: list[dict[str, Any]], charged_s: float, jobs: int) -> None:
    """What the store says must fit what was told, and the audio of each task that is done was charged once."""
    assert all(in_store[state] >= count for state, count in Counter(one["task"]["state"] for one in ends).items())
    assert in_store.keys() <= {"done", "rejected", "failed"}
    assert charged_s == in_store["done"] * AUDIO_S
    assert jobs == 0
