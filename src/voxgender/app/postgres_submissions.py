"""Submissions in a PostgreSQL store: of two that have one name, at the same moment on two hosts, one makes a task."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from psycopg import AsyncConnection

from voxgender.app.submission import Submission, earlier

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended(encode(name, 'hex'), 0)) FROM unnest(%b::bytea[]) AS name"
_FREE: Final = """UPDATE voxgender.task SET submission = NULL
    WHERE submission = ANY(%b::bytea[]) AND expires_s <= extract(epoch FROM now())"""
_FIND: Final = "SELECT submission, fingerprint, task_id FROM voxgender.task WHERE submission = ANY(%b::bytea[])"


class Submitted:
    """The submissions that have come before, as a transaction sees them.

    Args:
        tasks: Of those that are asked for: fingerprint and task, by name.
    """

    def __init__(self, tasks: dict[bytes, tuple[bytes, UUID]]) -> None:
        self._tasks = tasks

    @classmethod
    async def look(cls, connection: AsyncConnection, names: Iterable[bytes | None]) -> Submitted:
        """Look for the tasks of submissions; others that look for the same wait until this transaction ends.

        Args:
            connection: At the beginning of a transaction, so that all take their locks in one order.
            names: The submissions'; None for a task that has none.
        """
        wanted = sorted({name for name in names if name is not None})
        if not wanted:
            return cls({})
        await connection.execute(_LOCK, [wanted])
        await connection.execute(_FREE, [wanted])
        rows = await (await connection.execute(_FIND, [wanted], binary=True)).fetchall()
        return cls({name: (fingerprint, task_id) for name, fingerprint, task_id in rows})

    def earlier(self, submission: Submission | None) -> UUID | None:
        """Return the task that a submission has made before; None where there is none.

        Raises:
            RequestValidationError: Where something else came before under its name.
        """
        if submission is None or submission.name not in self._tasks:
            return None
        return earlier(submission, *self._tasks[submission.name])

    def enter(self, submission: Submission | None, task_id: UUID) -> None:
        """Take note of a task that this transaction stores."""
        if submission is not None:
            self._tasks[submission.name] = (submission.fingerprint, task_id)
