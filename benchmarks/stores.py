"""Print what each store's operations take in one process: tasks a second, and milliseconds where nothing else goes on.

python benchmarks/stores.py [--url postgresql://...] [--tasks 2000]

A task holds the results of three voiceprints. Without a URL a PostgreSQL server is started and thrown away; its commits
wait for the disk, as SQLite's do.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np

from voxgender.app.job import NewJob
from voxgender.app.postgres_store import PostgresStore
from voxgender.app.sqlite_store import SqliteStore
from voxgender.app.store import Store
from voxgender.app.task import NEVER_S, Task, TaskError, TaskState, Technology
from voxgender.core.decision import Decision
from voxgender.core.media import ALL
from voxgender.core.result import Results

CAPACITY_BYTES = 10**10
TOGETHER = 100


def finished_task() -> Task:
    """Return a task with results."""
    now_s, numbers = time.time(), np.ones(3, np.float32)
    results = Results(numbers, numbers, Decision())
    return Task(uuid.uuid4(), Technology.GENDER_OF_VOICEPRINTS, TaskState.DONE, now_s, now_s + 600, results)


async def elapsed_s(call: Callable[[], Awaitable[object]], times: int, together: int = 1) -> float:
    """Return how long some calls take, so many of them at a time."""

    async def one_after_the_other() -> None:
        for _ in range(times // together):
            await call()

    began_s = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(together):
            group.create_task(one_after_the_other())
    return time.perf_counter() - began_s


async def measure(name: str, store: Store, tasks: int) -> None:
    """Print a line of figures."""
    await store.open()
    kept, few = finished_task(), tasks // 10
    await store.add(kept, None)

    async def job() -> None:
        task = Task(uuid.uuid4(), Technology.EXTRACTION, TaskState.PENDING, time.time(), NEVER_S, None, 0.0)
        await store.enqueue(task, NewJob(ALL, Decision()), None)
        claimed = await store.claim(0.0)
        assert claimed is not None
        error = TaskError("internal", "It was a benchmark.", "benchmark")
        assert await store.finish(claimed, TaskState.FAILED, error, time.time() + 600, None)

    figures = [
        tasks / await elapsed_s(lambda: store.add(finished_task(), None), tasks, TOGETHER),
        1000 * await elapsed_s(lambda: store.add(finished_task(), None), few) / few,
        1000 * await elapsed_s(lambda: store.get(kept.task_id), tasks) / tasks,
        1000 * await elapsed_s(lambda: store.claim(0.0), tasks) / tasks,
        1000 * await elapsed_s(job, few) / few,
    ]
    await store.close()
    print(
        f"{name:<12}",
        *(f"{figure:>{width}.{digits}f}" for figure, width, digits in zip(figures, WIDTHS, DIGITS, strict=True)),
    )


HEADS = (f"{TOGETHER} adds at once/s", "add ms", "get ms", "idle claim ms", "enqueue, claim, finish ms")
WIDTHS, DIGITS = [len(head) for head in HEADS], (0, 2, 2, 2, 2)


@contextlib.contextmanager
def server_url(url: str | None) -> Iterator[str]:
    """Give the URL, or that of a server that lives as long as the block."""
    if url:
        yield url
        return
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from postgres import running_postgres

    with running_postgres(is_synced=True) as server:
        yield server.new_database()


def main() -> None:
    """Measure both stores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an empty database; otherwise a server is started")
    parser.add_argument("--tasks", type=int, default=2000)
    arguments = parser.parse_args()
    print(f"{'store':<12}", *HEADS)
    with tempfile.TemporaryDirectory() as folder, server_url(arguments.url) as url:
        asyncio.run(measure("SQLite", SqliteStore(Path(folder, "tasks.db"), CAPACITY_BYTES), arguments.tasks))
        asyncio.run(measure("PostgreSQL", PostgresStore(url, CAPACITY_BYTES), arguments.tasks))


if __name__ == "__main__":
    main()
