"""The spool: a folder where uploaded media wait for their tasks, and nothing stays after them.

A file has the name of its task, and a suffix. Who uploads it holds a lock on it until the task is stored; a file that
nobody holds and no unfinished task needs is left over from a process that died, and is deleted by whoever sees it. So
no age has to be guessed. A folder belongs to one store, which alone can say what is needed.

The files' sizes are counted against the capacity: an upload takes up its room before it writes. The count is in the
file ``.turn``. Whoever changes a file's size or deletes it has that file's lock and counts; where a process dies in
between, the count says too much, never too little, until the next sweep counts anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import sys
from collections.abc import Awaitable, Callable, Collection, Iterator
from pathlib import Path
from typing import Final, ParamSpec, TypeVar
from uuid import UUID

import structlog

from voxgender.core.errors import MediaTooLargeError, SettingsError, StorageFullError, VoxgenderError

if sys.platform != "win32":
    import fcntl

WRITE_BYTES: Final = 1024**2
"""So much of an upload is collected before it is handed to a thread to be written."""
FIRST_STEP_BYTES: Final = 1024**2
"""The room that an upload takes up before its first bytes come, whatever it declares: declaring costs nothing."""
MAX_STEP_BYTES: Final = 16 * 1024**2
"""As its bytes come, an upload's room doubles, by so much at most."""
SWEEP_FILES: Final = 100
"""Files that are held and asked about at a time."""

