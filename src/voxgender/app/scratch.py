"""A folder for unfinished files, deleted at the end; where its process was killed, by the next one that makes one."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from voxgender.app.disk import lock, lock_now

_LOCK: Final = "lock"
_WHAT: Final = ("backup", "restore")


@contextlib.contextmanager
def scratch(parent: Path, what: Literal["backup", "restore"]) -> Iterator[Path]:
    """Give a new folder, for this user alone, and delete it at the end with all that is in it.

    Those that killed processes left in the same place are deleted first. The folder holds a file ``lock``.

    Args:
        parent: Where it is made.
        what: What it is for; its name begins with ``.voxgender-`` and this.

    Raises:
        OSError: Where it cannot be made.
    """
    delete_left(parent)
    folder, held = _new_folder(parent, what)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def delete_left(parent: Path) -> None:
    """Delete the folders of this user that no running process holds; where there are no locks, none are deleted."""
    if os.name != "posix":
        return
    for path in [path for what in _WHAT for path in parent.glob(f".voxgender-{what}-*")]:
        with contextlib.suppress(OSError):
            about = path.lstat()
            # In a folder that others may write to, a name like ours may be a trap.
            if stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid():
                _delete_unheld(path)


def _delete_unheld(folder: Path) -> None:
    file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if lock_now(file):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(file)


def _new_folder(parent: Path, what: str) -> tuple[Path, int]:
    """Return a new folder, and the open file whose lock says that it is in use."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".voxgender-{what}-", dir=parent))
        # Somebody may delete the folder before it is locked.
        with contextlib.suppress(FileNotFoundError):
            file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            # A file system without locks may hold a backup; nobody can tell there that a folder is left over.
            with contextlib.suppress(OSError):
                lock(file)
            if os.fstat(file).st_nlink:
                return folder, file
            os.close(file)
