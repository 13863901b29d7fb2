"""The jobs of a PostgreSQL store: what each step of the queue does in a transaction.

The queue's row says who waits and who is alive, our row what the task is and whose it is. Each step changes the queue's
row first. Where our row then turns out to be someone else's, ``NotHeldError`` undoes the whole transaction.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Final, LiteralString
from uuid import UUID

from pgqueuer.domain.types import QueueManagerId
from psycopg import AsyncConnection

from voxgender.app.job import Job, read_text
from voxgender.app.metrics import count_task
from voxgender.app.outcome import outcome_bytes
from voxgender.app.postgres_queue import AT_ONCE, KIND, KINDS, hold, queue_on, queued_job, task_of
from voxgender.app.postgres_room import count
from voxgender.app.store import MAX_TRIES, WORKER_LOST
from voxgender.app.task import Outcome, TaskState, Technology
from voxgender.core.decision import Decision

UNFINISHED: Final = [TaskState.PENDING.value, TaskState.RUNNING.value]

_CLAIM: Final = """
    UPDATE voxgender.task SET state = 'running', progress = 0, tries = tries + 1, hold = %s
    WHERE task_id = %s AND job_id = %s RETURNING technology, options, male_prior, min_probability, tries,
        owner, created_s
"""
_END: Final[LiteralString] = """
    UPDATE voxgender.task SET state = %s, result = %b, expires_s = %s, progress = 1, stored_bytes = stored_bytes + %s,
        job_id = NULL, options = NULL, hold = NULL
    WHERE task_id = %s AND hold = %s
"""


class NotHeldError(Exception):
    """A job is not its holder's any more; no error of anybody, so it does not leave the store."""


async def insert_job(connection: AsyncConnection, task_id: UUID) -> int:
    """Let a job wait, and return its id in the queue; its task is stored after it."""
    (job_id,) = await queue_on(connection).enqueue(KIND, task_id.bytes)
    return job_id


async def claim_job(connection: AsyncConnection, hold_s: float, lost_expires_s: float) -> Job | None:
    """Take the job that has waited longest; those that were begun too often fail on the way.

    Args:
        connection: In a transaction.
        hold_s: Seconds for which it is held.
        lost_expires_s: When a task that fails here is forgotten.
    """
    queue, mark = queue_on(connection), uuid.uuid4()
    while jobs := await queue.dequeue(1, KINDS, QueueManagerId(mark), None, AT_ONCE):
        task_id = task_of(jobs[0])
        row = await (await connection.execute(_CLAIM, [mark.hex, task_id, jobs[0].id])).fetchone()
        if row is None:
            await queue.log_jobs([(jobs[0], "canceled", None)])
            continue
        technology, text, male_prior, min_probability, tries, owner, created_s = row
        if tries > MAX_TRIES:
            await queue.log_jobs([(jobs[0], "exception", None)])
            lost_bytes = await _end_task(connection, task_id, mark.hex, TaskState.FAILED, WORKER_LOST, lost_expires_s)
            await count(connection, 0, lost_bytes)
            count_task(Technology(technology), TaskState.FAILED)
            continue
        await hold(connection, jobs[0].id, hold_s)
        told = read_text(text)
        return Job(
            task_id,
            Technology(technology),
            told.options,
            Decision(male_prior, min_probability),
            told.correlation_id,
            tries,
            mark.hex,
            owner,
            created_s,
            told.request_id,
            told.traceparent,
        )
    return None


async def renew_job(connection: AsyncConnection, job: Job, progress: float, hold_s: float) -> None:
    """Hold a job for so long from now on.

    Raises:
        NotHeldError: Where it is not held.
    """
    await hold(connection, await _job_id(connection, job), hold_s)
    renew = "UPDATE voxgender.task SET progress = %s WHERE task_id = %s AND hold = %s"
    _check((await connection.execute(renew, [progress, job.task_id, job.hold])).rowcount)


async def give_job_back(connection: AsyncConnection, job: Job, tries: int) -> None:
    """Let a job wait again, after so many tries.

    Raises:
        NotHeldError: Where it is not held.
    """
    await queue_on(connection).retry_job(queued_job(await _job_id(connection, job)), timedelta(0), None)
    back = "UPDATE voxgender.task SET state = 'pending', tries = %s, hold = NULL WHERE task_id = %s AND hold = %s"
    _check((await connection.execute(back, [tries, job.task_id, job.hold])).rowcount)


async def end_job(connection: AsyncConnection, job: Job, state: TaskState, outcome: Outcome, expires_s: float) -> int:
    """Give a job's task its outcome and take the job out of the queue.

    Returns:
        Bytes that the task takes up more than before; they are still to be counted.

    Raises:
        NotHeldError: Where it is not held.
    """
    ended = queued_job(await _job_id(connection, job))
    await queue_on(connection).log_jobs([(ended, "successful" if state is TaskState.DONE else "exception", None)])
    return await _end_task(connection, job.task_id, job.hold, state, outcome, expires_s)


async def delete_task(connection: AsyncConnection, task_id: UUID, technology: Technology) -> bool:
    """Delete a task and its job; return whether there was one that had not expired."""
    find = "SELECT job_id FROM voxgender.task WHERE task_id = %s AND technology = %s"
    found = await (await connection.execute(find, [task_id, technology.value])).fetchone()
    if found is None:
        return False
    if found[0] is not None:
        await queue_on(connection).log_jobs([(queued_job(found[0]), "canceled", None)])
    delete = """
        DELETE FROM voxgender.task WHERE task_id = %s RETURNING stored_bytes, expires_s > extract(epoch FROM now())
    """
    row = await (await connection.execute(delete, [task_id])).fetchone()
    if row is None:
        return False
    await count(connection, -1, -row[0])
    return bool(row[1])


async def _end_task(
    connection: AsyncConnection, task_id: UUID, hold: str, state: TaskState, outcome: Outcome, expires_s: float
) -> int:
    result = outcome_bytes(outcome)
    values = [state.value, result, expires_s, len(result), task_id, hold]
    _check((await connection.execute(_END, values)).rowcount)
    return len(result)


async def _job_id(connection: AsyncConnection, job: Job) -> int:
    """Return a held job's id in the queue; it locks nothing, because the queue's row is to be locked first."""
    find = "SELECT job_id FROM voxgender.task WHERE task_id = %s AND hold = %s"
    row = await (await connection.execute(find, [job.task_id, job.hold])).fetchone()
    if row is None:
        raise NotHeldError
    job_id: int = row[0]
    return job_id


def _check(rows: int) -> None:
    if rows == 0:
        raise NotHeldError
