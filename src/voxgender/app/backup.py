"""A backup of a store in SQLite: one file, made while the service runs.

The file is a tar archive: ``backup.json`` says what it is, ``store.db`` is the store as it was at one moment, with its
tasks, results, keys and the licence's use, and ``media/`` holds the recordings of tasks that were not finished then.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import sqlite3
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from voxgender import __version__
from voxgender.app.scratch import scratch
from voxgender.app.sqlite_schema import APPLICATION_ID
from voxgender.core.errors import BackupError

FORMAT: Final = 1
"""Version of the archive."""
TRIES: Final = 5
"""So often the store is copied anew because a task of it ended, and its recording went, before that was kept."""
WAIT_S: Final = 30.0
"""Longest wait for a store that somebody writes to."""


class Contents(msgspec.Struct, frozen=True):
    """What a backup says of itself.

    Attributes:
        format: Version of the archive.
        version: Of the voxgender that made it.
        schema: Version of the store's tables.
        made_s: When, in UTC epoch seconds.
        tasks: How many it holds.
        recordings: How many media files it holds.
        sha256: Of each file in the archive besides this, by its name there.
    """

    format: int
    version: str
    schema: int
    made_s: float
    tasks: int
    recordings: int
    sha256: dict[str, str]


@dataclass(frozen=True, slots=True)
class StorePlace:
    """Where a store in SQLite and its media are.

    Attributes:
        path: The store's file.
        spool: The folder of the media.
    """

    path: Path
    spool: Path


def back_up(place: StorePlace, target: Path, *, replaces: bool = False) -> Contents:
    """Write a backup of a store, which may be in use, and return what it holds.

    The file appears under its name once it is whole and on disk; nobody but its owner may read it.

    Args:
        place: The store.
        target: The file to be made.
        replaces: Whether a file of that name is replaced.

    Raises:
        BackupError: Where there is no store, it cannot be read, or the file cannot be made.
    """
    if target.exists() and not replaces:
        raise BackupError(f"{target} exists already; name another file, or replace it by --replace")
    if not place.path.is_file():
        raise BackupError(f"there is no store at {place.path}; name it by VOXGENDER_STORE_URL (--store-url)")
    try:
        with scratch(target.absolute().parent, "backup") as folder:
            copy = folder / "store.db"
            with _kept_media(place.spool) as kept:
                pending = _copy_with_media(place, copy, kept)
                files = {"store.db": copy, **{f"media/{name}.media": kept / f"{name}.media" for name in pending}}
                sums = {name: sha256_of(path) for name, path in files.items()}
                schema, tasks = schema_of(copy), count_tasks(copy)
                contents = Contents(FORMAT, __version__, schema, time.time(), tasks, len(pending), sums)
                whole = folder / "whole"
                _pack(whole, contents, files)
            whole.replace(target)
            sync_folder(target.absolute().parent)
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"{target} cannot be made: {told_of(error)}") from None
    return contents


def schema_of(path: Path) -> int:
    """Return the version of a store's tables.

    Raises:
        BackupError: Where the file is no store of ours, or damaged.
    """
    with closing(sqlite3.connect(path, timeout=WAIT_S)) as connection:
        try:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (state,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            raise BackupError(f"the store in it is damaged: {error}") from None
    if application != APPLICATION_ID:
        raise BackupError("it holds no store of voxgender")
    if state != "ok":
        raise BackupError(f"the store in it is damaged: {state}")
    return int(version)


@contextlib.contextmanager
def _kept_media(spool: Path) -> Iterator[Path]:
    """Give a folder for second names of media, so that they stay until the end, whatever becomes of their tasks."""
    # In the spool, because a second name can only be on the same file system.
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    with scratch(spool, "backup") as folder:
        yield folder


def _copy_with_media(place: StorePlace, copy: Path, kept: Path) -> list[UUID]:
    """Copy the store as it is at one moment, keep the media of its unfinished tasks, and return whose they are."""
    lost: set[UUID] = set()
    for _ in range(TRIES):
        # Those that are there now are kept before the copy: their tasks may end while it is made.
        _keep(place.spool, kept)
        with closing(sqlite3.connect(place.path, timeout=WAIT_S)) as source, closing(_new_file(copy)) as target:
            source.execute("PRAGMA query_only = ON")
            # In one step: the write-ahead log lets writers go on meanwhile, and all of it is of one moment.
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
        _keep(place.spool, kept)
        with closing(sqlite3.connect(copy)) as copied:
            rows = copied.execute("SELECT task_id FROM job").fetchall()
        pending = {UUID(bytes=task_id) for (task_id,) in rows}
        lost_before, lost = lost, {task_id for task_id in pending if not (kept / f"{task_id}.media").exists()}
        # A task that ended meanwhile is not among the next copy's; media that are missing for long are lost indeed.
        if lost <= lost_before:
            return sorted(pending - lost)
    return sorted(pending - lost)


def _keep(spool: Path, kept: Path) -> None:
    for path in spool.glob("*.media"):
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            os.link(path, kept / path.name)


def _new_file(path: Path) -> sqlite3.Connection:
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    return sqlite3.connect(path)


def _pack(target: Path, contents: Contents, files: Mapping[str, Path]) -> None:
    with (
        os.fdopen(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file,
        tarfile.open(fileobj=file, mode="w") as archive,
    ):
        about = msgspec.json.encode(contents)
        member = tarfile.TarInfo("backup.json")
        member.size, member.mode = len(about), 0o600
        archive.addfile(member, io.BytesIO(about))
        for name, path in files.items():
            with path.open("rb") as source:
                member = tarfile.TarInfo(name)
                member.size, member.mode = os.fstat(source.fileno()).st_size, 0o600
                archive.addfile(member, source)
        archive.close()
        file.flush()
        os.fsync(file.fileno())


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def count_tasks(path: Path) -> int:
    """Return how many tasks a store holds."""
    with closing(sqlite3.connect(path)) as connection:
        (tasks,) = connection.execute("SELECT count(*) FROM task").fetchone()
    return int(tasks)


def key_ids(connection: sqlite3.Connection) -> set[str]:
    """Return the ids of the keys that a store holds; none where it is of before there were keys."""
    (has_keys,) = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'api_key'").fetchone()
    return {key_id for (key_id,) in connection.execute("SELECT key_id FROM api_key")} if has_keys else set()


def sync_folder(folder: Path) -> None:
    """Put on disk which files a folder holds.

    Raises:
        OSError: Where the disk refuses.
    """
    if os.name == "posix":
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def told_of(error: Exception) -> str:
    """Return what the system says."""
    return (isinstance(error, OSError) and error.strerror) or str(error)
