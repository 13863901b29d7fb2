"""Processes: those below one, and whether one runs."""

from __future__ import annotations

import contextlib
from pathlib import Path


def descendants(parent: int) -> list[int]:
    """Return the processes below one, at any depth."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            pid, _, rest = path.read_text().rpartition(")")
            children.setdefault(int(rest.split()[1]), []).append(int(pid.split()[0]))
    found = list(children.get(parent, []))
    for one in found:
        found += children.get(one, [])
    return found


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended and is still listed does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False
