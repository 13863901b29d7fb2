"""The group writer: one thread that does all writing to a SQLite file and commits in groups.

A durable commit waits for the disk. So the writer takes everything that waits, does it in one transaction with a
savepoint for each piece, commits once, and only then answers all: a lone caller waits for one commit, and a hundred
callers wait for one commit as well. Writers in several processes take turns, a group each.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from voxgender.app.turn import Turn
from voxgender.core.errors import StorageFullError, StoreUnavailableError, VoxgenderError

_T = TypeVar("_T")
_Job = tuple[Callable[[sqlite3.Connection], Any], "Future[Any]", bool]

GROUP_JOBS: Final = 256
"""Most pieces of work in one commit, so that the first of them is not kept waiting."""
SPARE_PAGES: Final = 64
"""Free pages that stay in the file: giving them back and taking them again costs more than they are."""
VACUUM_PAGES: Final = 10_000
"""Most pages given back after one commit, 40 MB, so that new tasks do not wait for long."""


class GroupWriter:
    """Does pieces of work on a connection, in the order in which they come.

    Args:
        connection: In autocommit mode, and for this thread alone from now on.
        turn: Taken for each group; closed with the writer.

    Attributes:
        connection: The same.
    """

    def __init__(self, connection: sqlite3.Connection, turn: Turn) -> None:
        self.connection = connection
        self._turn = turn
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        # A daemon, so that a process that ends in an error does not wait for it; close() waits for what was begun.
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[sqlite3.Connection], _T], *, frees: bool = False) -> Future[_T]:
        """Return a future of the work's value, which comes once the work is on disk.

        It cannot be cancelled: a caller that goes away does not undo what is on its way to the disk. It fails with what
        the work raised, and nothing of the work is left then, or with a ``StoreUnavailableError`` or
        ``StorageFullError`` of the whole group.

        Args:
            work: What is to be done.
            frees: Whether it deletes, so that pages of the file may be given back after it.
        """
        done: Future[_T] = Future()
        done.set_running_or_notify_cancel()
        with self._closing:
            if self._closed:
                done.set_exception(StoreUnavailableError("the task store is closed"))
            else:
                self._jobs.put((work, done, frees))
        return done

    def close(self) -> None:
        """Do what waits, then end the thread and close the connection."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()
        # The last one to close a file puts its log away, and nobody may open it meanwhile.
        with self._turn:
            self.connection.close()
        self._turn.close()

    def _run(self) -> None:
        more = True
        while more:
            group, more = self._next_group()
            with self._turn:
                outcomes = self._commit([work for work, _, _ in group])
            for (_, done, _), outcome in zip(group, outcomes, strict=True):
                if isinstance(outcome, Exception):
                    done.set_exception(outcome)
                else:
                    done.set_result(outcome)
            if any(frees for _, _, frees in group):
                # The file may be busy; then the pages stay free and go another time.
                with contextlib.suppress(sqlite3.Error):
                    self._give_pages_back()

    def _next_group(self) -> tuple[list[_Job], bool]:
        """Wait for work and take what is there; the second value is False once the writer is to end."""
        job = self._jobs.get()
        group: list[_Job] = []
        while job is not None:
            group.append(job)
            if len(group) == GROUP_JOBS or self._jobs.empty():
                return group, True
            job = self._jobs.get()
        return group, False

    def _commit(self, works: Sequence[Callable[[sqlite3.Connection], Any]]) -> list[Any]:
        """Do a group's work in one transaction; return the value or the error of each piece."""
        if not works:
            return []
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            if len(works) == 1:
                # Nothing else would be lost, so the transaction itself is undone.
                outcomes = [works[0](self.connection)]
            else:
                outcomes = [_attempt(self.connection, work) for work in works]
            self.connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread must live and each caller be answered
            with contextlib.suppress(sqlite3.Error):
                self.connection.rollback()
            if len(works) == 1 and not isinstance(error, sqlite3.Error):
                return [error]
            return [_as_refusal(error)] * len(works)
        return outcomes

    def _give_pages_back(self) -> None:
        """Let the file shrink by the pages that deleted results have left, all but a few for the next ones."""
        free_pages = self.connection.execute("PRAGMA freelist_count").fetchone()[0]
        if free_pages > SPARE_PAGES:
            pages = min(free_pages - SPARE_PAGES, VACUUM_PAGES)
            # As a script, because the pragma does one page a step, and execute() takes one step.
            with self._turn:
                self.connection.executescript(f"PRAGMA incremental_vacuum({pages})")


def _attempt(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], Any]) -> Any:
    """Do one piece of a group's work; return its value, or the error after which nothing of it is left."""
    connection.execute("SAVEPOINT piece")
    try:
        outcome = work(connection)
    except Exception as error:
        if not connection.in_transaction:
            # A full disk makes SQLite roll everything back by itself: then the whole group has failed.
            raise
        connection.execute("ROLLBACK TO piece")
        outcome = _as_refusal(error) if isinstance(error, sqlite3.Error) else error
    connection.execute("RELEASE piece")
    return outcome


def _as_refusal(error: Exception) -> VoxgenderError:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return StorageFullError("the disk of the task store is full; free some space")
    return StoreUnavailableError(f"the task store cannot be written: {error}")
