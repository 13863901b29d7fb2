"""The room of a spool: which files are in its folder, and what they take up.

The sizes are counted against the capacity. The count is in the file ``.turn``, whose lock is the turn to change it.
Whoever changes a file's size or deletes it has that file's lock and counts; where a process dies in between, the count
says too much, never too little, until the next sweep counts anew.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog

from voxgender.app.disk import lock, reason, refusing
from voxgender.core.errors import StorageFullError, VoxgenderError

_NAME: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.media")

log = structlog.get_logger()


class SpoolRoom:
    """The files of a spool's folder, whose room is bounded; several processes, and several hosts, may share it.

    Args:
        folder: Where; it must be there when anything is asked.
        capacity_bytes: The most that all files may take up.
    """

    def __init__(self, folder: Path, capacity_bytes: int) -> None:
        self._folder = folder
        self._capacity_bytes = capacity_bytes

    def path(self, task_id: UUID) -> Path:
        """Return where the media of a task lie."""
        return self._folder / f"{task_id}.media"

    def task_ids(self) -> list[UUID]:
        """Return whose media there are.

        Raises:
            VoxgenderError: Where the spool cannot be used.
        """
        with refusing():
            return [UUID(name[1]) for name, _ in self._files()]

    def claim(self, store_id: str) -> bool:
        """Give the folder to a store, if it is nobody's, count anew, and return whether it is that store's now.

        Raises:
            OSError: Where the folder cannot be used.
        """
        with self._turn() as turn:
            is_ours = self._owner(store_id) == store_id
            if is_ours:
                _put(turn, self._count())
        return is_ours

    def used_bytes(self) -> int:
        """Return what all files take up.

        Raises:
            VoxgenderError: Where the spool cannot be used.
        """
        with refusing(), self._turn() as turn:
            return self._used_bytes(turn)

    def resize(self, file: int, needed_bytes: int, wished_bytes: int) -> int:
        """Let an upload take up room, or give it back, and return the size that its file has then.

        Args:
            file: Its open file.
            needed_bytes: What it will have; it is refused where so much does not fit.
            wished_bytes: What it is to take up now, as far as it fits.

        Raises:
            StorageFullError: Where the spool or the disk has no room for it.
            VoxgenderError: Where the spool cannot be used, or the file is no longer in it.
        """
        with refusing(), self._turn() as turn:
            status = os.fstat(file)
            if not status.st_nlink:
                raise VoxgenderError("the file was deleted while it was uploaded; send it again")
            used_bytes, more_bytes = self._used_bytes(turn), needed_bytes - status.st_size
            free_bytes = max(0, self._capacity_bytes - used_bytes)
            if more_bytes > free_bytes:
                raise self._refusal(used_bytes, needed_bytes, more_bytes)
            size_bytes = min(wished_bytes, status.st_size + free_bytes)
            _put(turn, max(used_bytes, used_bytes + size_bytes - status.st_size))
            try:
                os.ftruncate(file, size_bytes)
            finally:
                _put(turn, used_bytes + os.fstat(file).st_size - status.st_size)
            return size_bytes

    def sync(self) -> None:
        """Put on disk which files there are.

        Raises:
            OSError: Where the disk refuses.
        """
        if sys.platform != "win32":
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def delete(self, task_id: UUID, file: int | None = None) -> None:
        """Delete the media of a task, if there are any (0.1 s for a large file); log what is left to a sweep.

        Args:
            task_id: Whose media.
            file: Where they are open already; it is closed.
        """
        try:
            # An open file's space is given back when it is closed, after the turn: nobody else waits for that.
            file = os.open(self.path(task_id), os.O_RDONLY) if file is None else file
            self._unlink(task_id)
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warning("media are left to the next sweep", task_id=str(task_id), error=reason(error))
        finally:
            if file is not None:
                os.close(file)

    def delete_all(self, task_ids: Collection[UUID]) -> tuple[int, int]:
        """Delete the media of some tasks, which the caller holds; return how many it did and how many could not be.

        Those that somebody else has just deleted, because their task has ended, are neither.
        """
        deleted = failed = 0
        for task_id in task_ids:
            try:
                self._unlink(task_id)
                deleted += 1
            except FileNotFoundError:
                pass
            except OSError:
                failed += 1
        return deleted, failed

    def recount(self) -> None:
        """Count anew what the files take up.

        Raises:
            VoxgenderError: Where the spool cannot be used.
        """
        with refusing(), self._turn() as turn:
            _put(turn, self._count())

    def _refusal(self, used_bytes: int, needed_bytes: int, more_bytes: int) -> StorageFullError:
        if needed_bytes > self._capacity_bytes:
            return StorageFullError(
                f"the spool may hold {self._capacity_bytes} bytes of media and the file has {needed_bytes}; raise "
                "VOXGENDER_SPOOL_CAPACITY_BYTES"
            )
        return StorageFullError(
            f"the spool holds {used_bytes} of {self._capacity_bytes} bytes of media and {more_bytes} more do "
            "not fit; wait until tasks are done, or raise VOXGENDER_SPOOL_CAPACITY_BYTES"
        )

    def _owner(self, store_id: str) -> str:
        """Return whose folder it is: this store's, where it was nobody's; to be called in one's turn."""
        marker, draft = self._folder / ".store", self._folder / ".store-draft"
        with contextlib.suppress(FileNotFoundError):
            if owner := marker.read_text(encoding="utf-8", errors="replace"):
                return owner
        with draft.open("w", encoding="utf-8") as file:
            file.write(store_id)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(marker)
        return store_id

    def _unlink(self, task_id: UUID) -> None:
        path = self.path(task_id)
        with self._turn() as turn:
            size_bytes, used_bytes = path.lstat().st_size, self._used_bytes(turn)
            path.unlink()
            _put(turn, used_bytes - size_bytes)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[int]:
        """Let one at a time count and change sizes; what it yields is the open file of the count."""
        file = os.open(self._folder / ".turn", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            lock(file)
            yield file
        finally:
            os.close(file)

    def _used_bytes(self, turn: int) -> int:
        try:
            os.lseek(turn, 0, os.SEEK_SET)
            return int(os.read(turn, 32))
        except ValueError:  # it is new, or the machine was switched off
            return self._count()

    def _count(self) -> int:
        used_bytes = 0
        for _, entry in self._files():
            with contextlib.suppress(FileNotFoundError):
                if not entry.is_dir(follow_symlinks=False):
                    used_bytes += entry.stat(follow_symlinks=False).st_size
        return used_bytes

    def _files(self) -> Iterator[tuple[re.Match[str], os.DirEntry[str]]]:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if name := _NAME.fullmatch(entry.name):
                    yield name, entry


def _put(turn: int, used_bytes: int) -> None:
    # All of it is written at once, as it always has the same length and lies in one block.
    os.lseek(turn, 0, os.SEEK_SET)
    os.write(turn, b"%020d\n" % max(0, used_bytes))
