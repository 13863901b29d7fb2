"""How many cores this process may use: a container's quota is less than what the machine has."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import Final

_CGROUP: Final = Path("/sys/fs/cgroup")
_OWN: Final = Path("/proc/self/cgroup")


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Return the cores that this process may use, at least 1: by its affinity, and by the quota of its container.

    Args:
        cgroup: Where the kernel tells the quota: ``cpu.max`` of cgroup v2, or the files of v1.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in _folders(cgroup) if (quota := _quota(folder)) is not None]
    return max(1, min([cores, *(math.ceil(quota) for quota in quotas)]))


def _folders(cgroup: Path) -> list[Path]:
    """Return where a quota may be told: a container sees its own at the top, a service of systemd further down."""
    folders = [cgroup]
    with contextlib.suppress(OSError):
        for line in _OWN.read_text().splitlines():
            if line.startswith("0::/"):
                for part in Path(line[3:]).parts[1:]:
                    folders.append(folders[-1] / part)
    return folders


def _quota(cgroup: Path) -> float | None:
    """Return the processor time that may be used in a second, in seconds; None without a bound."""
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        allowed, period = (cgroup / "cpu.max").read_text().split()
        return None if allowed == "max" else int(allowed) / int(period)
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota_us = int((cgroup / "cpu/cpu.cfs_quota_us").read_text())
        period_us = int((cgroup / "cpu/cpu.cfs_period_us").read_text())
        return quota_us / period_us if quota_us > 0 else None
    return None
