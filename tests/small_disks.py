"""Small disks of a server's own, which a test fills up and makes room on again."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest

from serving import ServerProcess

DISK_BYTES = 80 * 1024**2
"""More than a server wants to have free, so that it is ready at first."""
PIECE_BYTES = 1024**2


def under_small_disks(*folders: Path) -> list[str]:
    """Return the command that runs a program with a small disk of its own at each folder.

    They are in memory, and go with the program. It needs no rights; where a system does not allow it, the test skips.
    """
    enter = ["unshare", "--map-root-user", "--mount"]
    try:
        subprocess.run([*enter, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"programs cannot have disks of their own here: {error}")
    mounts = [f"mount -t tmpfs -o size={DISK_BYTES} tmpfs '{folder}'" for folder in folders]
    return [*enter, "sh", "-c", " && ".join([*mounts, 'exec "$@"']), "sh"]


class SmallDisk:
    """A small disk of a server that runs.

    Args:
        server: Whose it is.
        folder: Where the server has it.
    """

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        self.path = Path(f"/proc/{server.process.pid}/root{folder}")
        self._filler = self.path / "filler"

    def fill(self) -> None:
        """Leave not a byte."""
        with self._filler.open("ab", buffering=0) as file:
            for size_bytes in (PIECE_BYTES, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size_bytes))

    def make_room(self) -> None:
        """Have all room again."""
        self._filler.unlink()
