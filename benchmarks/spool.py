"""Print the milliseconds that an upload takes to begin in the spool: alone, and with files that wait for their tasks.

python benchmarks/spool.py [--files 20000]

The last column is a sweep that finds all of them needed; every service makes one every 10 s.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
import uuid
from collections.abc import Collection
from pathlib import Path

from voxgender.app.spool import Spool

TIMES = 200
FILE_BYTES = 1000


async def measure(folder: Path, files: int) -> None:
    """Print a line of figures."""
    spool = Spool(folder, 10**12, 10**9)
    for _ in range(files):
        spool.path(uuid.uuid4()).write_bytes(bytes(FILE_BYTES))
    spool.open(uuid.uuid4().hex)
    took_s: list[float] = []
    for _ in range(TIMES):
        began_s = time.perf_counter()
        upload = await spool.begin(uuid.uuid4(), FILE_BYTES)
        took_s.append(time.perf_counter() - began_s)
        await upload.discard()
    began_s = time.perf_counter()
    await spool.sweep(all_of)
    sweep_s = time.perf_counter() - began_s
    median_ms, late_ms = 1e3 * statistics.median(took_s), 1e3 * statistics.quantiles(took_s, n=100)[98]
    print(f"{files:>8} {median_ms:>10.2f} {late_ms:>10.2f} {1e3 * sweep_s:>10.1f}")


async def all_of(task_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Say that all tasks are unfinished."""
    return set(task_ids)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000, help="how many wait")
    files = parser.parse_args().files
    print(f"{'files':>8} {'begin ms':>10} {'99 % ms':>10} {'sweep ms':>10}")
    for waiting in (0, files):
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(measure(Path(folder), waiting))


if __name__ == "__main__":
    main()
