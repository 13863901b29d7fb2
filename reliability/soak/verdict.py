"""What must be so for the service to have stood the load."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reliability.soak.figures import WARM_UP_SHARE, Growth, first_and_last, growth, loaded
from reliability.soak.trial import Record
from reliability.soak.watch import PAUSE_S

MAX_MORE_DESCRIPTORS: Final = 2
"""Files and sockets open at the end above those at the beginning, of all processes: one may just be looked at."""
MAX_MORE_THREADS: Final = 8
"""Pools of threads fill up with use, and then stay as they are."""
MAX_MAIN_PER_HOUR: Final = 20.0
"""MiB an hour by which the memory of the main process may grow."""
MAX_ALL_PER_HOUR: Final = 40.0
"""MiB an hour by which the memory of all processes may grow."""
MAX_SLOWER: Final = 2.0
"""What the median of a kind may be in the last third, in times of what it is in the first one."""
MIN_STEADY_S: Final = 600.0
"""Growth and slowness are judged where there is so much time after the warm-up: over less, all is noise."""
MIN_VISITS: Final = 100
"""A kind's times are compared where each third has so many."""
MAX_STORE_LEFT_SHARE: Final = 0.25
"""Size of SQLite's file at the end, once all has expired, in parts of the largest; unless it is small."""
SMALL_STORE_BYTES: Final = 16 * 1024**2
"""PostgreSQL gives back what is at a table's end only and uses the rest again; its own tables take some MiB."""


MIN_SEEN_SHARE: Final = 0.1
"""How many of the looks, one a second, must have told something: on a busy machine a look takes long."""


def broken(record: Record) -> list[str]:
    """Return what is not as it must be, each in a sentence; nothing where the service has stood the load."""
    return list(_broken(record))


def is_judged(record: Record) -> bool:
    """Return whether the load was long enough for growth and slowness to be judged."""
    return record.plan.seconds * (1 - WARM_UP_SHARE) >= MIN_STEADY_S


def main_growth(record: Record) -> Growth:
    """Return how the memory that the main process has for itself grew."""
    return growth(record, lambda sample: sample.main_bytes)


def all_growth(record: Record) -> Growth:
    """Return how the memory of all processes grew."""
    return growth(record, lambda sample: sample.all_bytes)


def _broken(record: Record) -> Iterator[str]:
    if record.load.errors:
        yield f"{record.load.errors} visits were not answered as they should be"
    for line, times in record.logged.items():
        if line.startswith("error"):
            yield f"the log says {times} times {line}"
    if record.exit_code:
        yield f"the service ended with the exit code {record.exit_code}"
    for what, most in (("descriptors", MAX_MORE_DESCRIPTORS), ("threads", MAX_MORE_THREADS), ("processes", 0)):
        before, after = getattr(record.before, what), getattr(record.after, what)
        if after > before + most:
            yield f"{after} {what} at the end, {before} at the beginning"
    for name, amount in record.told.items():
        if amount:
            yield f"{name} is {amount:g} after all has expired"
    if record.left:
        yield f"{len(record.left)} files are left over, such as {record.left[0]}"
    if record.plan.store == "sqlite":
        yield from _large_store(record)
    if (seen := len(loaded(record))) < MIN_SEEN_SHARE * record.plan.seconds / PAUSE_S:
        yield f"the service was looked at {seen} times alone"
    if is_judged(record):
        yield from _grown(record)


def _large_store(record: Record) -> Iterator[str]:
    largest = max((sample.store_bytes for sample in record.samples), default=0)
    at_end = record.after.store_bytes
    if at_end > max(SMALL_STORE_BYTES, MAX_STORE_LEFT_SHARE * largest):
        yield f"the store's file has {at_end:,} bytes after all has expired, of {largest:,}"


def _grown(record: Record) -> Iterator[str]:
    if record.load.outlasted:
        yield f"{record.load.outlasted} visits took longer than {record.plan.ttl_s:g} s, for which tasks are kept"
    for what, grown, most in (
        ("the main process", main_growth(record), MAX_MAIN_PER_HOUR),
        ("all processes", all_growth(record), MAX_ALL_PER_HOUR),
    ):
        if grown.per_hour > most:
            yield f"the memory of {what} grows by {grown.per_hour:.1f} MiB an hour; {most:g} are allowed"
    for kind, first, last in first_and_last(record):
        if min(first.count, last.count) >= MIN_VISITS and last.median_s > MAX_SLOWER * first.median_s:
            yield f"{kind}: the median is {last.median_s * 1000:.1f} ms at the end, {first.median_s * 1000:.1f} before"
