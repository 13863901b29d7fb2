"""The spool: a folder where uploaded media wait for their tasks, and nothing stays after them.

A file has the name of its task. Who uploads it holds a lock on it until the task is stored; a file that nobody holds
and no unfinished task needs is left over from a process that died, and is deleted by whoever sees it. So no age has to
be guessed. The files' sizes are counted against the capacity: an upload takes up its room before its bytes come.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import sys
from collections.abc import Awaitable, Callable, Collection, Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog

from voxgender.core.errors import MediaTooLargeError, SettingsError, StorageFullError, VoxgenderError

if sys.platform != "win32":
    import fcntl

WRITE_BYTES: Final = 1024**2
"""So much of an upload is collected before it is handed to a thread to be written."""
GROW_BYTES: Final = 16 * 1024**2
"""Where a request does not tell its size, room is taken up in steps of so much."""
SWEEP_FILES: Final = 100
"""Files that are held and asked about at a time."""

log = structlog.get_logger()


class Spool:
    """A folder of media files; several processes, and several hosts, may share it.

    Args:
        folder: Where; it is created where it is missing, for this user alone.
        capacity_bytes: The most that all files may take up.
        max_file_bytes: The most that one may have.
    """

    def __init__(self, folder: Path, capacity_bytes: int, max_file_bytes: int) -> None:
        self._folder = folder
        self._capacity_bytes = capacity_bytes
        self._max_file_bytes = max_file_bytes

    def __repr__(self) -> str:
        return f"Spool({str(self._folder)!r}, capacity_bytes={self._capacity_bytes})"

    def open(self) -> None:
        """Make the folder ready.

        Raises:
            SettingsError: Where it cannot be used.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._turn():
                pass
        except OSError as error:
            raise SettingsError(
                f"VOXGENDER_SPOOL_DIR (--spool-dir) is {self._folder}, which cannot be used: {error.strerror}"
            ) from None

    def path(self, task_id: UUID) -> Path:
        """Return where the media of a task lie."""
        return self._folder / str(task_id)

    async def begin(self, task_id: UUID, declared_bytes: int | None) -> Upload:
        """Begin to take the media of a task.

        Args:
            task_id: Whose they will be.
            declared_bytes: What the request says of its size; None where it says nothing.

        Raises:
            MediaTooLargeError: Where the file is larger than one may be.
            StorageFullError: Where the spool has no room for it.
        """
        if declared_bytes is not None and declared_bytes > self._max_file_bytes:
            raise MediaTooLargeError(self._max_file_bytes, declared_bytes)
        return await asyncio.to_thread(self._begin, task_id, declared_bytes)

    def delete(self, task_id: UUID) -> None:
        """Delete the media of a task, if there are any."""
        with contextlib.suppress(FileNotFoundError):
            self.path(task_id).unlink()

    async def sweep(self, unfinished: Callable[[Collection[UUID]], Awaitable[set[UUID]]]) -> int:
        """Delete what nobody needs any more, and return how many files that were.

        Args:
            unfinished: Tells which of some tasks are not finished.
        """
        listed = await asyncio.to_thread(self._files)
        deleted = 0
        for start in range(0, len(listed), SWEEP_FILES):
            # They are held meanwhile, so that nobody begins to upload what is about to be deleted, and a task that was
            # stored before is known to the answer.
            held = await asyncio.to_thread(self._hold_idle, listed[start : start + SWEEP_FILES])
            try:
                for task_id in held.keys() - (await unfinished(held.keys()) if held else set()):
                    self.delete(task_id)
                    deleted += 1
            finally:
                for file in held.values():
                    os.close(file)
        return deleted

    def sync(self) -> None:
        """Put on disk which files there are."""
        if sys.platform != "win32":
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def used_bytes(self) -> int:
        """Return what all files take up."""
        used = 0
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    used += entry.stat().st_size
        return used

    def _begin(self, task_id: UUID, declared_bytes: int | None) -> Upload:
        path = self.path(task_id)
        while True:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            _lock(file)
            # A sweep may have come between the two and deleted what nobody held.
            if os.fstat(file).st_nlink:
                break
            os.close(file)
        upload = Upload(self, task_id, file, self._max_file_bytes)
        try:
            self.reserve(file, min(GROW_BYTES, self._max_file_bytes) if declared_bytes is None else declared_bytes)
        except BaseException:
            upload.discard()
            raise
        return upload

    def reserve(self, file: int, size_bytes: int) -> None:
        """Let a file take up so much room.

        Raises:
            StorageFullError: Where the spool does not have it.
        """
        with self._turn():
            more_bytes = size_bytes - os.fstat(file).st_size
            used_bytes = self.used_bytes()
            if used_bytes + more_bytes > self._capacity_bytes:
                raise StorageFullError(
                    f"the spool holds {used_bytes} of {self._capacity_bytes} bytes of media and {more_bytes} more do "
                    "not fit; wait until tasks are done, or raise VOXGENDER_SPOOL_CAPACITY_BYTES"
                )
            os.ftruncate(file, size_bytes)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Let one process at a time count and reserve."""
        file = os.open(self._folder / ".turn", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(file)
            yield
        finally:
            os.close(file)

    def _files(self) -> list[UUID]:
        found: list[UUID] = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(ValueError):
                    found.append(UUID(entry.name))
        return found

    def _hold_idle(self, task_ids: Collection[UUID]) -> dict[UUID, int]:
        """Open and lock the files that nobody holds, and return them."""
        held: dict[UUID, int] = {}
        for task_id in task_ids:
            with contextlib.suppress(FileNotFoundError):
                file = os.open(self.path(task_id), os.O_RDWR)
                if _lock_now(file):
                    held[task_id] = file
                else:
                    os.close(file)
        return held


class Upload:
    """The media of one task while they arrive; it must end by :meth:`keep` or :meth:`discard`."""

    def __init__(self, spool: Spool, task_id: UUID, file: int, max_file_bytes: int) -> None:
        self.task_id = task_id
        self._spool = spool
        self._file = file
        self._max_file_bytes = max_file_bytes
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self.file_bytes = 0

    async def write(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises:
            MediaTooLargeError: Where the file is larger than one may be.
            StorageFullError: Where the spool or the disk has no room for it.
        """
        self.file_bytes += len(piece)
        if self.file_bytes > self._max_file_bytes:
            raise MediaTooLargeError(self._max_file_bytes, self.file_bytes)
        self._waiting.append(piece)
        self._waiting_bytes += len(piece)
        if self._waiting_bytes >= WRITE_BYTES:
            await self._in_thread(self._write_waiting)

    async def finish(self) -> None:
        """Put all that has come on disk.

        Raises:
            StorageFullError: Where the disk has no room for it.
        """
        await self._in_thread(self._end)

    def keep(self) -> None:
        """Let go of the file, which is its task's from now on."""
        os.close(self._file)

    def discard(self) -> None:
        """Delete the file."""
        self._spool.delete(self.task_id)
        os.close(self._file)

    async def _in_thread(self, work: Callable[[], None]) -> None:
        # It is waited for even if the request is cancelled: the file must not be closed under the thread.
        working = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:
            with contextlib.suppress(VoxgenderError, OSError):
                await working
            raise

    def _write_waiting(self) -> None:
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if self.file_bytes > os.fstat(self._file).st_size:
            self._spool.reserve(self._file, min(self.file_bytes + GROW_BYTES, self._max_file_bytes))
        try:
            for piece in waiting:
                view = memoryview(piece)
                while view:
                    view = view[os.write(self._file, view) :]
        except OSError as error:
            raise _as_refusal(error) from None

    def _end(self) -> None:
        self._write_waiting()
        try:
            os.ftruncate(self._file, self.file_bytes)
            os.fsync(self._file)
            self._spool.sync()
        except OSError as error:
            raise _as_refusal(error) from None


def _as_refusal(error: OSError) -> VoxgenderError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFullError("the disk of the spool is full; free some space")
    return VoxgenderError(f"the spool cannot be written: {error.strerror}")


def _lock(file: int) -> None:
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_EX)


def _lock_now(file: int) -> bool:
    """Lock a file unless somebody else holds it, and return whether it is locked now."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
