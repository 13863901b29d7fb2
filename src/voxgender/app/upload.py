"""An upload: the media of one task while they arrive."""

from __future__ import annotations

import os
from typing import Final
from uuid import UUID

from voxgender.app.disk import in_thread, refusing
from voxgender.app.spool_room import SpoolRoom
from voxgender.app.submission import NamedRequest
from voxgender.core.errors import MediaTooLargeError

WRITE_BYTES: Final = 256 * 1024
"""So much of an upload is collected before it is handed to a thread to be written."""
FIRST_STEP_BYTES: Final = 256 * 1024
"""The room that an upload takes up before its first bytes come, whatever it declares: declaring costs nothing."""
MAX_STEP_BYTES: Final = 16 * 1024**2
"""As its bytes come, an upload's room doubles, by so much at most."""


class Upload:
    """The media of one task while they arrive; it must end by :meth:`keep` or :meth:`discard`.

    Its room grows with the bytes that come, and its file is locked as long as it is open.

    Args:
        room: Where they go.
        task_id: Whose they are.
        file: Their open and locked file.
        room_bytes: What it takes up.
        most_bytes: What it will have at most, as far as is known.
        max_file_bytes: What it may have at most.

    Attributes:
        named: The request that it comes with, where that may come again; it takes what comes.
    """

    def __init__(
        self, room: SpoolRoom, task_id: UUID, file: int, room_bytes: int, most_bytes: int, max_file_bytes: int
    ) -> None:
        self.task_id = task_id
        self._room = room
        self._file = file
        self._room_bytes = room_bytes
        self._most_bytes = most_bytes
        self._max_file_bytes = max_file_bytes
        self._waiting = bytearray()
        self.file_bytes = 0
        self.named: NamedRequest | None = None

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
        self._waiting += piece
        if len(self._waiting) >= WRITE_BYTES:
            await in_thread(self._write_waiting)

    async def finish(self) -> None:
        """Put all that has come on disk.

        Raises:
            StorageFullError: Where the spool or the disk has no room for it.
            VoxgenderError: Where the spool cannot be used.
        """
        await in_thread(self._end)

    def keep(self) -> None:
        """Let go of the file, which is its task's from now on."""
        os.close(self._file)

    async def discard(self) -> None:
        """Delete the file."""
        await in_thread(self._room.delete, self.task_id, self._file)

    def _write_waiting(self) -> None:
        waiting, self._waiting = self._waiting, bytearray()
        if self.named is not None:
            self.named.take(waiting)
        if self.file_bytes > self._room_bytes:
            step_bytes = min(max(self._room_bytes, FIRST_STEP_BYTES), MAX_STEP_BYTES)
            wished_bytes = max(self.file_bytes, min(self._room_bytes + step_bytes, self._most_bytes))
            self._room_bytes = self._room.resize(self._file, self.file_bytes, wished_bytes)
        with refusing():
            view = memoryview(waiting)
            while view:
                view = view[os.write(self._file, view) :]

    def _end(self) -> None:
        self._write_waiting()
        self._room_bytes = self._room.resize(self._file, self.file_bytes, self.file_bytes)
        with refusing():
            os.fsync(self._file)
            self._room.sync()
