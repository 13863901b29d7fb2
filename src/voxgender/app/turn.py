"""The turn to write: processes that share a file have it one after the other."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

if sys.platform != "win32":
    import fcntl


class Turn:
    """A lock between processes that wakes the next one as soon as it is free, and goes with a process that dies.

    SQLite's own way to wait sleeps for longer and longer, up to 0.1 s, while a busy writer takes its lock again and
    again, so that some tasks of another writer would wait for a second.

    Where there are no such locks (Windows, some network file systems) SQLite's way is left.

    Args:
        path: An empty file of its own; it is created where it is missing.

    Raises:
        OSError: Where the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def __enter__(self) -> None:
        """Wait for the turn; for one thread at a time."""
        if sys.platform != "win32":
            with contextlib.suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        """Let the next one have it."""
        if sys.platform != "win32":
            with contextlib.suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
