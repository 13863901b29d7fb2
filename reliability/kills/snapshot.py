"""What a store holds at one moment, read past the service, and whether it is in order."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit
from uuid import UUID

from postgres import PostgresServer, binary_folder
from voxgender.app.sqlite_store import ROW_BYTES
from voxgender.core.result import RECORD

UNFINISHED: Final = ("pending", "running")


class BrokenPromiseError(AssertionError):
    """Something that the service promises is not so."""


def demand(is_so: object, what: str) -> None:
    """Raise :class:`BrokenPromiseError` unless something is so."""
    if not is_so:
        raise BrokenPromiseError(what)


@dataclass(frozen=True, slots=True)
class Row:
    """A task as it is stored.

    Attributes:
        owner: The id of the key that it came with.
        technology: What is done in it.
        state: How far it is.
        stored_bytes: What it counts for.
        result_bytes: What its result has.
        voiceprints: How many a finished list has; 0 for media.
    """

    owner: str
    technology: str
    state: str
    stored_bytes: int
    result_bytes: int
    voiceprints: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A store at one moment.

    Attributes:
        tasks: All of them.
        jobs: The tasks that a job belongs to.
        total: How many tasks there are and what they take up, as the store has counted it.
        used: What was charged, by period and resource.
    """

    tasks: Mapping[UUID, Row]
    jobs: tuple[UUID, ...]
    total: tuple[int, int]
    used: Mapping[tuple[str, str], float]

    @property
    def unfinished(self) -> set[UUID]:
        """The tasks that need their media."""
        return {task_id for task_id, row in self.tasks.items() if row.state in UNFINISHED}

    def check(self) -> None:
        """Check what must be so in any store at any moment.

        Raises:
            BrokenPromiseError: Where it is not.
        """
        sums = (len(self.tasks), sum(row.stored_bytes for row in self.tasks.values()))
        demand(self.total == sums, f"the store counts {self.total} tasks and bytes and holds {sums}")
        demand(len(set(self.jobs)) == len(self.jobs), "a task has two jobs")
        demand(set(self.jobs) == self.unfinished, f"jobs and unfinished tasks: {set(self.jobs) ^ self.unfinished}")
        for task_id, row in self.tasks.items():
            demand(row.stored_bytes == ROW_BYTES + row.result_bytes, f"the size of task {task_id} is wrong: {row}")
            demand((row.state in UNFINISHED) == (row.result_bytes == 0), f"task {task_id} has no outcome: {row}")
        for resource in ("voiceprints", "audio_s"):
            of_keys = sum(used for (period, of), used in self.used.items() if of == resource and period != "total")
            licence = self.used.get(("total", resource), 0.0)
            demand(of_keys == licence, f"keys were charged {of_keys} {resource}, the licence {licence}")


class StoreFiles(Protocol):
    """A store that can be looked into."""

    def look(self, *, is_open: bool) -> Snapshot:
        """Return what is in it, once its engine finds no damage.

        Args:
            is_open: Whether any process has it open.

        Raises:
            BrokenPromiseError: Where it is damaged.
        """


class SqliteFiles:
    """A SQLite store.

    Args:
        path: Its file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def look(self, *, is_open: bool) -> Snapshot:
        """Look into the file, or into a copy where nobody has it open: the next server must find it as it was left."""
        with tempfile.TemporaryDirectory(prefix="kills-copy-") as folder:
            path = self._path
            if not is_open:
                path = Path(folder, self._path.name)
                for suffix in ("", "-wal"):
                    with contextlib.suppress(FileNotFoundError):
                        shutil.copy(f"{self._path}{suffix}", f"{path}{suffix}")
            with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as connection:
                connection.execute("BEGIN")
                damage = connection.execute("PRAGMA integrity_check").fetchall()
                demand(damage == [("ok",)], f"SQLite finds damage: {damage}")
                demand(not connection.execute("PRAGMA foreign_key_check").fetchall(), "foreign keys are broken")
                return self._read(connection)

    def _read(self, connection: sqlite3.Connection) -> Snapshot:
        query = "SELECT task_id, owner, technology, state, stored_bytes, length(result) FROM task"
        totals = dict(connection.execute("SELECT name, amount FROM total").fetchall())
        return Snapshot(
            {UUID(bytes=row[0]): _row(row[1:]) for row in connection.execute(query)},
            tuple(UUID(bytes=task_id) for (task_id,) in connection.execute("SELECT task_id FROM job")),
            (totals["tasks"], totals["stored_bytes"]),
            {(period, of): used for period, of, used in connection.execute("SELECT * FROM licence_use")},
        )


class PostgresTables:
    """A PostgreSQL store.

    Args:
        url: Where it is.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def look(self, *, is_open: bool) -> Snapshot:
        """Look into the tables, in one transaction; the server's own check reads all tables and indexes first."""
        import psycopg

        del is_open
        self._check_pages()
        with psycopg.connect(self._url) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            return self._read(connection)

    def _check_pages(self) -> None:
        binaries, parts = binary_folder(), urlsplit(self._url)
        if binaries is None or not (binaries / "pg_amcheck").exists():
            raise FileNotFoundError("pg_amcheck, of PostgreSQL 14 or later, is not installed")
        where = ["--host", str(parts.hostname), "--port", str(parts.port), "--username", str(parts.username)]
        command = [str(binaries / "pg_amcheck"), *where, "--install-missing", "--heapallindexed"]
        done = subprocess.run(
            [*command, "--schema=voxgender", parts.path[1:]], capture_output=True, text=True, check=False
        )
        demand(done.returncode == 0, f"pg_amcheck finds damage: {done.stdout} {done.stderr}")

    def _read(self, connection: Any) -> Snapshot:
        tasks = connection.execute(
            """SELECT task_id, owner, technology, state, stored_bytes, octet_length(result), job_id
            FROM voxgender.task"""
        ).fetchall()
        queued = connection.execute("SELECT id, payload FROM voxgender.pgqueuer").fetchall()
        totals = connection.execute("SELECT sum(tasks)::bigint, sum(stored_bytes)::bigint FROM voxgender.total")
        used = connection.execute("SELECT period, resource, used FROM voxgender.licence_use").fetchall()
        jobs = {job_id: UUID(bytes=payload) for job_id, payload in queued}
        demand(
            {row[6]: row[0] for row in tasks if row[6] is not None} == jobs, "tasks and the queue name different jobs"
        )
        return Snapshot(
            {row[0]: _row(row[1:6]) for row in tasks},
            tuple(jobs.values()),
            tuple(totals.fetchone()),
            {(period, of): amount for period, of, amount in used},
        )


def _row(values: Any) -> Row:
    owner, technology, state, stored_bytes, result_bytes = values
    is_list = technology == "gender-identification-voiceprints"
    return Row(owner, technology, state, stored_bytes, result_bytes, result_bytes // RECORD.itemsize if is_list else 0)


@contextlib.contextmanager
def opened(store: str, folder: Path) -> Iterator[tuple[dict[str, object], StoreFiles, PostgresServer | None]]:
    """Give a new store: the flags that name it, what looks into it, and its server where it has one.

    Args:
        store: ``sqlite`` or ``postgresql``.
        folder: For its files.
    """
    if store == "sqlite":
        path = folder / "tasks.db"
        yield {"store-url": f"sqlite:///{path}", "spool-dir": folder / "spool"}, SqliteFiles(path), None
        return
    from postgres import running_postgres

    with running_postgres() as server:
        url = server.new_database()
        yield {"store-url": url, "spool-dir": folder / "spool"}, PostgresTables(url), server
