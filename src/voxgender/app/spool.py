"""The spool: a folder where uploaded media wait for their tasks, and nothing stays after them.

A file has the name of its task, and a suffix. Who uploads it holds a lock on it until the task is stored; a file that
nobody holds and no unfinished task needs is left over from a process that died, and is deleted by whoever sees it. So
no age has to be guessed. A folder belongs to one store, which alone can say what is needed.

An upload (``upload.py``) takes up its room (``spool_room.py``) before it writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog

from voxgender.app.disk import in_thread, lock, lock_now, reason, refusing
from voxgender.app.spool_room import SpoolRoom
from voxgender.app.upload import FIRST_STEP_BYTES, Upload
from voxgender.core.errors import SettingsError, VoxgenderError

SWEEP_FILES: Final = 100
"""Files that are held and asked about at a time."""

log = structlog.get_logger()


class Spool:
    """A folder of media files; several processes, and several hosts, may share it.

    Args:
        folder: Where; it is created where it is missing, for this user alone.
        capacity_bytes: The most that all files may take up.
        max_file_bytes: The most that one may have.

    Attributes:
        capacity_bytes: The same.
    """

    def __init__(self, folder: Path, capacity_bytes: int, max_file_bytes: int) -> None:
        self._folder = folder
        self.capacity_bytes = capacity_bytes
        self._max_file_bytes = max_file_bytes
        self._room = SpoolRoom(folder, capacity_bytes)

    def __repr__(self) -> str:
        return f"Spool({str(self._folder)!r}, capacity_bytes={self.capacity_bytes})"

    def open(self, store_id: str) -> None:
        """Make the folder ready; it belongs to the first store that opens it.

        Args:
            store_id: Whose tasks the media are of.

        Raises:
            SettingsError: Where it cannot be used, or is another store's.
        """
        setting = f"VOXGENDER_SPOOL_DIR (--spool-dir) is {self._folder}, which"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            is_ours = self._room.claim(store_id)
        except OSError as error:
            raise SettingsError(f"{setting} cannot be used: {reason(error)}") from None
        if not is_ours:
            raise SettingsError(
                f"{setting} holds the media of another store; name a folder that no other store uses, or delete this "
                "one if its store is gone"
            )

    def path(self, task_id: UUID) -> Path:
        """Return where the media of a task lie."""
        return self._room.path(task_id)

    async def begin(self, task_id: UUID, declared_bytes: int | None) -> Upload:
        """Begin to take the media of a task.

        Args:
            task_id: Whose they will be.
            declared_bytes: What the request says of its size, which may be a little more than the file has; None where
                it says nothing. What does not fit now is refused now; the room is taken up as the bytes come.

        Raises:
            StorageFullError: Where the spool or the disk has no room for it.
            VoxgenderError: Where the spool cannot be used.
        """
        beginning = asyncio.ensure_future(asyncio.to_thread(self._begin, task_id, declared_bytes))
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:
            # Nobody else would ever let go of the file.
            with contextlib.suppress(VoxgenderError):
                await (await beginning).discard()
            raise

    async def delete(self, task_id: UUID) -> None:
        """Delete the media of a task, if there are any; what cannot be deleted now is left to a sweep."""
        await in_thread(self._room.delete, task_id)

    async def sweep(self, unfinished: Callable[[Collection[UUID]], Awaitable[set[UUID]]]) -> int:
        """Delete what nobody needs any more, count anew, and return how many files were deleted.

        Args:
            unfinished: Tells which of some tasks are not finished.

        Raises:
            VoxgenderError: Where the spool cannot be used.
        """
        listed = await asyncio.to_thread(self._room.task_ids)
        deleted = failed = 0
        for start in range(0, len(listed), SWEEP_FILES):
            # They are held meanwhile, so that nobody begins to upload what is about to be deleted, and a task that was
            # stored before is known to the answer.
            held: dict[UUID, int] = {}
            try:
                batch = listed[start : start + SWEEP_FILES]
                failed += await in_thread(self._hold_idle, batch, held)
                needless = held.keys() - (await unfinished(held.keys()) if held else set())
                gone, stuck = await in_thread(self._room.delete_all, needless)
                deleted, failed = deleted + gone, failed + stuck
            finally:
                await in_thread(_close_all, held.values())
        await asyncio.to_thread(self._room.recount)
        if failed:
            log.warning("entries of the spool cannot be opened or deleted", entries=failed)
        return deleted

    def free_bytes(self) -> int:
        """Return what is free on the disk that the folder lies on.

        Raises:
            VoxgenderError: Where the spool cannot be used.
        """
        with refusing():
            return shutil.disk_usage(self._folder).free

    def used_bytes(self) -> int:
        """Return what all files take up.

        Raises:
            VoxgenderError: Where the spool cannot be used.
        """
        return self._room.used_bytes()

    def _begin(self, task_id: UUID, declared_bytes: int | None) -> Upload:
        with refusing():
            file = self._new_file(task_id)
        most_bytes = self._max_file_bytes if declared_bytes is None else min(declared_bytes, self._max_file_bytes)
        try:
            needed_bytes = 1 if declared_bytes is None else most_bytes
            room_bytes = self._room.resize(file, needed_bytes, min(FIRST_STEP_BYTES, most_bytes))
        except BaseException:
            self._room.delete(task_id, file)
            raise
        return Upload(self._room, task_id, file, room_bytes, most_bytes, self._max_file_bytes)

    def _new_file(self, task_id: UUID) -> int:
        """Return a new file, open and locked."""
        while True:
            file = os.open(self.path(task_id), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                lock(file)
                # A sweep may have come between the two and deleted what nobody held.
                if os.fstat(file).st_nlink:
                    return file
            except BaseException:
                os.close(file)
                raise
            os.close(file)

    def _hold_idle(self, task_ids: Collection[UUID], held: dict[UUID, int]) -> int:
        """Open and lock the files that nobody holds, add them to ``held``, and return how many cannot be opened."""
        failed = 0
        for task_id in task_ids:
            try:
                file = os.open(self.path(task_id), os.O_RDWR)
            except FileNotFoundError:
                continue
            except OSError:
                failed += 1
                continue
            try:
                is_idle = lock_now(file)
            except OSError:
                failed, is_idle = failed + 1, False
            if is_idle:
                held[task_id] = file
            else:
                os.close(file)
        return failed


def _close_all(files: Collection[int]) -> None:
    for file in files:
        os.close(file)
