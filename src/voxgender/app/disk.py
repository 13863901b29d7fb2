"""The disk: waited for in a thread, locked between processes, and its refusals in our words."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

from voxgender.core.errors import StorageFullError, StoreUnavailableError, VoxgenderError

if sys.platform != "win32":
    import fcntl

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def in_thread(work: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
    """Do in a thread what waits for the disk, and return what it returns.

    It is waited for even if the request is cancelled: a file must not be closed under the thread, nor stay open.
    """
    working = asyncio.ensure_future(asyncio.to_thread(work, *arguments, **named))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        with contextlib.suppress(VoxgenderError, OSError):
            await working
        raise


def make_private(path: Path) -> None:
    """Make a file, where there is none, that only the service's user may read.

    Raises:
        OSError: Where it cannot be made.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Raise what the file system says of the spool as an error of ours.

    Raises:
        StorageFullError: Where the disk has no room.
        StoreUnavailableError: Where as many files and connections are open as may be, which passes.
        VoxgenderError: Where it says anything else.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFullError(f"the disk of the spool has no room: {reason(error)}; free some space") from None
        refusal = StoreUnavailableError if error.errno in (errno.EMFILE, errno.ENFILE) else VoxgenderError
        raise refusal(f"the spool cannot be used: {reason(error)}") from None


def reason(error: OSError) -> str:
    """Return what the system says; without the path, which ``str`` would tell."""
    return error.strerror or type(error).__name__


def lock(file: int) -> None:
    """Wait for the lock of an open file; it goes when the file is closed, or with the process.

    Where there are no such locks (Windows) nobody waits.

    Raises:
        OSError: Where the file system refuses.
    """
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_EX)


def lock_now(file: int) -> bool:
    """Lock an open file unless somebody else holds it, and return whether it is locked now.

    Raises:
        OSError: Where the file system refuses.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
