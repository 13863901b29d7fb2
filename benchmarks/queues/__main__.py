"""Print how many no-op tasks a second go through a queue on PostgreSQL, and how long one takes from adding to done.

python -m benchmarks.queues [--url postgresql://...] [--tasks 2000] [--actors 4]

Each way keeps a row of ours for each task, changed in the same transaction as its job: added, claimed with its holder,
finished. A library that is not installed is passed over. Without a URL a server is started and thrown away; its commits
wait for the disk.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

from benchmarks.queues.ways import Connection, Lease, PgQueuer, Procrastinate, Queue
from psycopg import AsyncConnection

POLL_S = 0.5  # a claimer that nobody wakes asks this often


class Actor:
    """One who adds tasks or does them, as our store would."""

    def __init__(self, queue: Queue, connection: Connection) -> None:
        self._queue = queue
        self._connection = connection
        self._holder = uuid4()

    async def add(self) -> None:
        """Add a task and its job."""
        async with self._connection.transaction():
            task_id = uuid4()
            await self._connection.execute("INSERT INTO task (id) VALUES (%s)", [task_id])
            await self._queue.put(task_id)

    async def do_one(self) -> bool:
        """Claim a task and finish it; False where none waits."""
        async with self._connection.transaction():
            task_id = await self._queue.take()
            if task_id is None:
                return False
            await self._connection.execute(
                "UPDATE task SET state = 'running', tries = tries + 1, holder = %s WHERE id = %s",
                [self._holder, task_id],
            )
        async with self._connection.transaction():
            cursor = await self._connection.execute(
                "UPDATE task SET state = 'done' WHERE id = %s AND holder = %s AND state = 'running'",
                [task_id, self._holder],
            )
            assert cursor.rowcount == 1, f"task {task_id} was done twice"
            await self._queue.drop()
        return True


class Trial:
    """One way to queue, on a database with a table of tasks."""

    def __init__(self, kind: type[Queue], url: str) -> None:
        self._kind = kind
        self._url = url
        self._left = 0
        self._all_done = asyncio.Event()

    async def prepare(self) -> None:
        """Begin with an empty table of tasks, in a schema of its own."""
        async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
            await connection.execute("DROP SCHEMA IF EXISTS benchmark CASCADE; CREATE SCHEMA benchmark")
        async with self._connected() as connection:
            await connection.execute(
                "CREATE TABLE task (id uuid PRIMARY KEY, state text NOT NULL DEFAULT 'pending',"
                " tries int NOT NULL DEFAULT 0, holder uuid)"
            )
            await self._kind(connection).prepare()

    async def clean(self) -> None:
        """Remove all that was made."""
        async with self._connected() as connection:
            await connection.execute("DROP SCHEMA benchmark CASCADE")

    async def rate(self, tasks: int, actors: int) -> float:
        """Return how many tasks a second are added and done by as many at each end at the same time."""
        async with self._claimers(actors):
            began_s = time.perf_counter()
            self._expect(tasks)
            async with asyncio.TaskGroup() as group:
                for _ in range(actors):
                    group.create_task(self._add(tasks // actors))
            await self._all_done.wait()
            return tasks / (time.perf_counter() - began_s)

    async def latencies_s(self, tasks: int) -> list[float]:
        """Return how long each of some tasks takes, one after the other, where a claimer waits to be woken."""
        times = []
        async with self._claimers(1), self._connected() as connection:
            actor = Actor(self._kind(connection), connection)
            for _ in range(tasks):
                self._expect(1)
                began_s = time.perf_counter()
                await actor.add()
                await self._all_done.wait()
                times.append(time.perf_counter() - began_s)
        return times

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        options = "-c search_path=benchmark"
        async with await AsyncConnection.connect(self._url, autocommit=True, options=options) as connection:
            yield connection

    def _expect(self, tasks: int) -> None:
        self._left = tasks
        self._all_done.clear()

    async def _add(self, tasks: int) -> None:
        async with self._connected() as connection:
            actor = Actor(self._kind(connection), connection)
            for _ in range(tasks):
                await actor.add()

    @contextlib.asynccontextmanager
    async def _claimers(self, count: int) -> AsyncIterator[None]:
        ready = asyncio.Barrier(count + 1)
        claimers = [asyncio.create_task(self._claim(ready)) for _ in range(count)]
        try:
            await ready.wait()
            yield
        finally:
            for claimer in claimers:
                claimer.cancel()
            await asyncio.gather(*claimers, return_exceptions=True)

    async def _claim(self, ready: asyncio.Barrier) -> None:
        async with self._connected() as connection, self._connected() as ears:
            queue = self._kind(connection)
            actor = Actor(queue, connection)
            await queue.start()
            await ears.execute(f'LISTEN "{self._kind.channel}"')
            await ready.wait()
            while True:
                while await actor.do_one():
                    self._left -= 1
                    if self._left == 0:
                        self._all_done.set()
                async for _ in ears.notifies(timeout=POLL_S, stop_after=1):
                    pass


async def measure(url: str, tasks: int, actors: int) -> None:
    """Print a line for each way."""
    kinds: list[type[Queue]] = [Lease, Procrastinate, PgQueuer]
    print(f"{'way':<14} {'tasks/s':>8} {'p50 ms':>7} {'p99 ms':>7}")
    for kind in kinds:
        if kind.package and importlib.util.find_spec(kind.package) is None:
            print(f"{kind.__name__:<14} not installed")
            continue
        trial = Trial(kind, url)
        await trial.prepare()
        rate = await trial.rate(tasks, actors)
        latencies_s = await trial.latencies_s(max(tasks // 10, 2))
        await trial.clean()
        p50_ms, p99_ms = (1000 * statistics.quantiles(latencies_s, n=100)[at] for at in (49, 98))
        print(f"{kind.__name__:<14} {rate:>8.0f} {p50_ms:>7.1f} {p99_ms:>7.1f}")


@contextlib.contextmanager
def server_url(url: str | None) -> Iterator[str]:
    """Give the URL, or that of a server that lives as long as the block."""
    if url:
        yield url
        return
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
    from postgres import running_postgres

    with running_postgres(is_synced=True) as server:
        yield server.new_database()


def main() -> None:
    """Measure every way there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a database to use, in a schema of its own; otherwise a server is started")
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--actors", type=int, default=4, help="how many add, and how many claim, at the same time")
    arguments = parser.parse_args()
    with server_url(arguments.url) as url:
        asyncio.run(measure(url, arguments.tasks - arguments.tasks % arguments.actors, arguments.actors))


if __name__ == "__main__":
    main()
