"""The jobs of a SQLite store: what each step of the queue does in a transaction."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from voxgender.app.job import Job, NewJob, read_text
from voxgender.app.metrics import count_task
from voxgender.app.outcome import outcome_bytes
from voxgender.app.sqlite_totals import count
from voxgender.app.store import MAX_TRIES, WORKER_LOST
from voxgender.app.task import Outcome, TaskState, Technology
from voxgender.core.decision import Decision

MAX_HOLD_S: Final = 3600.0
"""Nobody holds a job for longer without a word; what seems to be held for longer was held before the clock was set."""
_FREE: Final = f"(held_until_s <= ?1 OR held_until_s > ?1 + {MAX_HOLD_S})"
QUEUE: Final = f"""
    SELECT total({_FREE}), count(*), min(CASE WHEN {_FREE} THEN created_s END) FROM job JOIN task USING (task_id)
"""  # noqa: S608 - constants
"""How many jobs wait at a time, how many there are, and when the oldest that waits was stored."""
WAITING: Final = f"SELECT 1 FROM job WHERE {_FREE} LIMIT 1"  # noqa: S608 - constants
"""Whether a job waits at a time; this needs no turn to write."""

_NEXT: Final = f"""
    SELECT place, tries, job.task_id, technology, options, male_prior, min_probability, owner, created_s
    FROM job JOIN task USING (task_id) WHERE {_FREE} ORDER BY place LIMIT 1
"""  # noqa: S608 - constants
_HELD: Final = "task_id = ? AND hold = ?"


def insert_job(connection: sqlite3.Connection, task_id: UUID, job: NewJob) -> None:
    """Let a job wait."""
    values = (task_id.bytes, job.text())
    connection.execute("INSERT INTO job (task_id, options, tries, hold, held_until_s) VALUES (?, ?, 0, '', 0)", values)


def claim_job(connection: sqlite3.Connection, now_s: float, hold_s: float, lost_expires_s: float) -> Job | None:
    """Take the job that has waited longest; those that were begun too often fail on the way.

    Args:
        connection: In a transaction.
        now_s: The time in UTC epoch seconds.
        hold_s: Seconds for which it is held.
        lost_expires_s: When a task that fails here is forgotten.
    """
    while row := connection.execute(_NEXT, (now_s,)).fetchone():
        place, tries, task_id, technology, text, male_prior, min_probability, owner, created_s = row
        if tries >= MAX_TRIES:
            end_task(connection, task_id, TaskState.FAILED, WORKER_LOST, lost_expires_s)
            count_task(Technology(technology), TaskState.FAILED)
            continue
        hold = uuid.uuid4().hex
        held = (tries + 1, hold, now_s + hold_s, place)
        connection.execute("UPDATE job SET tries = ?, hold = ?, held_until_s = ? WHERE place = ?", held)
        connection.execute("UPDATE task SET state = ?, progress = 0 WHERE task_id = ?", (TaskState.RUNNING, task_id))
        told = read_text(text)
        return Job(
            UUID(bytes=task_id),
            Technology(technology),
            told.options,
            Decision(male_prior, min_probability),
            told.correlation_id,
            tries + 1,
            hold,
            owner,
            created_s,
            told.request_id,
            told.traceparent,
        )
    return None


def renew_job(connection: sqlite3.Connection, job: Job, progress: float, until_s: float) -> bool:
    """Hold a job until then; return whether it is still held."""
    values = (until_s, job.task_id.bytes, job.hold)
    if connection.execute(f"UPDATE job SET held_until_s = ? WHERE {_HELD}", values).rowcount == 0:  # noqa: S608 - a constant
        return False
    connection.execute("UPDATE task SET progress = ? WHERE task_id = ?", (progress, job.task_id.bytes))
    return True


def is_held(connection: sqlite3.Connection, job: Job) -> bool:
    """Return whether a job is still its holder's."""
    query = f"SELECT 1 FROM job WHERE {_HELD}"  # noqa: S608 - a constant
    return connection.execute(query, (job.task_id.bytes, job.hold)).fetchone() is not None


def give_job_back(connection: sqlite3.Connection, job: Job, tries: int) -> None:
    """Let a job wait again, after so many tries."""
    values = (tries, job.task_id.bytes, job.hold)
    back = f"UPDATE job SET tries = ?, hold = '', held_until_s = 0 WHERE {_HELD}"  # noqa: S608 - a constant
    if connection.execute(back, values).rowcount:
        connection.execute("UPDATE task SET state = ? WHERE task_id = ?", (TaskState.PENDING, job.task_id.bytes))


def end_task(
    connection: sqlite3.Connection, task_id: bytes, state: TaskState, outcome: Outcome, expires_s: float
) -> None:
    """Give a task its outcome and delete its job."""
    result = outcome_bytes(outcome)
    connection.execute("DELETE FROM job WHERE task_id = ?", (task_id,))
    end = """UPDATE task SET state = ?, result = ?, expires_s = ?, progress = 1, stored_bytes = stored_bytes + ?
        WHERE task_id = ?"""
    connection.execute(end, (state, result, expires_s, len(result), task_id))
    count(connection, 0, len(result))


def delete_task(connection: sqlite3.Connection, task_id: UUID, technology: Technology, now_s: float) -> bool:
    """Delete a task and its job; return whether there was one that had not expired."""
    delete = "DELETE FROM task WHERE task_id = ? AND technology = ? RETURNING stored_bytes, expires_s"
    row = connection.execute(delete, (task_id.bytes, technology)).fetchone()
    if row is None:
        return False
    connection.execute("DELETE FROM job WHERE task_id = ?", (task_id.bytes,))
    count(connection, -1, -row[0])
    return bool(row[1] > now_s)


def unfinished_query(task_ids: Collection[UUID]) -> tuple[str, tuple[Any, ...]]:
    """Return a query, with its values, for those of some ids that have a job."""
    marks = ", ".join("?" * len(task_ids))
    values = tuple(task_id.bytes for task_id in task_ids)
    return f"SELECT task_id FROM job WHERE task_id IN ({marks})", values  # noqa: S608 - question marks alone
