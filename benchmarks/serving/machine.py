"""The machine: its name, the two cores that are used, and what one flush of its disk takes."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np

LIBRARIES: Final = (
    "voxgender", "numpy", "pybase64", "fastapi", "starlette", "pydantic", "uvicorn", "uvloop", "httptools", "msgspec",
    "isal", "pyarrow",
)  # fmt: skip
FSYNCS: Final = 50
_MOUNTS: Final = Path("/proc/mounts")


def pick_cores() -> tuple[int, int] | None:
    """Return a core for the server and another one for the client; None where the process has one or cannot choose.

    Two threads of one physical core are taken only where there is no other way.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    server, *others = sorted(os.sched_getaffinity(0))
    if not others:
        return None
    siblings = Path(f"/sys/devices/system/cpu/cpu{server}/topology/thread_siblings_list")
    sharing: set[int] = set()
    with contextlib.suppress(OSError, ValueError):
        for part in siblings.read_text().strip().split(","):
            first, _, last = part.partition("-")
            sharing |= set(range(int(first), int(last or first) + 1))
    return server, next((core for core in others if core not in sharing), others[0])


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Run the block, and start its processes, on one core."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def describe(folder: Path, cores: tuple[int, int] | None) -> dict[str, Any]:
    """Return what the figures depend on; ``folder`` is where the server's store lies."""
    fsync_s = fsync_latencies_s(folder)
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "server_core": cores and cores[0],
        "client_core": cores and cores[1],
        "load_average_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "file_system": _file_system(folder),
        "fsync_ms": {
            "median": round(float(np.median(fsync_s)) * 1e3, 3),
            "p90": round(float(np.quantile(fsync_s, 0.9)) * 1e3, 3),
            "count": len(fsync_s),
        },
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
    }


class OtherWork:
    """Tells what share of the two cores went to other work than ours, from its making on.

    Ours is this process and the children that it has waited for; another guest of the same host counts as other work.
    """

    def __init__(self, cores: tuple[int, int] | None) -> None:
        self._cores = cores or ()
        self._began, self._busy_s, self._own_s = time.monotonic(), self._core_s(), _own_s()

    def share(self) -> float | None:
        """Return the share, 0 to 1; None where the system does not tell."""
        now_s, own_s = self._core_s(), _own_s() - self._own_s
        if now_s is None or self._busy_s is None:
            return None
        possible_s = (time.monotonic() - self._began) * len(self._cores)
        return round(max(0.0, now_s - self._busy_s - own_s) / possible_s, 3)

    def _core_s(self) -> float | None:
        """Return the seconds that the cores were at work: for users, the kernel and other guests (proc_stat(5))."""
        names = {f"cpu{core}" for core in self._cores}
        try:
            rows = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
        except OSError:
            return None
        ticks = sum(int(row[column]) for row in rows if row[0] in names for column in (1, 2, 3, 8))
        return ticks / os.sysconf("SC_CLK_TCK") if names else None


def _own_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def fsync_latencies_s(folder: Path) -> list[float]:
    """Return the seconds that it takes to make 4 KiB more of a file durable, some times over."""
    path, taken = folder / "fsync", []
    with path.open("wb", buffering=0) as file:
        for _ in range(FSYNCS):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    path.unlink()
    return taken


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    """Return the processor's name; where it says little, its family and model as well."""
    with contextlib.suppress(OSError):
        pairs = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines())
        facts = {name.strip(): value.strip() for name, _, value in pairs}
        if name := facts.get("model name"):
            return f"{name} (family {facts.get('cpu family')}, model {facts.get('model')})"
    return platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _file_system(folder: Path) -> str:
    """Return the kind of the file system that a folder is on, like ``ext4``."""
    try:
        mounts = [line.split() for line in _MOUNTS.read_text().splitlines()]
    except OSError:
        return sys.platform
    folder = folder.resolve()
    holding = [(len(where), kind) for _, where, kind, *_ in mounts if folder.is_relative_to(where)]
    return max(holding)[1]
