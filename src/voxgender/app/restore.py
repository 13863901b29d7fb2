"""A backup put back: checked whole before anything is replaced, and never under somebody who uses the store."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import msgspec

from voxgender import __version__
from voxgender.app.backup import (
    FORMAT,
    Contents,
    StorePlace,
    count_tasks,
    key_ids,
    schema_of,
    sha256_of,
    sync_folder,
    told_of,
)
from voxgender.app.scratch import delete_left, scratch
from voxgender.app.sqlite_schema import APPLICATION_ID, SCHEMA_VERSION
from voxgender.core.errors import BackupError

_MEDIA: Final = re.compile(r"media/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.media")
_ABOUT_BYTES: Final = 64 * 1024**2
_PIECE_BYTES: Final = 1024**2


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored.

    Attributes:
        contents: What the backup says of itself.
        keys: How many API keys it holds.
        returned: Ids of those that the replaced store did not hold; none where no store was replaced.
        gone: Ids of the keys of the replaced store that the backup does not hold.
    """

    contents: Contents
    keys: int
    returned: tuple[str, ...]
    gone: tuple[str, ...]


def restore(source: Path, place: StorePlace, *, replaces: bool = False) -> Restored:
    """Put a store where a backup says that it was, and return what it holds.

    What the licence has used is never less afterwards than in the backup, nor than in a store that is replaced.
    A kill at any moment leaves either the store that was there or the one of the backup, with its media.

    Args:
        source: What :func:`back_up` made.
        place: Where the store is to be.
        replaces: Whether a store with tasks or keys is replaced; one that is in use never is.

    Raises:
        BackupError: Where the file is no backup, is damaged or of a later version, or the place is taken.
    """
    store_folder, spool_parent = place.path.absolute().parent, place.spool.absolute().parent
    store_folder.mkdir(parents=True, exist_ok=True)
    spool_parent.mkdir(parents=True, exist_ok=True)
    try:
        delete_left(place.spool)
        with scratch(store_folder, "restore") as folder, scratch(spool_parent, "restore") as media:
            restored = folder / "store.db"
            contents = _unpack(source, restored, media)
            store_id, keys = _check(source, restored, contents)
            with _unused(place.path) as present:
                present_keys = keys
                if present is not None:
                    present_keys = _check_empty(place.path, present, replaces=replaces)
                    _keep_licence_use(present, restored)
                _check_spool(place.spool, media, store_id, replaces=replaces)
                old_media = _put_media(place.spool, media, store_id)
                _put_store(place.path, restored)
            _take_spool(place.spool, old_media, store_id)
    except (OSError, sqlite3.Error, tarfile.TarError) as error:
        raise BackupError(f"{source} cannot be restored to {place.path}: {told_of(error)}") from None
    return Restored(contents, len(keys), tuple(sorted(keys - present_keys)), tuple(sorted(present_keys - keys)))


def _unpack(source: Path, store: Path, media: Path) -> Contents:
    """Take a backup apart; nothing of it names where it is put.

    Raises:
        BackupError: Where it is none.
    """
    contents: Contents | None = None
    with source.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
        for member in archive:
            data = archive.extractfile(member) if member.isreg() else None
            if data is None:
                raise BackupError(f"{source} is no backup: it holds {member.name[:100]!r}, which is no file")
            if member.name == "backup.json":
                if member.size > _ABOUT_BYTES:
                    raise BackupError(f"{source} is no backup: what it says of itself has {member.size} bytes")
                contents = _read_contents(source, data.read())
            elif member.name == "store.db":
                _write(store, data)
            elif name := _MEDIA.fullmatch(member.name):
                _write(media / f"{name[1]}.media", data)
            else:
                raise BackupError(f"{source} is no backup: it holds {member.name[:100]!r}")
    if contents is None or not store.exists():
        raise BackupError(f"{source} is no backup: a part of it is missing")
    files = {"store.db": store, **{f"media/{path.name}": path for path in media.glob("*.media")}}
    if {name: sha256_of(path) for name, path in files.items()} != contents.sha256:
        raise BackupError(f"{source} is damaged: its files are not those that were written")
    return contents


def _read_contents(source: Path, data: bytes) -> Contents:
    try:
        contents = msgspec.json.decode(data, type=Contents)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise BackupError(f"{source} is no backup: it does not say what it is") from None
    if contents.format > FORMAT or contents.schema > SCHEMA_VERSION:
        raise BackupError(
            f"{source} was made by a later voxgender ({contents.version:.20}, schema {contents.schema}; this is "
            f"{__version__}, schema {SCHEMA_VERSION}); install that one"
        )
    return contents


