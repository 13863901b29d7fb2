"""The embedded store: one SQLite file in WAL mode, written by one thread that commits in groups."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

from voxgender.app.disk import make_private
from voxgender.app.group_writer import GroupWriter
from voxgender.app.job import Job, NewJob
from voxgender.app.key import ApiKey, read_key
from voxgender.app.licence import Charge
from voxgender.app.outcome import decision_of, outcome_bytes, read_outcome
from voxgender.app.sqlite_jobs import (
    QUEUE,
    WAITING,
    claim_job,
    delete_task,
    end_task,
    give_job_back,
    insert_job,
    is_held,
    renew_job,
    unfinished_query,
)
from voxgender.app.sqlite_licence import book_charges, read_book, write_book
from voxgender.app.sqlite_schema import prepare
from voxgender.app.sqlite_totals import count, stored_bytes
from voxgender.app.steady_clock import SteadyClock
from voxgender.app.store import QueueState, StoreUsage
from voxgender.app.submission import Submission, earlier
from voxgender.app.task import Outcome, Task, TaskState, Technology
from voxgender.app.turn import Turn
from voxgender.app.waiting import answer
from voxgender.core.decision import Decision
from voxgender.core.errors import (
    SettingsError,
    StorageFullError,
    StoreUnavailableError,
    TaskNotFoundError,
    VoxgenderError,
)

_T = TypeVar("_T")
_Row = tuple[bytes, str, float, float, float, float, int, bytes, str, float, str, bytes | None, bytes | None]
_Charges = tuple[Charge, ...]
_New = tuple[_Row, _Charges, "asyncio.Future[UUID]"]
_STORED_BYTES: Final = 6
_COLUMNS: Final = (
    "task_id, state, created_s, expires_s, male_prior, min_probability, stored_bytes, result, technology, progress, "
    "owner, submission, fingerprint"
)
_ROW_MARKS: Final = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

ROW_BYTES: Final = 256
"""What a task takes up besides its result: its row, its index entries, and its share of the pages' slack."""
EXPIRE_ROWS: Final = 500
"""Most tasks deleted in one piece of work, so that new ones come in between."""
ADD_ROWS: Final = 128
"""Most tasks stored in one piece of work."""
READ_WAIT_MS: Final = 200
"""Longest wait of a read, or of an emptying of the log, for the file; the former waits after a crash alone."""
CHECK_IN_BYTES: Final = 1024**2
"""So much is written into the log, about, before it is carried over into the file."""
COMMIT_BYTES: Final = 24 * 1024
"""What a commit writes into the log besides its results, about."""
PAGE_BYTES: Final = 4096
WAL_BYTES: Final = 4 * 1024**2
"""What the write-ahead log may keep on disk once its content is in the file."""


