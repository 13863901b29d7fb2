"""The windows of the rate limit that several processes count together; those of one machine in a small SQLite file."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from voxgender.app.disk import make_private
from voxgender.app.moving_windows import MovingWindows
from voxgender.app.postgres_url import is_postgres, without_postgres
from voxgender.app.settings import Settings

BUSY_S: Final = 1.0
"""Longest wait for the other processes; a count takes each some 70 microseconds."""
FORGET_ROWS: Final = 8
"""Most requests that one new request forgets, of any window: more than come in, so that the file stays small."""

_SCHEMA: Final = (
    "PRAGMA journal_mode = WAL",
    # Nothing here outlives the service, so nothing waits for the disk.
    "PRAGMA synchronous = OFF",
    """CREATE TABLE IF NOT EXISTS hit (
        window BLOB NOT NULL,
        at_s REAL NOT NULL,
        number INTEGER NOT NULL,
        until_s REAL NOT NULL,
        PRIMARY KEY (window, at_s, number)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS hit_until ON hit (until_s)",
)
_OLDEST_AND_NEWEST: Final = """
    SELECT at_s, number, (SELECT number FROM hit WHERE window = ?1 ORDER BY at_s DESC, number DESC LIMIT 1)
    FROM hit WHERE window = ?1 AND at_s >= ?2 ORDER BY at_s, number LIMIT 1
"""
_FORGET: Final = """
    DELETE FROM hit WHERE (window, at_s, number) IN (
        SELECT window, at_s, number FROM hit WHERE until_s < ? ORDER BY until_s LIMIT ?
    )
"""


_Connection = TypeVar("_Connection", bound="Closable")


class Closable(Protocol):
    """A connection to whatever keeps the windows."""

    def close(self) -> None:
        """Let go of it."""


class RateWindows(MovingWindows, Generic[_Connection]):
    """Moving windows that processes share; their errors are ``limits.errors.StorageError``.

    A request that was let in is a row: whose window (a digest of the key, so that no address is kept), when, and its
    number in the window. The numbers of a window have no gaps, so that its oldest and its newest row tell how many
    there are, however many that is.
    """

    def __init__(self) -> None:
        super().__init__(wrap_exceptions=True)
        self._guard = threading.Lock()
        self._connection: _Connection | None = None

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        with self._guard:
            self._drop()

    def _connect(self) -> _Connection:
        """Return a new connection, ready to be used."""
        raise NotImplementedError

    @contextlib.contextmanager
    def _connected(self) -> Iterator[_Connection]:
        """Give the connection to one thread; after an error the next caller gets a new one."""
        with self._guard:
            try:
                if self._connection is None:
                    self._connection = self._connect()
                yield self._connection
            except BaseException:
                self._drop()
                raise

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def shared_windows(settings: Settings) -> RateWindows[Any] | None:
    """Return the windows that all processes of a service share; None where one counts alone, or nothing is to count.

    Raises:
        DependencyError: Where they need what is not installed.
        SettingsError: Where the store's URL cannot be read.
    """
    if not settings.counts_requests or not is_postgres(settings.store_url):
        return machine_windows(settings)
    try:
        from voxgender.app.postgres_windows import PostgresWindows
    except ImportError as error:
        raise without_postgres(settings.store_url, error) from None
    return PostgresWindows(settings.store_url)


def machine_windows(settings: Settings) -> SqliteWindows | None:
    """Return those of one machine, which its service begins anew with each start; None where there are none."""
    if settings.workers == 1 or not settings.counts_requests or is_postgres(settings.store_url):
        return None
    return SqliteWindows(settings.sqlite_path.with_name(settings.sqlite_path.name + "-rates"))


class SqliteWindows(RateWindows[sqlite3.Connection]):
    """Windows in a file. What is refused writes nothing and waits for nobody.

    Times are of the monotonic clock, which all processes of a machine share and nobody sets; so the file means nothing
    after a restart of the machine, and :meth:`reset` is called when the service starts.

    Args:
        path: The file; it is created where it is missing.
        now_s: Tells the time; tests hand in their own.
    """

    def __init__(self, path: Path, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._path = path
        self._now_s = now_s

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        """What goes wrong with a file."""
        return (sqlite3.Error, OSError)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count ``amount`` requests and return True, or return False where they do not fit.

        Args:
            key: Whose window.
            limit: Requests in one window.
            expiry: Seconds that the window is long.
            amount: Requests to count.
        """
        window = digest(key)
        with self._connected() as file:
            # Nothing leaves a window before its time, so what is full without the lock is full with it.
            if _count(file, window, self._now_s() - expiry)[1] + amount > limit:
                return False
            with file:
                file.execute("BEGIN IMMEDIATE")
                now_s = self._now_s()
                _, count, newest = _count(file, window, now_s - expiry)
                if count + amount > limit:
                    return False
                rows = [(window, now_s, newest + one, now_s + expiry) for one in range(1, amount + 1)]
                file.executemany("INSERT INTO hit VALUES (?, ?, ?, ?)", rows)
                file.execute(_FORGET, (now_s, FORGET_ROWS))
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - the library's
        """Return when the window began (UTC epoch seconds) and the requests in it; now and 0 where there are none."""
        with self._connected() as file:
            now_s = self._now_s()
            began_s, count, _ = _count(file, digest(key), now_s - expiry)
        return time.time() - (now_s - began_s if count else 0.0), count

    def clear(self, key: str) -> None:
        """Forget a window."""
        with self._connected() as file:
            file.execute("DELETE FROM hit WHERE window = ?", (digest(key),))

    def reset(self) -> int | None:
        """Forget all windows and return how many requests those held; a file that is none of SQLite's is replaced."""
        try:
            return self._forget_all()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            return self._forget_all()

    def check(self) -> bool:
        """Return whether the file can be used."""
        with contextlib.suppress(sqlite3.Error, OSError), self._connected() as file:
            _count(file, b"", 0.0)
            return True
        return False

    def _forget_all(self) -> int:
        with self._connected() as file:
            return file.execute("DELETE FROM hit").rowcount

    def _connect(self) -> sqlite3.Connection:
        make_private(self._path)
        connection = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            for statement in _SCHEMA:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection


def digest(key: str) -> bytes:
    """Return what stands for a key, which holds an address."""
    return hashlib.blake2b(key.encode(), digest_size=16).digest()


def _count(file: sqlite3.Connection, window: bytes, since_s: float) -> tuple[float, int, int]:
    """Return when the oldest request of a window came, how many there are, and the number of the newest."""
    row = file.execute(_OLDEST_AND_NEWEST, (window, since_s)).fetchone()
    return (row[0], row[2] - row[1] + 1, row[2]) if row else (since_s, 0, 0)
