"""The store that many hosts share: tasks, results, licence counters and the queue in one PostgreSQL database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias
from uuid import UUID

from psycopg import AsyncConnection

from voxgender.app.job import Job, NewJob
from voxgender.app.key import ApiKey, read_key
from voxgender.app.licence import Charge
from voxgender.app.outcome import decision_of, outcome_bytes, read_outcome
from voxgender.app.postgres_jobs import (
    UNFINISHED,
    NotHeldError,
    claim_job,
    delete_task,
    end_job,
    give_job_back,
    insert_job,
    renew_job,
)
from voxgender.app.postgres_licence import read_book, write_book
from voxgender.app.postgres_pool import PostgresPool
from voxgender.app.postgres_queue import QUEUE, WAITING, clear_log
from voxgender.app.postgres_room import EXPIRE_ROWS, Room, count, expire, totals
from voxgender.app.postgres_submissions import Submitted
from voxgender.app.postgres_url import without_password
from voxgender.app.store import QueueState, StoreUsage
from voxgender.app.submission import Submission
from voxgender.app.task import Outcome, Task, TaskState, Technology
from voxgender.app.waiting import answer
from voxgender.core.decision import Decision
from voxgender.core.errors import StoreUnavailableError, TaskNotFoundError, VoxgenderError

_Row: TypeAlias = tuple[UUID, str, str, float, float, float, float, float, int, bytes, str, bytes | None, bytes | None]
_Charges: TypeAlias = tuple[Charge, ...]
_New: TypeAlias = tuple[_Row | None, _Charges, "asyncio.Future[UUID | None]"]
_STORED_BYTES: Final = 8
_SUBMISSION: Final = 11
_INSERT: Final = """
    INSERT INTO voxgender.task (task_id, technology, state, created_s, expires_s, male_prior, min_probability, progress,
        stored_bytes, result, owner, submission, fingerprint)
    SELECT * FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::float8[], %b::float8[], %b::float8[], %b::float8[],
        %b::float8[], %b::bigint[], %b::bytea[], %b::text[], %b::bytea[], %b::bytea[])
"""
_ENQUEUE: Final = """
    INSERT INTO voxgender.task (task_id, technology, state, created_s, expires_s, male_prior, min_probability, progress,
        stored_bytes, result, owner, submission, fingerprint, job_id, options)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_GET: Final = """
    SELECT technology, state, created_s, expires_s, male_prior, min_probability, progress, result, owner
    FROM voxgender.task WHERE task_id = %s AND expires_s > extract(epoch FROM now())
"""

ROW_BYTES: Final = 256
"""What a task takes up besides its result: its row, its index entries, and its share of the pages' slack."""
CLOCK_S: Final = 10.0
"""Seconds for which what the server's clock told is gone on from by this machine's steady clock."""
ADD_ROWS: Final = 256
"""Most tasks stored in one transaction."""
ADD_BYTES: Final = 4 * 1024**2
"""So many bytes of tasks, about, are stored in one transaction."""


