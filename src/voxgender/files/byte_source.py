"""A source of bytes that a C library may call back into: whatever happens below it, it raises nothing there."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import BinaryIO

from voxgender.core.errors import AudioError


class ByteSource:
    """Bytes, a file on disk or an open binary file, read from its beginning.

    libsndfile and FFmpeg read through callbacks. An exception in one of them cannot pass through C: it would be
    printed to stderr and lost. So `read` and `seek` never raise; what went wrong is kept and raised by `check`, which
    the decoders call after each call into their library. The object has no `name`, so no library can guess a format
    from a file's extension.

    Args:
        source: The bytes themselves, the path of a regular file, or a seekable file open for reading in binary mode.
            A file that was handed in open stays open.

    Attributes:
        size_bytes: How many bytes there are.

    Raises:
        AudioError: The path cannot be opened or is not a regular file (a pipe could block for ever, a device never
            end), the open file cannot be sought in, or there are no bytes at all.
        TypeError: The source is of another type, or a file open in text mode.

    >>> source = ByteSource(b"RIFF....WAVE")
    >>> source.head(4), source.size_bytes
    (b'RIFF', 12)
    """

    def __init__(self, source: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO) -> None:
        self._owned = True
        self._position = 0
        self._blanks: list[tuple[int, int]] = []
        self._failure: BaseException | None = None
        if isinstance(source, (bytes, bytearray, memoryview)):
            self._file: BinaryIO = io.BytesIO(source)
        elif isinstance(source, (str, os.PathLike)):
            self._file = _opened(Path(source))
        elif hasattr(source, "read") and hasattr(source, "seek"):
            self._file, self._owned = source, False
        else:
            raise TypeError(f"audio must be bytes, a path or a binary file, not {type(source).__name__}")
        try:
            self.size_bytes = self._measured_size_bytes()
        except BaseException:
            self.close()
            raise

    def _measured_size_bytes(self) -> int:
        try:
            size_bytes = self._file.seek(0, os.SEEK_END)
            self._file.seek(0)
            nothing = self._file.read(0)
        except (OSError, ValueError) as error:
            raise AudioError(
                f"the audio file cannot be sought in ({error}); read it first and hand in its bytes"
            ) from None
        if not isinstance(nothing, bytes):
            raise TypeError("audio must be a file open in binary mode, not in text mode")
        if size_bytes == 0:
            raise AudioError("the audio is empty (0 bytes); hand in a file with sound in it")
        return size_bytes

    def read(self, count: int = -1) -> bytes:
        """Return up to `count` bytes (all that are left if negative); nothing at the end or after a failure."""
        left = max(0, self.size_bytes - self._position)
        count = left if count < 0 else min(count, left)
        if count == 0 or self._failure is not None:
            return b""
        try:
            self._file.seek(self._position)
            data = self._file.read(count)[:count]
        except BaseException as error:  # noqa: BLE001 - kept for check(): here it would be lost in C
            self._failure = error
            return b""
        for start, end in self._blanks:
            first, last = max(start - self._position, 0), min(end - self._position, len(data))
            if first < last:
                data = data[:first] + bytes(last - first) + data[last:]
        self._position += len(data)
        return data

    def readinto(self, buffer: memoryview) -> int:
        """Fill `buffer` as far as there are bytes, and return how many were written."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position, also one beyond the end, and return it; -1 (and no move) for one before the start."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size_bytes}.get(whence)
        if base is None or base + offset < 0:
            return -1
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._position

    def head(self, count: int) -> bytes:
        """Return the first `count` bytes and leave the position where it was."""
        before, self._position = self._position, 0
        data = self.read(count)
        self._position = before
        return data

    def blank(self, start: int, end: int) -> None:
        """Make the bytes from `start` to before `end` read as zeros from now on; the file itself stays as it is."""
        self._blanks.append((start, end))

    def check(self) -> None:
        """Raise what reading ran into, if anything.

        Raises:
            AudioError: The disk or the file object failed.
            BaseException: What is no failure of the file, such as KeyboardInterrupt, as it is.
        """
        if isinstance(self._failure, Exception):
            raise AudioError(f"the audio file cannot be read: {self._failure}") from None
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Close the file if it was opened here; may be called twice."""
        if self._owned:
            self._file.close()


def _opened(path: Path) -> BinaryIO:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise AudioError(f"{str(path)!r} is not a regular file; name a file, or hand in its bytes")
        return path.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise AudioError(f"{str(path)!r} cannot be opened: {reason}") from None