def _write(path: Path, data: IO[bytes]) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        shutil.copyfileobj(data, file, _PIECE_BYTES)
        file.flush()
        os.fsync(file.fileno())


def _check(source: Path, restored: Path, contents: Contents) -> tuple[str, set[str]]:
    """Check the store of a backup, and return its id and those of its keys."""
    if (schema := schema_of(restored)) != contents.schema:
        raise BackupError(f"{source} is damaged: its store has schema {schema}, and not {contents.schema}")
    if (tasks := count_tasks(restored)) != contents.tasks:
        raise BackupError(f"{source} is damaged: its store holds {tasks} tasks, and not {contents.tasks}")
    with closing(sqlite3.connect(restored)) as connection:
        row = connection.execute("SELECT store_id FROM identity").fetchone()
        return str(row[0]), key_ids(connection)


@contextlib.contextmanager
def _unused(path: Path) -> Iterator[sqlite3.Connection | None]:
    """Give the present store for as long as nobody else can open it; None where there is none.

    Raises:
        BackupError: Where somebody uses it.
    """
    if not path.exists():
        yield None
        return
    with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as connection:
        try:
            # Whoever has it open in WAL mode holds a lock that this mode's change needs alone.
            (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            mode = "wal"
        if mode != "delete":
            raise BackupError(f"{path} is in use; stop the service and its workers first")
        yield connection


def _check_empty(path: Path, present: sqlite3.Connection, *, replaces: bool) -> set[str]:
    """Check that a store may be replaced, and return the ids of its keys."""
    (application,) = present.execute("PRAGMA application_id").fetchone()
    (objects,) = present.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if objects and application != APPLICATION_ID:
        raise BackupError(f"{path} is a database of another program; name another place")
    tasks = present.execute("SELECT count(*) FROM task").fetchone()[0] if objects else 0
    keys = key_ids(present)
    if (tasks or keys) and not replaces:
        raise BackupError(
            f"{path} holds {tasks} tasks and {len(keys)} keys; restore to another place, or replace them by --replace"
        )
    return keys


def _keep_licence_use(present: sqlite3.Connection, restored: Path) -> None:
    (has_tables,) = present.execute("SELECT count(*) FROM sqlite_master WHERE name = 'licence_use'").fetchone()
    used = present.execute("SELECT period, resource, used FROM licence_use").fetchall() if has_tables else []
    with closing(sqlite3.connect(restored)) as connection, connection:
        connection.executemany(
            "INSERT INTO licence_use VALUES (?, ?, ?)"
            " ON CONFLICT (period, resource) DO UPDATE SET used = max(used, excluded.used)",
            used,
        )


def _check_spool(spool: Path, media: Path, store_id: str, *, replaces: bool) -> None:
    marker = spool / ".store"
    owner = marker.read_text(encoding="utf-8", errors="replace") if marker.exists() else store_id
    # Those of the backup are there already where a restore of it was killed.
    left = _media_names(spool) - _media_names(media)
    if left and not replaces:
        whose = "this" if owner == store_id else "another"
        raise BackupError(
            f"{spool} holds {len(left)} recordings of {whose} store; name another folder by VOXGENDER_SPOOL_DIR "
            "(--spool-dir), or replace them by --replace"
        )


def _media_names(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.media")}


def _put_media(spool: Path, media: Path, store_id: str) -> set[str]:
    """Put the media of a backup beside those that are there, and return the names of the latter."""
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = _media_names(media)
    old_names = _media_names(spool) - names
    for name in names:
        (media / name).replace(spool / name)
    marker = spool / ".store"
    if marker.exists() and marker.read_text(encoding="utf-8", errors="replace") != store_id:
        # Until the store is replaced, nobody's: whichever of the two is there then may take the folder and sweep it.
        marker.unlink()
    sync_folder(spool)
    return old_names


def _put_store(path: Path, restored: Path) -> None:
    """Put a store in its place; the one that is there is of one file and in our hands, or there is none."""
    for suffix in ("-wal", "-shm", "-journal"):
        # What a store that is gone has left would be taken for a part of this one.
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    sync_folder(path.absolute().parent)
    with restored.open("rb") as file:
        os.fsync(file.fileno())
    restored.replace(path)
    sync_folder(path.absolute().parent)


def _take_spool(spool: Path, old_names: set[str], store_id: str) -> None:
    """Delete the media of the store that was replaced, and make the folder the new one's."""
    # The service does all this when it starts, if it cannot be done now.
    with contextlib.suppress(OSError):
        for name in old_names:
            (spool / name).unlink(missing_ok=True)
        (spool / ".store").write_text(store_id, encoding="utf-8")
        sync_folder(spool)