class PostgresStore:
    """A :class:`~voxgender.app.store.Store` in a PostgreSQL database, which any number of processes and hosts share.

    Args:
        url: Where the database is, like ``postgresql://user:password@host/name``.
        capacity_bytes: The most that tasks and results may take up.
        hold_s: Seconds after which a job goes to another worker unless its holder has renewed it.

    Raises:
        SettingsError: Where the URL is none.
    """

    def __init__(self, url: str, capacity_bytes: int, hold_s: float = 12.0) -> None:
        self.hold_s = hold_s
        self.store_id = ""
        self._url = url
        self._capacity_bytes = capacity_bytes
        self._pool = PostgresPool(url)
        self._origin_s = time.time() - time.monotonic()
        self._looked_s = -CLOCK_S
        self._new: list[_New] = []
        self._adding: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"PostgresStore({without_password(self._url)!r}, capacity_bytes={self._capacity_bytes})"

    async def open(self) -> None:
        """Create or upgrade the tables and connect.

        Raises:
            SettingsError: Where the database cannot be reached or used.
        """
        self.store_id = await self._pool.open()
        async with self._pool.connection() as connection:
            await self._look_at_clock(connection)

    def now_s(self) -> float:
        """Return the time of the server's clock, by which tasks expire, whatever the clock of this machine says."""
        return self._origin_s + time.monotonic()

    async def _look_at_clock(self, connection: AsyncConnection) -> None:
        asked_s = time.monotonic()
        if asked_s - self._looked_s >= CLOCK_S:
            row = await (await connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8")).fetchone()
            if row is not None:
                self._origin_s, self._looked_s = row[0] - asked_s, asked_s

    async def close(self) -> None:
        """Commit what waits and close the connections."""
        if self._adding is not None:
            await asyncio.wait([self._adding])
        await self._pool.close()

    async def add(self, task: Task, *charges: Charge, submission: Submission | None = None) -> UUID:
        """Store a task and book its charges, all or nothing; returns once they are committed."""
        return await self._add(_row(task, decision_of(task.outcome), submission), charges) or task.task_id

    async def charge(self, *charges: Charge) -> None:
        """Book charges for work of which nothing is stored; returns once they are committed."""
        # With the tasks, because each transaction that charges keeps all others of its period waiting until the commit.
        await self._add(None, charges)

    async def _add(self, row: _Row | None, charges: _Charges) -> UUID | None:
        """Return the task that the row's submission has made before; None where it is new."""
        done: asyncio.Future[UUID | None] = asyncio.get_running_loop().create_future()
        self._new.append((row, charges, done))
        if self._adding is None or self._adding.done():
            self._adding = asyncio.create_task(self._add_new())
        return await done

    async def _add_new(self) -> None:
        """Store and charge what has come, all that waits in one transaction, until nothing waits."""
        while self._new:
            added = self._next_new()
            outcomes: Sequence[UUID | Exception | None]
            try:
                outcomes = await self._insert([(row, charges) for row, charges, _ in added])
            except Exception as error:  # noqa: BLE001 - whatever it is, each of them is answered
                outcomes = [error] * len(added)
            for (_, _, done), outcome in zip(added, outcomes, strict=True):
                answer(done, outcome)

    def _next_new(self) -> list[_New]:
        taken, taken_bytes = 0, 0
        while taken < min(len(self._new), ADD_ROWS) and taken_bytes < ADD_BYTES:
            taken_bytes += _stored_bytes(self._new[taken][0])
            taken += 1
        added, self._new = self._new[:taken], self._new[taken:]
        return added

    async def _insert(self, rows: list[tuple[_Row | None, _Charges]]) -> list[UUID | Exception | None]:
        """Insert and charge what is new and what storage and charges allow.

        Return for each the task that its submission has made before, its refusal, or None where it is done.
        """
        accepted: list[_Row] = []
        outcomes: list[UUID | Exception | None] = []
        async with self._pool.transaction() as connection:
            submitted = await Submitted.look(connection, [row[_SUBMISSION] for row, _ in rows if row is not None])
            room = await Room.look(connection, self._capacity_bytes, sum(_stored_bytes(row) for row, _ in rows))
            every = [charge for _, charges in rows for charge in charges]
            book = await read_book(connection, every, is_locked=True)
            for row, charges in rows:
                try:
                    if row is not None and (task_id := submitted.earlier(_submission(row))) is not None:
                        outcomes.append(task_id)
                        continue
                    book.check(charges)
                    if row is not None:
                        await room.check(_stored_bytes(row))
                except VoxgenderError as error:
                    outcomes.append(error)
                    continue
                book.enter(charges)
                if row is not None:
                    room.take(_stored_bytes(row))
                    accepted.append(row)
                    submitted.enter(_submission(row), row[0])
                outcomes.append(None)
            # Sent in one go: others wait for the licence's row and for the totals'.
            async with connection.pipeline():
                if accepted:
                    await connection.execute(_INSERT, [list(column) for column in zip(*accepted, strict=True)])
                await write_book(connection, book)
                await room.write()
        return outcomes

    async def enqueue(self, task: Task, job: NewJob, *charges: Charge, submission: Submission | None = None) -> UUID:
        """Store a pending task with its job; returns once both are committed."""
        row = _row(task, job.decision, submission)
        async with self._pool.transaction() as connection:
            submitted = await Submitted.look(connection, [row[_SUBMISSION]])
            if (task_id := submitted.earlier(submission)) is not None:
                return task_id
            (await read_book(connection, charges, is_locked=False)).check_left(charges)
            room = await Room.look(connection, self._capacity_bytes, row[_STORED_BYTES])
            await room.check(row[_STORED_BYTES])
            room.take(row[_STORED_BYTES])
            job_id = await insert_job(connection, task.task_id)
            await connection.execute(_ENQUEUE, [*row, job_id, job.text()])
            await room.write()
        return task.task_id

    async def get(self, task_id: UUID) -> Task:
        """Return a task that has not expired."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(_GET, [task_id], binary=True)).fetchone()
        if row is None:
            raise TaskNotFoundError(f"there is no task {task_id}; it never was, or its result has expired")
        technology, state = Technology(row[0]), TaskState(row[1])
        created_s, expires_s, male_prior, min_probability, progress, result, owner = row[2:]
        outcome = read_outcome(technology, state, Decision(male_prior, min_probability), result)
        return Task(task_id, technology, state, created_s, expires_s, outcome, progress, owner)

    async def forget(self, task_id: UUID, technology: Technology) -> bool:
        """Delete a task and its job."""
        async with self._pool.transaction() as connection:
            return await delete_task(connection, task_id, technology)

    async def forget_expired(self) -> int:
        """Delete expired tasks in small pieces, and return how many went."""
        forgotten, piece = 0, EXPIRE_ROWS
        while piece == EXPIRE_ROWS:
            async with self._pool.transaction() as connection:
                piece, freed_bytes = await expire(connection)
                if piece:
                    await count(connection, -piece, -freed_bytes)
            forgotten += piece
        async with self._pool.transaction() as connection:
            await clear_log(connection)
            await self._look_at_clock(connection)
        return forgotten

    async def claim(self, lost_expires_s: float) -> Job | None:
        """Return the job that has waited longest, which is the caller's now."""
        async with self._pool.connection() as connection:
            await self._look_at_clock(connection)
            waiting = await (await connection.execute(WAITING)).fetchone()
            if not waiting or not waiting[0]:
                return None
        async with self._pool.transaction() as connection:
            return await claim_job(connection, self.hold_s, lost_expires_s)

    async def renew(self, job: Job, progress: float) -> bool:
        """Say that a job's holder is alive; return whether the job is still its own."""
        try:
            async with self._pool.transaction() as connection:
                await renew_job(connection, job, progress, self.hold_s)
        except NotHeldError:
            return False
        return True

    async def finish(self, job: Job, state: TaskState, outcome: Outcome, expires_s: float, *charges: Charge) -> bool:
        """Finish a job's task; return whether the job was still the caller's."""
        try:
            async with self._pool.transaction() as connection:
                more_bytes = await end_job(connection, job, state, outcome, expires_s)
                book = await read_book(connection, charges, is_locked=True)
                book.check(charges)
                book.enter(charges)
                await write_book(connection, book)
                await count(connection, 0, more_bytes)
        except NotHeldError:
            return False
        return True

    async def give_back(self, job: Job, *, is_try: bool) -> None:
        """Let a job wait again."""
        with suppress(NotHeldError):
            async with self._pool.transaction() as connection:
                await give_job_back(connection, job, job.tries if is_try else job.tries - 1)

    async def unfinished(self, task_ids: Collection[UUID]) -> set[UUID]:
        """Return which of some ids are those of tasks that are not finished."""
        query = "SELECT task_id FROM voxgender.task WHERE task_id = ANY(%s) AND state = ANY(%s)"
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(query, [list(task_ids), UNFINISHED])).fetchall()
        return {task_id for (task_id,) in rows}

    async def usage(self) -> StoreUsage:
        """Return how full the store is."""
        async with self._pool.connection() as connection:
            tasks, stored_bytes = await totals(connection)
        return StoreUsage(tasks, stored_bytes, self._capacity_bytes)

    async def check(self) -> None:
        """Find out whether something could be written now: whether the server is one to read from alone."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute("SELECT current_setting('transaction_read_only')")).fetchone()
        if row is None or row[0] != "off":
            raise StoreUnavailableError("the task store can only be read, as its database says")

    async def queue(self) -> QueueState:
        """Return how many jobs wait and are worked on."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(QUEUE)).fetchone()
        waiting, running, oldest_s = row or (0, 0, None)
        return QueueState(waiting, running, max(0.0, oldest_s or 0.0))

    async def licence_used(self, period: str) -> Mapping[str, float]:
        """Return what has been charged in a period, by resource."""
        query = "SELECT resource, used FROM voxgender.licence_use WHERE period = %s AND used > 0"
        async with self._pool.connection() as connection:
            rows: list[Any] = await (await connection.execute(query, [period])).fetchall()
        return dict(rows)

    async def add_key(self, key: ApiKey) -> None:
        """Keep a key; returns once it is committed."""
        insert = "INSERT INTO voxgender.api_key (key_id, about) VALUES (%s, %s)"
        async with self._pool.transaction() as connection:
            await connection.execute(insert, [key.key_id, key.text()])

    async def keys(self) -> list[ApiKey]:
        """Return all keys, the oldest first."""
        async with self._pool.connection() as connection:
            rows = await (await connection.execute("SELECT about FROM voxgender.api_key ORDER BY place")).fetchall()
        return [read_key(about) for (about,) in rows]

    async def remove_key(self, key_id: str) -> bool:
        """Forget a key; return whether there was one of that id."""
        async with self._pool.transaction() as connection:
            deleted = await connection.execute("DELETE FROM voxgender.api_key WHERE key_id = %s", [key_id])
        return deleted.rowcount > 0


def _stored_bytes(row: _Row | None) -> int:
    return 0 if row is None else row[_STORED_BYTES]


def _submission(row: _Row) -> Submission | None:
    name, fingerprint = row[_SUBMISSION:]
    return None if name is None or fingerprint is None else Submission(name, fingerprint)


def _row(task: Task, decision: Decision, submission: Submission | None) -> _Row:
    result = b"" if task.outcome is None else outcome_bytes(task.outcome)
    return (
        task.task_id,
        task.technology.value,
        task.state.value,
        task.created_s,
        task.expires_s,
        decision.male_prior,
        decision.min_probability,
        task.progress,
        ROW_BYTES + len(result),
        result,
        task.owner,
        submission.name if submission else None,
        submission.fingerprint if submission else None,
    )
