"""The queue in PostgreSQL: the library pgqueuer by its queries alone, each of them in a transaction of ours.

It keeps the order of the jobs and who is alive. What a task is, how often it was begun and whose it is, is in our own
row, so that a holder who comes back late is found out (see ``postgres_jobs``). Whoever changes both changes the queue's
row first: the claim locks them in that order, and so nobody waits for anybody in a circle.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, LiteralString
from uuid import UUID

from pgqueuer.adapters.drivers.psycopg import PsycopgDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.domain.models import Job as QueuedJob
from pgqueuer.domain.settings import DBSettings
from pgqueuer.domain.types import JobId, QueueEntrypoint
from pgqueuer.queries import EntrypointExecutionParameter, Queries
from psycopg import AsyncConnection
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from voxgender.app.postgres_schema import SCHEMA

KIND: Final = QueueEntrypoint("media")
"""What all our jobs are to the queue."""
WAITING: Final = """
    SELECT EXISTS (SELECT FROM voxgender.pgqueuer WHERE status = 'queued')
        OR EXISTS (SELECT FROM voxgender.pgqueuer WHERE status = 'picked' AND heartbeat < now())
"""
"""Whether a job waits, or nobody holds it any more; far cheaper than a claim."""
_FREE: Final[LiteralString] = "(status = 'queued' OR heartbeat < now())"
QUEUE: Final = f"""
    SELECT count(*) FILTER (WHERE {_FREE}), count(*) FILTER (WHERE NOT {_FREE}),
        extract(epoch FROM now() - min(created) FILTER (WHERE {_FREE}))::float8
    FROM voxgender.pgqueuer WHERE status IN ('queued', 'picked')
"""  # noqa: S608 - a constant
"""How many jobs wait, how many are held, and for how long the oldest has waited, in seconds."""
AT_ONCE: Final = timedelta(0)
"""After which time a heartbeat is stale: it is the time until which a job is held, which its holder alone decides."""
_HOLD: Final = "UPDATE voxgender.pgqueuer SET heartbeat = now() + make_interval(secs => %s) WHERE id = %s"
KINDS: Final = {KIND: EntrypointExecutionParameter(concurrency_limit=0)}
"""The same, to be claimed without a bound."""

_CLEAR: Final = 0x766F786C
"""``voxl``: held by who clears the queue's log."""


class _Names(DBSettings):
    """The names of the queue's tables, whatever the environment says: all processes must mean the same ones."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - all of these are pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is given here and nothing else."""
        return (init_settings,)


_NAMES: Final = _Names(db_schema=SCHEMA)
_ENVIRONMENT: Final = QueryBuilderEnvironment(_NAMES)
_QUEUE: Final = QueryQueueBuilder(_NAMES)
_SCHEDULER: Final = QuerySchedulerBuilder(_NAMES)


def queue_on(connection: AsyncConnection) -> Queries:
    """Return the queue's operations on a connection, which is in autocommit mode or in a transaction of its own."""
    # Not by its own constructor, which would read the environment.
    return Queries(PsycopgDriver(connection), _ENVIRONMENT, _QUEUE, _SCHEDULER)


def queued_job(job_id: int) -> QueuedJob:
    """Return a job as the queue wants it back; of all its values it reads the id alone."""
    return QueuedJob.model_construct(id=JobId(job_id))  # type: ignore[call-arg]


async def hold(connection: AsyncConnection, job_id: int, hold_s: float) -> None:
    """Let a job be held for so long from now on.

    The queue's own heartbeat tells when its holder was last alive, and who claims would decide how old that may be.
    """
    await connection.execute(_HOLD, [hold_s, job_id])


async def clear_log(connection: AsyncConnection) -> None:
    """Delete what the queue has written down of jobs that came and went; nobody reads it.

    Where another does so just now, it is left to that one: two might wait for each other's rows.
    """
    row = await (await connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [_CLEAR])).fetchone()
    if row and row[0]:
        await queue_on(connection).clear_queue_log(KIND)


def task_of(job: QueuedJob) -> UUID:
    """Return the id of the task that a job belongs to."""
    return UUID(bytes=job.payload)
