"""A clock that nobody sets: by it tasks expire and jobs are held, whatever is done to the machine's own clock."""

from __future__ import annotations

import contextlib
import math
import time
from pathlib import Path
from typing import Final

from voxgender.app.disk import make_private

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
"""Tells one start of the machine from all others (Linux)."""


class SteadyClock:
    """Tells UTC as it was when the clock was first asked since the machine's start, and goes on evenly from there.

    Where the machine's clock is set later, by a person or in a step of its time service, this one stays as it is: an
    hour by it is an hour. All processes that share a file have the same time. Where the system does not tell its starts
    apart (other than Linux), each process has its own.

    Args:
        path: The file in which processes tell each other; it is a few bytes, and means nothing after the machine's
            next start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._origin_s = time.time() - _running_s()

    def share(self) -> None:
        """Take over what an earlier process has told, or tell those that come; for one process at a time."""
        with contextlib.suppress(OSError):
            boot = _BOOT.read_text(encoding="ascii").strip()
            with contextlib.suppress(OSError, ValueError):
                told, origin_s = self._path.read_text(encoding="ascii").split()
                if told == boot and math.isfinite(float(origin_s)):
                    self._origin_s = float(origin_s)
                    return
            # On a full disk each process has its own time, which is the same unless the clock is set meanwhile.
            draft = self._path.with_name(f"{self._path.name}-draft")
            make_private(draft)
            draft.write_text(f"{boot} {self._origin_s!r}\n", encoding="ascii")
            draft.replace(self._path)

    def now_s(self) -> float:
        """Return the time in UTC epoch seconds."""
        return self._origin_s + _running_s()


def _running_s() -> float:
    """Return the seconds since the machine's start, those in which it slept among them where the system counts them."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
