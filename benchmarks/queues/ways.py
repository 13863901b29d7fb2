"""The ways: a lease of our own, and two libraries without their workers, each in a transaction of ours."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, ClassVar, Protocol
from uuid import UUID, uuid4

from psycopg import AsyncConnection

LEASE_S = 10.0
"""Seconds after which a job that nobody renews is another's."""

Connection = AsyncConnection[Any]


class Queue(Protocol):
    """A way to queue, on one connection in autocommit mode, with at most one job at a time.

    Attributes:
        package: The library that it needs, or None.
        channel: On which PostgreSQL tells of a new job.
    """

    package: ClassVar[str | None]
    channel: ClassVar[str]

    def __init__(self, connection: Connection) -> None:
        """Use a connection."""

    async def prepare(self) -> None:
        """Create its tables."""

    async def start(self) -> None:
        """Begin as a claimer."""

    async def put(self, task_id: UUID) -> None:
        """Add a job, in the transaction under way."""

    async def take(self) -> UUID | None:
        """Claim a job, in the transaction under way, and return its task."""

    async def drop(self) -> None:
        """Remove the job that was claimed, in the transaction under way."""


class Lease:
    """No library: the task's row is the job, claimed until a time, by SKIP LOCKED."""

    package = None
    channel = "benchmark_lease"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def prepare(self) -> None:
        """Create its index."""
        await self._connection.execute(
            "ALTER TABLE task ADD claimed_until timestamptz NOT NULL DEFAULT '-infinity',"
            " ADD place bigint GENERATED ALWAYS AS IDENTITY;"
            "CREATE INDEX task_open ON task (place) WHERE state IN ('pending', 'running')"
        )

    async def start(self) -> None:
        """Need nothing."""

    async def put(self, task_id: UUID) -> None:  # noqa: ARG002 - its row is the job
        """Wake a claimer."""
        await self._connection.execute(f"NOTIFY {self.channel}")

    async def take(self) -> UUID | None:
        """Claim what is pending, or running and not renewed."""
        cursor = await self._connection.execute(
            "UPDATE task SET claimed_until = clock_timestamp() + make_interval(secs => %s) WHERE id = ("
            " SELECT id FROM task WHERE state IN ('pending', 'running') AND claimed_until < clock_timestamp()"
            " ORDER BY place LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id",
            [LEASE_S],
        )
        row = await cursor.fetchone()
        return row[0] if row else None

    async def drop(self) -> None:
        """Need nothing: a task that is done is not open."""


class OneConnection:
    """A pool of one connection, so that procrastinate works in our transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend the connection."""
        yield self._connection


class Procrastinate:
    """procrastinate's JobManager, without its worker."""

    package = "procrastinate"
    channel = "procrastinate_any_queue_v1"

    def __init__(self, connection: Connection) -> None:
        from procrastinate import PsycopgConnector
        from procrastinate.manager import JobManager

        self._connector = PsycopgConnector()
        self._pool: Any = OneConnection(connection)
        self._jobs = JobManager(self._connector)
        self._job: Any = None

    async def prepare(self) -> None:
        """Create its tables."""
        from procrastinate.schema import SchemaManager

        await self._connector.open_async(self._pool)
        await SchemaManager(self._connector).apply_schema_async()

    async def start(self) -> None:
        """Register as a worker."""
        await self._connector.open_async(self._pool)
        self._worker_id = await self._jobs.register_worker()

    async def put(self, task_id: UUID) -> None:
        """Defer a job."""
        from procrastinate.jobs import Job

        await self._connector.open_async(self._pool)
        job = Job(
            id=None,
            queue="media",
            lock=None,
            queueing_lock=None,
            task_name="media",
            task_kwargs={"task": str(task_id)},
        )
        await self._jobs.defer_job_async(job)

    async def take(self) -> UUID | None:
        """Fetch a job. Those of dead workers would want a look of their own."""
        self._job = await self._jobs.fetch_job(["media"], self._worker_id)
        return UUID(self._job.task_kwargs["task"]) if self._job else None

    async def drop(self) -> None:
        """Finish and delete the job."""
        from procrastinate.jobs import Status

        await self._jobs.finish_job(self._job, Status.SUCCEEDED, delete_job=True)


class PgQueuer:
    """pgqueuer's Queries, without its manager."""

    package = "pgqueuer"
    channel = "ch_pgqueuer"

    def __init__(self, connection: Connection) -> None:
        from pgqueuer.ports.repository import EntrypointExecutionParameter
        from pgqueuer.queries import Queries

        self._queries = Queries.from_psycopg_connection(connection)
        self._holder: Any = uuid4()
        self._kinds: Any = {"media": EntrypointExecutionParameter(concurrency_limit=0)}
        self._job: Any = None

    async def prepare(self) -> None:
        """Create its tables."""
        await self._queries.install()

    async def start(self) -> None:
        """Need nothing."""

    async def put(self, task_id: UUID) -> None:
        """Enqueue a job."""
        await self._queries.enqueue("media", task_id.bytes)

    async def take(self) -> UUID | None:
        """Dequeue a job, be it new or a dead worker's."""
        lease: Any = timedelta(seconds=LEASE_S)
        jobs = await self._queries.dequeue(1, self._kinds, self._holder, None, lease)
        self._job = jobs[0] if jobs else None
        return UUID(bytes=self._job.payload) if self._job else None

    async def drop(self) -> None:
        """Move the job into the log."""
        await self._queries.log_jobs([(self._job, "successful", None)])