class SqliteStore:
    """A :class:`~voxgender.app.store.Store` in one file.

    Args:
        path: The file; it is created where it is missing, and its folder too.
        capacity_bytes: The most that tasks and results may take up.
        hold_s: Seconds after which a job goes to another worker unless its holder has renewed it.
        now_s: Tells the time in UTC epoch seconds instead of the store's steady clock; for tests.
    """

    def __init__(
        self, path: Path, capacity_bytes: int, hold_s: float = 12.0, now_s: Callable[[], float] | None = None
    ) -> None:
        self.hold_s = hold_s
        self.store_id = ""
        self._has_deleted = False
        self._path = path
        self._capacity_bytes = capacity_bytes
        self._clock = SteadyClock(path.with_name(f"{path.name}-clock"))
        self._now_s = now_s or self._clock.now_s
        self._writer: GroupWriter | None = None
        self._new: list[_New] = []
        self._adding: asyncio.Task[None] | None = None
        self._logged_bytes = 0

    def __repr__(self) -> str:
        return f"SqliteStore({str(self._path)!r}, capacity_bytes={self._capacity_bytes})"

    async def open(self) -> None:
        """Create or upgrade the file and start the writer.

        Raises:
            SettingsError: Where the file cannot be opened, is no store, or is one of a later version.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            make_private(self._path)  # SQLite gives its other files the same mode
            turn = Turn(self._path.with_name(self._path.name + "-turn"))
            with turn, closing(self._connect()) as first:
                self._clock.share()
                prepare(first)
                (self.store_id,) = first.execute("SELECT store_id FROM identity").fetchone()
            self._file = _identity(self._path)
            self._reader = self._connect()
            self._reader.execute("PRAGMA query_only = ON")
            self._reader.execute(f"PRAGMA busy_timeout = {READ_WAIT_MS}")
            writing = self._connect()
            self._checking_in = self._connect()
            self._checking_in.execute(f"PRAGMA busy_timeout = {READ_WAIT_MS}")
        except (OSError, sqlite3.Error) as error:
            reason = f"which cannot be used: {error}"
            raise SettingsError(f"VOXGENDER_STORE_URL (--store-url) is sqlite:///{self._path}, {reason}") from None
        self._writer = GroupWriter(writing, turn)
        self._check_ins = ThreadPoolExecutor(1, thread_name_prefix="store-check-in")

    def now_s(self) -> float:
        """Return the time by which tasks expire."""
        return self._now_s()

    async def close(self) -> None:
        """Commit what waits and close the file."""
        if self._writer is None:
            return
        if self._adding is not None:
            await asyncio.wait([self._adding])
        self._reader.close()
        await asyncio.to_thread(self._check_ins.shutdown)
        self._checking_in.close()
        await asyncio.to_thread(self._writer.close)
        self._writer = None

    async def add(self, task: Task, *charges: Charge, submission: Submission | None = None) -> UUID:
        """Store a task and book its charges, all or nothing; returns once they are on disk."""
        row = _row(task, decision_of(task.outcome), submission)
        done: asyncio.Future[UUID] = asyncio.get_running_loop().create_future()
        self._new.append((row, charges, done))
        if self._adding is None or self._adding.done():
            self._adding = asyncio.create_task(self._add_new())
        return await done

    async def _add_new(self) -> None:
        """Store what has come, all that waits in one piece of work, until nothing waits.

        One piece, because each statement and each answer is a hand-over between two threads.
        """
        while self._new:
            added, self._new = self._new[:ADD_ROWS], self._new[ADD_ROWS:]
            rows = [(row, charges) for row, charges, _ in added]
            outcomes: Sequence[UUID | Exception]
            try:
                outcomes = await self._write(partial(self._insert, rows))
            except Exception as error:  # noqa: BLE001 - whatever it is, each of them is answered
                outcomes = [error] * len(added)
            self._logged_bytes += COMMIT_BYTES + sum(row[_STORED_BYTES] for row, _ in rows)
            if self._logged_bytes > CHECK_IN_BYTES:
                self._logged_bytes = 0
                self._check_ins.submit(self._check_in)
            for (_, _, done), outcome in zip(added, outcomes, strict=True):
                answer(done, outcome)

    def _check_in(self) -> None:
        """Carry the write-ahead log over into the file, while commits go on: by itself SQLite lets one of them wait."""
        # Whatever fails is done by the next one, or by SQLite once the log is four times as long.
        with suppress(sqlite3.Error):
            self._checking_in.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _empty_log(self) -> None:
        """Carry the write-ahead log over into the file and empty it: what was deleted is still in it."""
        with suppress(sqlite3.Error):
            self._checking_in.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _insert(self, rows: list[tuple[_Row, _Charges]], connection: sqlite3.Connection) -> list[UUID | Exception]:
        """Insert those of the rows that are new and that storage and charges allow.

        Return the id of each one's task, which is an earlier one where it has come before, or its refusal.
        """
        used_bytes = stored_bytes(connection)
        book = read_book(connection)
        accepted: list[_Row] = []
        outcomes: list[UUID | Exception] = []
        for row, charges in rows:
            try:
                if (task_id := _earlier(connection, row, accepted, self._now_s())) is not None:
                    outcomes.append(task_id)
                    continue
                book.check(charges)
                used_bytes = self._make_room(connection, used_bytes, row[_STORED_BYTES])
            except VoxgenderError as error:
                outcomes.append(error)
                # Some may have expired on the way to the refusal.
                used_bytes = stored_bytes(connection) + sum(other[_STORED_BYTES] for other in accepted)
                continue
            book.enter(charges)
            used_bytes += row[_STORED_BYTES]
            accepted.append(row)
            outcomes.append(UUID(bytes=row[0]))
        if accepted:
            values = ", ".join([_ROW_MARKS] * len(accepted))
            insert = f"INSERT INTO task ({_COLUMNS}) VALUES {values}"  # noqa: S608 - question marks alone
            connection.execute(insert, [value for row in accepted for value in row])
            count(connection, len(accepted), sum(row[_STORED_BYTES] for row in accepted))
            write_book(connection, book)
        return outcomes

    async def charge(self, *charges: Charge) -> None:
        """Book charges for work of which nothing is stored; returns once they are on disk."""
        await self._write(lambda connection: book_charges(connection, charges))

    async def enqueue(self, task: Task, job: NewJob, *charges: Charge, submission: Submission | None = None) -> UUID:
        """Store a pending task with its job; returns once both are on disk."""
        row = _row(task, job.decision, submission)

        def work(connection: sqlite3.Connection) -> UUID:
            if (task_id := _earlier(connection, row, [], self._now_s())) is not None:
                return task_id
            read_book(connection).check_left(charges)
            self._make_room(connection, stored_bytes(connection), row[_STORED_BYTES])
            connection.execute(f"INSERT INTO task ({_COLUMNS}) VALUES {_ROW_MARKS}", row)  # noqa: S608 - question marks alone
            insert_job(connection, task.task_id, job)
            count(connection, 1, row[_STORED_BYTES])
            return task.task_id

        return await self._write(work)

    async def forget(self, task_id: UUID, technology: Technology) -> bool:
        """Delete a task and its job."""
        self._has_deleted = True
        return await self._write(
            lambda connection: delete_task(connection, task_id, technology, self._now_s()), frees=True
        )

    async def claim(self, lost_expires_s: float) -> Job | None:
        """Return the job that has waited longest, which is the caller's now."""
        if not self._read(WAITING, (self._now_s(),)):
            return None
        return await self._write(lambda connection: claim_job(connection, self._now_s(), self.hold_s, lost_expires_s))

    async def renew(self, job: Job, progress: float) -> bool:
        """Say that a job's holder is alive; return whether the job is still its own."""
        return await self._write(lambda connection: renew_job(connection, job, progress, self._now_s() + self.hold_s))

    async def finish(self, job: Job, state: TaskState, outcome: Outcome, expires_s: float, *charges: Charge) -> bool:
        """Finish a job's task; return whether the job was still the caller's."""

        def work(connection: sqlite3.Connection) -> bool:
            if not is_held(connection, job):
                return False
            book_charges(connection, charges)
            end_task(connection, job.task_id.bytes, state, outcome, expires_s)
            return True

        return await self._write(work)

    async def give_back(self, job: Job, *, is_try: bool) -> None:
        """Let a job wait again."""
        await self._write(lambda connection: give_job_back(connection, job, job.tries if is_try else job.tries - 1))

    async def unfinished(self, task_ids: Collection[UUID]) -> set[UUID]:
        """Return which of some ids are those of tasks that are not finished."""
        return {UUID(bytes=task_id) for (task_id,) in self._read(*unfinished_query(task_ids))}

    async def get(self, task_id: UUID) -> Task:
        """Return a task that has not expired."""
        query = """SELECT state, created_s, expires_s, male_prior, min_probability, result, technology, progress,
            owner FROM task"""
        rows = self._read(f"{query} WHERE task_id = ? AND expires_s > ?", (task_id.bytes, self._now_s()))
        if not rows:
            raise TaskNotFoundError(f"there is no task {task_id}; it never was, or its result has expired")
        told, created_s, expires_s, male_prior, min_probability, result, technology, progress, owner = rows[0]
        state, technology = TaskState(told), Technology(technology)
        outcome = read_outcome(technology, state, Decision(male_prior, min_probability), result)
        return Task(task_id, technology, state, created_s, expires_s, outcome, progress, owner)

    async def forget_expired(self) -> int:
        """Delete expired tasks in small pieces, give the file's free pages back, and return how many went."""
        forgotten = 0
        while True:
            piece, _ = await self._write(lambda connection: _expire(connection, self._now_s()), frees=True)
            forgotten += piece
            if piece < EXPIRE_ROWS:
                break
        if forgotten or self._has_deleted:
            self._has_deleted = False
            await asyncio.get_running_loop().run_in_executor(self._check_ins, self._empty_log)
        return forgotten

    async def usage(self) -> StoreUsage:
        """Return how full the store is."""
        totals = dict(self._read("SELECT name, amount FROM total", ()))
        if _identity(self._path) != self._file:
            raise StoreUnavailableError("the task store's file was deleted or replaced; start the service again")
        free_bytes = shutil.disk_usage(self._path.parent).free
        return StoreUsage(totals["tasks"], totals["stored_bytes"], self._capacity_bytes, free_bytes)

    async def check(self) -> None:
        """Find out whether something could be written now: whether this process gets the lock to write."""
        await self._write(lambda _: None)

    async def queue(self) -> QueueState:
        """Return how many jobs wait and are worked on."""
        now_s = self._now_s()
        ((waiting, jobs, oldest_s),) = self._read(QUEUE, (now_s,))
        return QueueState(int(waiting), jobs - int(waiting), 0.0 if oldest_s is None else max(0.0, now_s - oldest_s))

    async def licence_used(self, period: str) -> Mapping[str, float]:
        """Return what has been charged in a period, by resource."""
        return dict(self._read("SELECT resource, used FROM licence_use WHERE period = ?", (period,)))

    async def add_key(self, key: ApiKey) -> None:
        """Keep a key; returns once it is on disk."""
        values = (key.key_id, key.text())
        await self._write(lambda connection: connection.execute("INSERT INTO api_key VALUES (?, ?)", values).rowcount)

    async def keys(self) -> list[ApiKey]:
        """Return all keys, the oldest first."""
        return [read_key(about) for (about,) in self._read("SELECT about FROM api_key ORDER BY rowid", ())]

    async def remove_key(self, key_id: str) -> bool:
        """Forget a key; return whether there was one of that id."""
        delete = "DELETE FROM api_key WHERE key_id = ?"
        return await self._write(lambda connection: connection.execute(delete, (key_id,)).rowcount > 0)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            # NORMAL would lose the last commits at a power cut; a task that was told as accepted must not be lost.
            connection.execute("PRAGMA synchronous = FULL")
            # What is deleted may be a voiceprint; it is written over.
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {4 * CHECK_IN_BYTES // PAGE_BYTES}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _read(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Read a few rows on the event loop: that takes less than to ask a thread, and no writer is in its way."""
        if self._writer is None:
            raise StoreUnavailableError("the task store is closed")
        try:
            return self._reader.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailableError(f"the task store cannot be read: {error}") from error

    async def _write(self, work: Callable[[sqlite3.Connection], _T], *, frees: bool = False) -> _T:
        if self._writer is None:
            raise StoreUnavailableError("the task store is closed")
        return await asyncio.wrap_future(self._writer.submit(work, frees=frees))

    def _make_room(self, connection: sqlite3.Connection, used_bytes: int, wanted_bytes: int) -> int:
        """Check that ``wanted_bytes`` more fit; what has expired goes first, and what is left then is returned.

        Raises:
            StorageFullError: Where they do not fit.
        """
        while used_bytes + wanted_bytes > self._capacity_bytes:
            expired, freed_bytes = _expire(connection, self._now_s())
            if not expired:
                raise StorageFullError(
                    f"the task store holds {used_bytes} of {self._capacity_bytes} bytes and {wanted_bytes} more do "
                    "not fit; wait until results expire, or raise VOXGENDER_STORAGE_CAPACITY_BYTES"
                )
            used_bytes -= freed_bytes
        return used_bytes


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one of its name; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _row(task: Task, decision: Decision, submission: Submission | None) -> _Row:
    result = b"" if task.outcome is None else outcome_bytes(task.outcome)
    return (
        task.task_id.bytes,
        task.state.value,
        task.created_s,
        task.expires_s,
        decision.male_prior,
        decision.min_probability,
        ROW_BYTES + len(result),
        result,
        task.technology.value,
        task.progress,
        task.owner,
        submission.name if submission else None,
        submission.fingerprint if submission else None,
    )


def _earlier(connection: sqlite3.Connection, row: _Row, accepted: list[_Row], now_s: float) -> UUID | None:
    """Return the task that a row's submission has made before, in the file or in this piece of work; None where none.

    Raises:
        RequestValidationError: Where something else came before under the submission's name.
    """
    task_id, name, fingerprint = row[0], row[-2], row[-1]
    if name is None or fingerprint is None:
        return None
    submission = Submission(name, fingerprint)
    for other in accepted:
        if other[-2] == name:
            return earlier(submission, other[-1] or b"", UUID(bytes=other[0]))
    query = "SELECT task_id, fingerprint, expires_s FROM task WHERE submission = ?"
    found = connection.execute(query, (name,)).fetchone()
    if found is None:
        return None
    task_id, fingerprint, expires_s = found
    if expires_s <= now_s:
        # It is only still there; its name may be given again.
        connection.execute("UPDATE task SET submission = NULL WHERE task_id = ?", (task_id,))
        return None
    return earlier(submission, fingerprint, UUID(bytes=task_id))


def _expire(connection: sqlite3.Connection, now_s: float) -> tuple[int, int]:
    """Delete some expired tasks; return how many, and the bytes that they took up."""
    query = "SELECT rowid, stored_bytes FROM task WHERE expires_s <= ? LIMIT ?"
    expired = connection.execute(query, (now_s, EXPIRE_ROWS)).fetchall()
    freed_bytes = sum(row_bytes for _, row_bytes in expired)
    if expired:
        connection.executemany("DELETE FROM task WHERE rowid = ?", [(row,) for row, _ in expired])
        count(connection, -len(expired), -freed_bytes)
    return len(expired), freed_bytes
