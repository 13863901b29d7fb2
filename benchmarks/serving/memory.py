"""Memory of a process and of its children, as the kernel counts it (Linux; elsewhere nothing is told)."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_RESET_PEAK: Final = "5"
"""What, written to ``clear_refs``, sets the peak to the present size (proc_pid_clear_refs(5))."""


def resident_bytes(pid: int) -> int | None:
    """Return what the process and its children have in memory now."""
    return _sum(pid, "VmRSS")


def peak_bytes(pid: int) -> int | None:
    """Return the most that they had in memory since :func:`reset_peak`; for several processes, at most that."""
    return _sum(pid, "VmHWM")


def reset_peak(pid: int) -> None:
    """Begin to look for the peak anew."""
    for one in _family(pid):
        with contextlib.suppress(OSError):
            (_PROC / str(one) / "clear_refs").write_text(_RESET_PEAK)


def _sum(pid: int, name: str) -> int | None:
    try:
        return sum(_status_bytes(one, name) for one in _family(pid))
    except OSError:
        return None


def _status_bytes(pid: int, name: str) -> int:
    for line in (_PROC / str(pid) / "status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.removesuffix("kB")) * 1024
    return 0


def _family(pid: int) -> list[int]:
    found = [pid]
    for parent in found:  # grows while it is walked
        with contextlib.suppress(OSError):
            for thread in (_PROC / str(parent) / "task").iterdir():
                found += [int(child) for child in (thread / "children").read_text().split()]
    return found