_NAME: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.media")
_P = ParamSpec("_P")
_T = TypeVar("_T")

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
            with self._turn() as turn:
                is_ours = self._owner(store_id) == store_id
                if is_ours:
                    _put(turn, self._count())
        except OSError as error:
            raise SettingsError(f"{setting} cannot be used: {_reason(error)}") from None
        if not is_ours:
            raise SettingsError(
                f"{setting} holds the media of another store; name a folder that no other store uses, or delete this "
                "one if its store is gone"
            )

    def path(self, task_id: UUID) -> Path:
        """Return where the media of a task lie."""
        return self._folder / f"{task_id}.media"

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
        await _in_thread(self.delete_now, task_id)

    def delete_now(self, task_id: UUID, file: int | None = None) -> None:
        """Delete like :meth:`delete`, and wait for the disk: 0.1 s for a large file.

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
            log.warning("media are left to the next sweep", task_id=str(task_id), error=_reason(error))
        finally:
            if file is not None:
                os.close(file)

    async def sweep(self, unfinished: Callable[[Collection[UUID]], Awaitable[set[UUID]]]) -> int:
        """Delete what nobody needs any more, count anew, and return how many files were deleted.

        Args:
            unfinished: Tells which of some tasks are not finished.

        Raises:
            VoxgenderError: Where the spool cannot be used.
        """
        with _refusing():
            listed = await asyncio.to_thread(self._task_ids)
        deleted = failed = 0
        for start in range(0, len(listed), SWEEP_FILES):
            # They are held meanwhile, so that nobody begins to upload what is about to be deleted, and a task that was
            # stored before is known to the answer.
            held: dict[UUID, int] = {}
            try:
                batch = listed[start : start + SWEEP_FILES]
                failed += await _in_thread(self._hold_idle, batch, held)
                needless = held.keys() - (await unfinished(held.keys()) if held else set())
                gone = await _in_thread(self._unlink_all, needless)
                deleted, failed = deleted + gone, failed + len(needless) - gone
            finally:
                await _in_thread(_close_all, held.values())
        await asyncio.to_thread(self._recount)
        if failed:
            log.warning("entries of the spool cannot be opened or deleted", entries=failed)
        return deleted

    def used_bytes(self) -> int:
        """Return what all files take up.

        Raises:
            VoxgenderError: Where the spool cannot be used.
        """
        with _refusing(), self._turn() as turn:
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
        with _refusing(), self._turn() as turn:
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
        """Put on disk which files there are."""
        if sys.platform != "win32":
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

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

    def _begin(self, task_id: UUID, declared_bytes: int | None) -> Upload:
        with _refusing():
            file = self._new_file(task_id)
        most_bytes = self._max_file_bytes if declared_bytes is None else min(declared_bytes, self._max_file_bytes)
        try:
            needed_bytes = 1 if declared_bytes is None else most_bytes
            room_bytes = self.resize(file, needed_bytes, min(FIRST_STEP_BYTES, most_bytes))
        except BaseException:
            self.delete_now(task_id, file)
            raise
        return Upload(self, task_id, file, room_bytes, most_bytes, self._max_file_bytes)

    def _new_file(self, task_id: UUID) -> int:
        """Return a new file, open and locked."""
        while True:
            file = os.open(self.path(task_id), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                _lock(file)
                # A sweep may have come between the two and deleted what nobody held.
                if os.fstat(file).st_nlink:
                    return file
            except BaseException:
                os.close(file)
                raise
            os.close(file)

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

    def _unlink_all(self, task_ids: Collection[UUID]) -> int:
        """Delete files and return how many could be."""
        deleted = 0
        for task_id in task_ids:
            with contextlib.suppress(OSError):
                self._unlink(task_id)
                deleted += 1
        return deleted

    @contextlib.contextmanager
    def _turn(self) -> Iterator[int]:
        """Let one at a time count and change sizes; what it yields is the open file of the count."""
        file = os.open(self._folder / ".turn", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(file)
            yield file
        finally:
            os.close(file)

    def _used_bytes(self, turn: int) -> int:
        try:
            os.lseek(turn, 0, os.SEEK_SET)
            return int(os.read(turn, 32))
        except ValueError:  # it is new, or the machine was switched off
            return self._count()

    def _recount(self) -> None:
        with _refusing(), self._turn() as turn:
            _put(turn, self._count())

    def _count(self) -> int:
        used_bytes = 0
        for _, entry in self._files():
            with contextlib.suppress(FileNotFoundError):
                if not entry.is_dir(follow_symlinks=False):
                    used_bytes += entry.stat(follow_symlinks=False).st_size
        return used_bytes

    def _task_ids(self) -> list[UUID]:
        return [UUID(name[1]) for name, _ in self._files()]

    def _files(self) -> Iterator[tuple[re.Match[str], os.DirEntry[str]]]:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if name := _NAME.fullmatch(entry.name):
                    yield name, entry

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
                is_idle = _lock_now(file)
            except OSError:
                failed, is_idle = failed + 1, False
            if is_idle:
                held[task_id] = file
            else:
                os.close(file)
        return failed


class Upload:
    """The media of one task while they arrive; it must end by :meth:`keep` or :meth:`discard`.

    Args:
        spool: Where they go.
        task_id: Whose they are.
        file: Their open and locked file.
        room_bytes: What it takes up.
        most_bytes: What it will have at most, as far as is known.
        max_file_bytes: What it may have at most.
    """

    def __init__(
        self, spool: Spool, task_id: UUID, file: int, room_bytes: int, most_bytes: int, max_file_bytes: int
    ) -> None:
        self.task_id = task_id
        self._spool = spool
        self._file = file
        self._room_bytes = room_bytes
        self._most_bytes = most_bytes
        self._max_file_bytes = max_file_bytes
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self.file_bytes = 0

    async def write(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises:
            MediaTooLargeError: Where the file is larger than one may be.
            StorageFullError: Where the spool or the disk has no room for it.
            VoxgenderError: Where the spool cannot be used.
        """
        self.file_bytes += len(piece)
        if self.file_bytes > self._max_file_bytes:
            raise MediaTooLargeError(self._max_file_bytes, self.file_bytes)
        self._waiting.append(piece)
        self._waiting_bytes += len(piece)
        if self._waiting_bytes >= WRITE_BYTES:
            await _in_thread(self._write_waiting)

    async def finish(self) -> None:
        """Put all that has come on disk.

        Raises:
            StorageFullError: Where the spool or the disk has no room for it.
            VoxgenderError: Where the spool cannot be used.
        """
        await _in_thread(self._end)

    def keep(self) -> None:
        """Let go of the file, which is its task's from now on."""
        os.close(self._file)

    async def discard(self) -> None:
        """Delete the file."""
        await _in_thread(self._spool.delete_now, self.task_id, self._file)

    def _write_waiting(self) -> None:
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if self.file_bytes > self._room_bytes:
            step_bytes = min(max(self._room_bytes, FIRST_STEP_BYTES), MAX_STEP_BYTES)
            wished_bytes = max(self.file_bytes, min(self._room_bytes + step_bytes, self._most_bytes))
            self._room_bytes = self._spool.resize(self._file, self.file_bytes, wished_bytes)
        with _refusing():
            for piece in waiting:
                view = memoryview(piece)
                while view:
                    view = view[os.write(self._file, view) :]

    def _end(self) -> None:
        self._write_waiting()
        self._room_bytes = self._spool.resize(self._file, self.file_bytes, self.file_bytes)
        with _refusing():
            os.fsync(self._file)
            self._spool.sync()


async def _in_thread(work: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
    """Do in a thread what waits for the disk.

    It is waited for even if the request is cancelled: a file must not be closed under the thread, nor stay open.
    """
    working = asyncio.ensure_future(asyncio.to_thread(work, *arguments, **named))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        with contextlib.suppress(VoxgenderError, OSError):
            await working
        raise


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Raise what the file system says as an error of ours."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFullError(f"the disk of the spool has no room: {_reason(error)}; free some space") from None
        raise VoxgenderError(f"the spool cannot be used: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    """Return what the system says; without the path, which ``str`` would tell."""
    return error.strerror or type(error).__name__


def _put(turn: int, used_bytes: int) -> None:
    # All of it is written at once, as it always has the same length and lies in one block.
    os.lseek(turn, 0, os.SEEK_SET)
    os.write(turn, b"%020d\n" % max(0, used_bytes))


def _close_all(files: Collection[int]) -> None:
    for file in files:
        os.close(file)


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
